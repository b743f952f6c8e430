#include "cmd/chromium.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "cmd/cdp.h"

#define SWITCH_MS 60000 /* from start to the switch being on, on a slow machine */
#define CLOSE_MS 5000   /* to end by itself */
#define FRAME_PATH "/frame.html"

struct fb_chromium {
    struct fb_chromium_config config;
    char *url;
    uv_process_t process;
    uv_pipe_t to, from;
    uv_timer_t timer;
    int open_handles;
    bool running, clicked, done, freed;
    struct fb_cdp *cdp;
    char profile[PATH_MAX];
    char page[64],
        frame[64];  /* session ids; frame: "" while the frame lives in the page's process */
    double context; /* of the frame inside the page's process */
    double x, y;    /* of the frame, then of the switch */
};

/* ---- the end ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static void on_closed(uv_handle_t *handle) {
    struct fb_chromium *c = handle->type == UV_PROCESS
                                ? FB_CONTAINER(handle, struct fb_chromium, process)
                            : handle->type == UV_TIMER
                                ? FB_CONTAINER(handle, struct fb_chromium, timer)
                                : (struct fb_chromium *)handle->data;
    c->open_handles--;
}

static void close_all(struct fb_chromium *c) {
    fb_cdp_free(c->cdp);
    c->to.data = c->from.data = c;
    uv_close((uv_handle_t *)&c->process, on_closed);
    uv_close((uv_handle_t *)&c->to, on_closed);
    uv_close((uv_handle_t *)&c->from, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void fail(struct fb_chromium *c, const char *why) {
    if (c->done && c->running)
        return; /* it was flipped; only the browser's own end is news after that */
    c->done = true;
    uv_timer_stop(&c->timer);
    if (!c->freed && c->config.failed != NULL) {
        void (*failed)(void *, const char *) = c->config.failed;
        c->config.failed = NULL;
        failed(c->config.user, why);
    }
}

/* The last line that the browser wrote to its standard error, which says why it did not start. */
static void last_words(struct fb_chromium *c, char *out, size_t cap) {
    char path[PATH_MAX + 16], line[400];
    snprintf(path, sizeof path, "%s/stderr", c->profile);
    out[0] = '\0';
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            snprintf(out, cap, "%s", line);
    }
    if (file != NULL)
        fclose(file);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signum) {
    struct fb_chromium *c = FB_CONTAINER(process, struct fb_chromium, process);
    char why[FB_CHROMIUM_ERR_MAX], words[FB_CHROMIUM_ERR_MAX - 64];
    c->running = false;
    uv_kill(-process->pid, SIGKILL); /* the rest of its group, where it did not end by itself */
    if (c->freed)
        return;
    last_words(c, words, sizeof words);
    snprintf(why, sizeof why, "the browser ended by itself%s%s", words[0] != '\0' ? ": " : "",
             words);
    fail(c, why);
}

static void on_close_timeout(uv_timer_t *timer) {
    struct fb_chromium *c = FB_CONTAINER(timer, struct fb_chromium, timer);
    if (c->running)
        uv_kill(-c->process.pid, SIGKILL); /* its group: it was started as the leader of one */
}

/* What was just killed may still write a last file: again until nothing is left. */
static void remove_profile(const struct fb_chromium *c) {
    for (int tries = 0; tries < 100 && access(c->profile, F_OK) == 0; tries++) {
        if (tries > 0)
            uv_sleep(20);
        nftw(c->profile, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

void fb_chromium_free(struct fb_chromium *c) {
    if (c == NULL)
        return;
    c->freed = true;
    if (c->running) {
        if (c->cdp == NULL || fb_cdp_call(c->cdp, NULL, "Browser.close", NULL, NULL) != 0)
            uv_kill(-c->process.pid, SIGKILL);
        uv_timer_start(&c->timer, on_close_timeout, CLOSE_MS, 0);
    }
    while (c->running)
        uv_run(c->config.loop, UV_RUN_ONCE);
    close_all(c);
    while (c->open_handles > 0)
        uv_run(c->config.loop, UV_RUN_ONCE);
    remove_profile(c);
    free(c->url);
    free(c);
}

/* ---- what the visitor does, one step after the other ---- */

static cJSON *params(const char *name, const char *value) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, name, value);
    return object;
}

/* Runs a script in the page or (frame true) in the widget's frame; the value comes back as JSON. */
static void evaluate(struct fb_chromium *c, bool frame, const char *script, fb_cdp_reply *reply) {
    cJSON *object = params("expression", script);
    cJSON_AddBoolToObject(object, "awaitPromise", true);
    cJSON_AddBoolToObject(object, "returnByValue", true);
    if (frame && c->frame[0] == '\0')
        cJSON_AddNumberToObject(object, "contextId", c->context);
    fb_cdp_call(c->cdp, frame && c->frame[0] != '\0' ? c->frame : c->page, "Runtime.evaluate",
                object, reply);
}

static const cJSON *value_of(const cJSON *result) {
    return cJSON_GetObjectItem(cJSON_GetObjectItem(result, "result"), "value");
}

/* Adds a script's [x, y] to the point; false when it is none. */
static bool add_point(struct fb_chromium *c, const cJSON *result) {
    const cJSON *value = value_of(result);
    const cJSON *x = cJSON_GetArrayItem(value, 0), *y = cJSON_GetArrayItem(value, 1);
    if (!cJSON_IsNumber(x) || !cJSON_IsNumber(y))
        return false;
    c->x += x->valuedouble;
    c->y += y->valuedouble;
    return true;
}

static void find_widget(struct fb_chromium *c);

/* A click goes astray where the page moved under it: what came to the frame from the broker in the
 * meantime made it higher. A visitor would look and click again. */
static void on_checked(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    if (result == NULL) {
        fail(c, error);
        return;
    }
    if (!cJSON_IsTrue(value_of(result))) {
        find_widget(c);
        return;
    }
    c->done = true;
    uv_timer_stop(&c->timer);
    if (!c->freed)
        c->config.flipped(c->config.user);
}

static void on_clicked(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    if (result == NULL) {
        fail(c, error);
        return;
    }
    c->clicked = true;
    evaluate(c, true,
             "new Promise((resolve) => {"
             "  const at = document.getElementById('switch');"
             "  const look = (late) => {"
             "    const on = at.getAttribute('aria-checked') === 'true';"
             "    if (on || late) resolve(on);"
             "  };"
             "  new MutationObserver(() => look(false)).observe(at, { attributes: true });"
             "  setTimeout(look, 2000, true);"
             "  look(false);"
             "})",
             on_checked);
}

static void mouse(struct fb_chromium *c, const char *type, fb_cdp_reply *reply) {
    cJSON *object = params("type", type);
    cJSON_AddNumberToObject(object, "x", c->x);
    cJSON_AddNumberToObject(object, "y", c->y);
    if (strcmp(type, "mouseMoved") != 0) {
        cJSON_AddStringToObject(object, "button", "left");
        cJSON_AddNumberToObject(object, "clickCount", 1);
    }
    fb_cdp_call(c->cdp, c->page, "Input.dispatchMouseEvent", object, reply);
}

static void on_switch_ready(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    if (result == NULL || !add_point(c, result)) {
        fail(c, "the widget's switch was not found in its frame");
        return;
    }
    mouse(c, "mouseMoved", NULL);
    mouse(c, "mousePressed", NULL);
    mouse(c, "mouseReleased", on_clicked);
}

/* The switch refuses clicks until it has been in view for a moment. */
static void wait_for_switch(struct fb_chromium *c) {
    evaluate(c, true,
             "(async () => {"
             "  const at = document.getElementById('switch');"
             "  while (at.hasAttribute('aria-disabled'))"
             "    await new Promise((resolve) => {"
             "      new MutationObserver((_, self) => { self.disconnect(); resolve(); })"
             "        .observe(at, { attributes: true });"
             "    });"
             "  const r = at.getBoundingClientRect();"
             "  return [r.x + r.width / 2, r.y + r.height / 2];"
             "})()",
             on_switch_ready);
}

static void on_world(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    const cJSON *id = cJSON_GetObjectItem(result, "executionContextId");
    if (!cJSON_IsNumber(id)) {
        fail(c, "the widget's frame cannot be reached");
        return;
    }
    c->context = id->valuedouble;
    wait_for_switch(c);
}

/* The frame is in the page's process, or has one of its own and has announced itself already. */
static void on_frame_tree(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    const cJSON *child, *tree = cJSON_GetObjectItem(result, "frameTree");
    cJSON_ArrayForEach(child, cJSON_GetObjectItem(tree, "childFrames")) {
        const cJSON *frame = cJSON_GetObjectItem(child, "frame");
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(frame, "id"));
        const char *url = cJSON_GetStringValue(cJSON_GetObjectItem(frame, "url"));
        if (id != NULL && url != NULL && strstr(url, FRAME_PATH) != NULL) {
            fb_cdp_call(c->cdp, c->page, "Page.createIsolatedWorld", params("frameId", id),
                        on_world);
            return;
        }
    }
    if (c->frame[0] != '\0')
        wait_for_switch(c);
    else
        fail(c, "the widget's frame did not load");
}

static void on_widget(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    if (result == NULL || !add_point(c, result))
        fail(c, "the page has no widget");
    else
        fb_cdp_call(c->cdp, c->page, "Page.getFrameTree", NULL, on_frame_tree);
}

static void find_widget(struct fb_chromium *c) {
    c->x = c->y = 0;
    evaluate(c, false,
             "(() => {"
             "  const at = document.querySelector('footbridge-widget');"
             "  at.scrollIntoView({ block: 'center', behavior: 'instant' });"
             "  const r = at.shadowRoot.querySelector('iframe').getBoundingClientRect();"
             "  return [r.x, r.y];"
             "})()",
             on_widget);
}

static void on_navigated(void *user, const cJSON *result, const char *error) {
    const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(result, "errorText"));
    if (result == NULL || why != NULL)
        fail(user, why != NULL ? why : error);
}

static void on_attached(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    const char *session = cJSON_GetStringValue(cJSON_GetObjectItem(result, "sessionId"));
    if (session == NULL) {
        fail(c, error);
        return;
    }
    snprintf(c->page, sizeof c->page, "%s", session);
    /* A frame that gets a process of its own becomes a session of its own. */
    cJSON *attach = cJSON_CreateObject();
    cJSON_AddBoolToObject(attach, "autoAttach", true);
    cJSON_AddBoolToObject(attach, "waitForDebuggerOnStart", false);
    cJSON_AddBoolToObject(attach, "flatten", true);
    fb_cdp_call(c->cdp, c->page, "Target.setAutoAttach", attach, NULL);
    fb_cdp_call(c->cdp, c->page, "Page.enable", NULL, NULL);
    fb_cdp_call(c->cdp, c->page, "Page.navigate", params("url", c->url), on_navigated);
}

static void on_target(void *user, const cJSON *result, const char *error) {
    struct fb_chromium *c = user;
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "targetId"));
    if (id == NULL) {
        fail(c, error);
        return;
    }
    cJSON *object = params("targetId", id);
    cJSON_AddBoolToObject(object, "flatten", true);
    fb_cdp_call(c->cdp, NULL, "Target.attachToTarget", object, on_attached);
}

static void on_event(void *user, const char *session, const char *method, const cJSON *object) {
    struct fb_chromium *c = user;
    if (strcmp(method, "Page.loadEventFired") == 0 && strcmp(session, c->page) == 0) {
        find_widget(c);
    } else if (strcmp(method, "Target.attachedToTarget") == 0) {
        const cJSON *info = cJSON_GetObjectItem(object, "targetInfo");
        const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(info, "type"));
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(object, "sessionId"));
        if (type != NULL && id != NULL && strcmp(type, "iframe") == 0)
            snprintf(c->frame, sizeof c->frame, "%s", id);
    } else if (strcmp(method, "Inspector.targetCrashed") == 0) {
        c->done = false;
        fail(c, "the browser's tab crashed");
    }
}

static void on_cdp_closed(void *user) {
    /* The process's end follows, and says more. */
}

static void on_timeout(uv_timer_t *timer) {
    struct fb_chromium *c = FB_CONTAINER(timer, struct fb_chromium, timer);
    fail(c, c->clicked ? "the widget's switch did not move when it was clicked"
                       : "the browser did not get to the switch in time");
}

/* ---- the start ---- */

/* The first of the usual names that PATH has. */
static bool find_program(const char *given, char *out, size_t cap) {
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome",
                                        "google-chrome-stable", "chrome"};
    const char *path = getenv("PATH");
    if (given != NULL) {
        snprintf(out, cap, "%s", given);
        return access(given, X_OK) == 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (const char *dir = path; dir != NULL && *dir != '\0';) {
            int len = (int)strcspn(dir, ":");
            snprintf(out, cap, "%.*s/%s", len, dir, names[i]);
            if (access(out, X_OK) == 0)
                return true;
            dir += len + (dir[len] == ':');
        }
    }
    return false;
}

/* The environment with the profile as TMPDIR, so that whatever the browser leaves goes with it.
 * NULL: out of memory. The array is the caller's; its first string is tmpdir, the rest are
 * environ's. */
static char **make_environment(char *tmpdir) {
    size_t n = 0, count = 0;
    while (environ[count] != NULL)
        count++;
    char **env = calloc(count + 2, sizeof *env);
    if (env == NULL)
        return NULL;
    env[n++] = tmpdir;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) != 0)
            env[n++] = environ[i];
    return env;
}

/* Whether the browser can have its sandbox, without which it ends at once unless told: never as
 * root; else in a user namespace, which containers mostly refuse, or by Debian's setuid helper. It
 * opens the demo's own page alone. */
static bool has_sandbox(void) {
    if (geteuid() == 0)
        return false;
    if (access("/usr/lib/chromium/chrome-sandbox", X_OK) == 0)
        return true;
    int status = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0;
}

static int spawn(struct fb_chromium *c, const char *program) {
    char profile[PATH_MAX + 32], errors[PATH_MAX + 16], tmpdir[PATH_MAX + 16];
    snprintf(profile, sizeof profile, "--user-data-dir=%s", c->profile);
    snprintf(errors, sizeof errors, "%s/stderr", c->profile);
    snprintf(tmpdir, sizeof tmpdir, "TMPDIR=%s", c->profile);
    const char *args[24] = {program,
                            "--headless",
                            "--remote-debugging-pipe",
                            profile,
                            "--no-first-run",
                            "--no-default-browser-check",
                            "--no-proxy-server",
                            "--disable-gpu",
                            "--disable-quic",
                            "--disable-sync",
                            "--disable-background-networking",
                            "--disable-component-update",
                            "--disable-dev-shm-usage", /* containers have 64 MB or less of it */
                            "--mute-audio",
                            "--window-size=1280,1000"};
    size_t n = 15;
    if (!has_sandbox())
        args[n++] = "--no-sandbox";
    if (c->config.loopback) {
        args[n++] = "--allow-loopback-in-peer-connection";
        /* Hiding addresses behind .local names takes multicast, which loopback has not. */
        args[n++] = "--disable-features=WebRtcHideLocalIpsWithMdns";
    }
    args[n++] = "about:blank";
    int fd = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = fd},
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->to},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->from},
    };
    char *argv[24];
    for (size_t i = 0; i <= n; i++)
        argv[i] = i < n ? (char *)(uintptr_t)args[i] : NULL; /* uv_spawn does not write to them */
    uv_process_options_t options = {
        .file = program,
        .args = argv,
        .env = make_environment(tmpdir),
        .exit_cb = on_exit_status,
        .stdio = stdio,
        .stdio_count = 5,
        .flags = UV_PROCESS_DETACHED, /* Ctrl-C is ours to handle */
    };
    int err = uv_spawn(c->config.loop, &c->process, &options); /* env NULL: as it is here */
    close(fd);
    free(options.env);
    return err;
}

struct fb_chromium *fb_chromium_new(const struct fb_chromium_config *config,
                                    char err[static FB_CHROMIUM_ERR_MAX]) {
    static const struct fb_cdp_handler handler = {on_event, on_cdp_closed};
    const char *tmp = getenv("TMPDIR");
    char program[PATH_MAX];
    if (!find_program(config->program, program, sizeof program)) {
        snprintf(err, FB_CHROMIUM_ERR_MAX, "%s",
                 config->program != NULL ? "that browser cannot be run"
                                         : "no Chromium is installed");
        return NULL;
    }
    struct fb_chromium *c = calloc(1, sizeof *c);
    if (c == NULL || (c->url = strdup(config->url)) == NULL) {
        free(c);
        snprintf(err, FB_CHROMIUM_ERR_MAX, "out of memory");
        return NULL;
    }
    c->config = *config;
    snprintf(c->profile, sizeof c->profile, "%s/footbridge-browser-XXXXXX",
             tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(c->profile) == NULL) {
        snprintf(err, FB_CHROMIUM_ERR_MAX, "no directory for the browser's profile: %s",
                 strerror(errno));
        free(c->url);
        free(c);
        return NULL;
    }
    uv_pipe_init(config->loop, &c->to, 0);
    uv_pipe_init(config->loop, &c->from, 0);
    uv_timer_init(config->loop, &c->timer);
    c->open_handles = 4;
    int status = spawn(c, program);
    c->running = status == 0;
    c->cdp = c->running ? fb_cdp_new(&c->to, &c->from, &handler, c) : NULL;
    if (c->cdp == NULL) {
        snprintf(err, FB_CHROMIUM_ERR_MAX, "the browser cannot be started: %s",
                 status != 0 ? uv_strerror(status) : "out of memory");
        fb_chromium_free(c);
        return NULL;
    }
    uv_timer_start(&c->timer, on_timeout, SWITCH_MS, 0);
    fb_cdp_call(c->cdp, NULL, "Target.createTarget", params("url", "about:blank"), on_target);
    return c;
}
