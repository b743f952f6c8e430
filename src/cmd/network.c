/* footbridge network: an operator's keys, the signed network document, the join link. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/qr.h"
#include "cmd/snippet.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "role/keys.h"

#define DAY_S UINT64_C(86400)

struct settings {
    struct fb_texts brokers, egresses, stun;
    uint64_t days;
    bool local;
    const char *min_version;
};

/* Says on one line why the command failed; returns its exit status. */
__attribute__((format(printf, 1, 2))) static int complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("footbridge network: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

/* ---- what goes into a document ---- */

static bool copy_text(char *to, size_t cap, const char *from) {
    size_t len = strlen(from);
    if (len >= cap)
        return false;
    memcpy(to, from, len + 1);
    return true;
}

/* URLs without a slash at the end: paths are put behind them. */
static bool copy_url(char to[FB_URL_MAX + 1], const char *from) {
    if (!copy_text(to, FB_URL_MAX + 1, from))
        return false;
    for (size_t len = strlen(to); len > 0 && to[len - 1] == '/'; len--)
        to[len - 1] = '\0';
    return true;
}

static int set_brokers(struct fb_network_files *files, const struct fb_texts *urls) {
    struct fb_document *doc = &files->document;
    struct fb_url url;
    if (urls->len > FB_DOCUMENT_BROKERS_MAX)
        return complain("too many --broker addresses");
    for (size_t i = 0; i < urls->len; i++) {
        if (!copy_url(doc->brokers[i].url, urls->at[i]) ||
            fb_url_parse(doc->brokers[i].url, FB_URL_HTTP, &url) != 0)
            return complain("--broker %s: not an http:// or https:// address", urls->at[i]);
        /* One broker under several addresses: the keys are the same. */
        memcpy(doc->brokers[i].sealing_key, doc->brokers[0].sealing_key, FB_KEY_LEN);
        memcpy(doc->brokers[i].ticket_key, doc->brokers[0].ticket_key, FB_KEY_LEN);
    }
    doc->broker_count = urls->len;
    files->join.broker_count = 0;
    for (size_t i = 0; i < urls->len && i < FB_JOIN_BROKERS_MAX; i++)
        memcpy(files->join.brokers[files->join.broker_count++], doc->brokers[i].url,
               FB_URL_MAX + 1);
    return 0;
}

static int set_egresses(struct fb_document *doc, const struct fb_texts *urls) {
    struct fb_url url;
    if (urls->len > FB_DOCUMENT_EGRESSES_MAX)
        return complain("too many --egress addresses");
    for (size_t i = 0; i < urls->len; i++)
        if (!copy_text(doc->egresses[i].url, sizeof doc->egresses[i].url, urls->at[i]) ||
            fb_url_parse(urls->at[i], FB_URL_WS, &url) != 0)
            return complain("--egress %s: not a ws:// or wss:// address", urls->at[i]);
    doc->egress_count = urls->len;
    return 0;
}

static int set_stun(struct fb_document *doc, const struct fb_texts *servers) {
    char host[FB_HOST_MAX + 1];
    uint16_t port;
    if (servers->len > FB_DOCUMENT_STUN_MAX)
        return complain("too many --stun servers");
    for (size_t i = 0; i < servers->len; i++)
        if (!copy_text(doc->stun[i], sizeof doc->stun[i], servers->at[i]) ||
            fb_hostport_parse(servers->at[i], host, &port) != 0)
            return complain("--stun %s: not HOST:PORT", servers->at[i]);
    doc->stun_count = servers->len;
    return 0;
}

static int set_min_version(struct fb_document *doc, const char *text) {
    unsigned long parts[3];
    const char *p = text;
    for (size_t i = 0; i < 3; i++) {
        char *end;
        parts[i] = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || parts[i] > 255 || *end != (i < 2 ? '.' : '\0'))
            return complain("--min-version %s: not MAJOR.MINOR.PATCH", text);
        p = end + 1;
    }
    doc->min_version = FB_SOFTWARE_VERSION(parts[0], parts[1], parts[2]);
    return 0;
}

/* What was given, on top of what the document says. All that can be wrong with it is said here,
 * before a file is made. */
static int apply(struct fb_network_files *files, const struct settings *set) {
    struct fb_document *doc = &files->document;
    if ((set->brokers.len > 0 && set_brokers(files, &set->brokers) != 0) ||
        (set->egresses.len > 0 && set_egresses(doc, &set->egresses) != 0) ||
        (set->stun.len > 0 && set_stun(doc, &set->stun) != 0) ||
        (set->min_version != NULL && set_min_version(doc, set->min_version) != 0))
        return 1;
    if (set->local)
        doc->flags = FB_DOCUMENT_LOCAL;
    const char *exposed = fb_document_exposed(doc);
    return exposed == NULL ? 0
                           : complain("%s: without TLS everybody on the way would see who asks; "
                                      "name an https:// or wss:// address, or give --local for a "
                                      "network on one machine",
                                      exposed);
}

/* ---- keys ---- */

/* Makes a key and gives its public half (NULL: none). */
static int make_key(const char *dir, enum fb_key_kind kind, size_t number, uint8_t *public_key) {
    char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
    uint8_t key[FB_KEY_LEN];
    fb_random(fb_rng_default(), key, sizeof key);
    int code = fb_key_path(dir, kind, number, path, err);
    if (code == 0)
        code = fb_key_create(path, kind, key, err);
    if (code == 0 && public_key != NULL && (code = fb_key_public(kind, key, public_key)) != 0)
        snprintf(err, sizeof err, "%s", fb_strerror(code));
    fb_wipe(key, sizeof key);
    return code == 0 ? 0 : complain("%s", err);
}

/* The id of an egress whose key file is there already: it was listed before, or comes from
 * elsewhere. */
static int known_egress(const char *path, uint8_t id[FB_EGRESS_ID_LEN]) {
    char err[FB_KEYS_ERR_MAX];
    uint8_t key[FB_KEY_LEN];
    if (fb_key_read(path, FB_KEY_EGRESS, key, err) != 0)
        return complain("%s", err);
    int code = fb_key_public(FB_KEY_EGRESS, key, id);
    fb_wipe(key, sizeof key);
    return code == 0 ? 0 : complain("%s", fb_strerror(code));
}

/* Ids for the document's egresses behind those that had one before, with new keys where there is
 * no file. */
static int add_egress_ids(const char *dir, struct fb_document *doc, size_t before) {
    char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
    for (size_t i = before; i < doc->egress_count; i++) {
        if (fb_key_path(dir, FB_KEY_EGRESS, i, path, err) != 0)
            return complain("%s", err);
        if ((access(path, F_OK) == 0 ? known_egress(path, doc->egresses[i].id)
                                     : make_key(dir, FB_KEY_EGRESS, i, doc->egresses[i].id)) != 0)
            return 1;
    }
    return 0;
}

/* Before anything is made: one key that exists already means that this is somebody's network. */
static int check_unused(const char *dir) {
    char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
    for (enum fb_key_kind kind = FB_KEY_NETWORK; kind <= FB_KEY_LINK; kind++) {
        if (fb_key_path(dir, kind, 0, path, err) != 0)
            return complain("%s", err);
        if (access(path, F_OK) == 0)
            return complain("%s: exists already; keys are never overwritten", path);
    }
    return 0;
}

/* ---- signing and printing ---- */

static int sign_and_write(const char *dir, struct fb_network_files *files, uint64_t days) {
    char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
    uint8_t seed[FB_KEY_LEN], public_key[FB_KEY_LEN];
    int code = fb_key_path(dir, FB_KEY_NETWORK, 0, path, err);
    if (code == 0)
        code = fb_key_read(path, FB_KEY_NETWORK, seed, err);
    if (code != 0)
        return complain("%s", err);
    files->document.serial++;
    files->document.issued_s = fb_unix_s();
    files->document.expires_s = files->document.issued_s + days * DAY_S;
    code = fb_key_public(FB_KEY_NETWORK, seed, public_key);
    if (code == 0 && memcmp(public_key, files->join.network, FB_KEY_LEN) != 0)
        code = FB_ERR_AUTH;
    if (code == 0)
        code = fb_document_encode(fb_crypto_openssl(), &files->document, seed, files->bytes,
                                  &files->len);
    fb_wipe(seed, sizeof seed);
    if (code == FB_ERR_AUTH)
        return complain("%s: another network's key", path);
    if (code != 0)
        return complain("the network document cannot be signed: %s", fb_strerror(code));
    if (fb_network_files_write(dir, files, err) != 0)
        return complain("%s", err);
    return 0;
}

static void print_date(const char *what, uint64_t unix_s) {
    time_t at = (time_t)unix_s;
    struct tm tm;
    char text[32];
    if (gmtime_r(&at, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &tm) > 0)
        printf("%s%s\n", what, text);
}

static int print_network(const struct fb_network_files *files) {
    char link[FB_JOIN_MAX + 1];
    const struct fb_document *doc = &files->document;
    int code = fb_join_format(fb_crypto_openssl(), &files->join, link);
    if (code != 0)
        return complain("%s", fb_join_strerror(code));
    printf("Network document %" PRIu64, doc->serial);
    print_date(", valid until ", doc->expires_s);
    for (size_t i = 0; i < doc->broker_count; i++)
        printf("  broker  %s\n", doc->brokers[i].url);
    for (size_t i = 0; i < doc->egress_count; i++)
        printf("  egress  %s\n", doc->egresses[i].url);
    for (size_t i = 0; i < doc->stun_count; i++)
        printf("  stun    %s\n", doc->stun[i]);
    if (doc->flags & FB_DOCUMENT_LOCAL)
        puts("  local: for networks on one machine only");
    printf("\nJoin link, for readers and for headless volunteers:\n\n  %s\n\n", link);
    if (isatty(STDOUT_FILENO)) {
        fb_qr_print(stdout, link);
        putchar('\n');
    }
    puts("For a publisher's page:\n");
    if (fb_snippet_print(stdout, doc->brokers[0].url) != 0)
        return complain("this program was built without the widget");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- the three verbs ---- */

static int run_new(const char *dir, const struct settings *set) {
    static struct fb_network_files files;
    struct fb_document *doc = &files.document;
    if (set->brokers.len == 0 || set->egresses.len == 0)
        return complain("new needs at least one --broker and one --egress");
    if (apply(&files, set) != 0)
        return 1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return complain("%s: %s", dir, strerror(errno));
    if (check_unused(dir) != 0 || make_key(dir, FB_KEY_NETWORK, 0, files.join.network) != 0 ||
        make_key(dir, FB_KEY_SEALING, 0, doc->brokers[0].sealing_key) != 0 ||
        make_key(dir, FB_KEY_TICKET, 0, doc->brokers[0].ticket_key) != 0 ||
        make_key(dir, FB_KEY_LINK, 0, NULL) != 0 || add_egress_ids(dir, doc, 0) != 0 ||
        set_brokers(&files, &set->brokers) != 0 || sign_and_write(dir, &files, set->days) != 0)
        return 1;
    printf("Made in %s:\n"
           "  network.key         signs the network document; keep it offline, and a copy of it\n"
           "  broker-*.key        for the broker\n"
           "  egress*.key         for the egress\n"
           "  link.key            for both, where they are two processes\n"
           "  network.document    for the broker and the egress; sign it again before it expires\n"
           "  join-link           public\n\n",
           dir);
    return print_network(&files);
}

static int run_sign(const char *dir, const struct settings *set) {
    static struct fb_network_files files;
    char err[FB_KEYS_ERR_MAX];
    struct fb_document *doc = &files.document;
    if (fb_network_files_read(dir, 0, &files, err) != 0)
        return complain("%s", err);
    size_t before = doc->egress_count;
    if (apply(&files, set) != 0 || add_egress_ids(dir, doc, before) != 0)
        return 1;
    return sign_and_write(dir, &files, set->days) == 0 ? print_network(&files) : 1;
}

static int run_show(const char *dir) {
    static struct fb_network_files files;
    char err[FB_KEYS_ERR_MAX];
    if (fb_network_files_read(dir, 0, &files, err) != 0)
        return complain("%s", err);
    if (files.document.expires_s <= fb_unix_s())
        puts("This document has expired; sign it again.");
    if (fb_document_exposed(&files.document) != NULL)
        puts("This document names an address without TLS, and nobody follows it; sign it again.");
    return print_network(&files);
}

int fb_cmd_network(int argc, char **argv) {
    struct settings set = {.days = 30};
    const struct fb_option options[] = {
        {"broker", "URL", "the broker's address, https://...", .texts = &set.brokers},
        {"egress", "URL", "the egress's path socket, wss://.../v1/path", .texts = &set.egresses},
        {"stun", "HOST:PORT", "a STUN server for clients", .texts = &set.stun},
        {"days", "N", "how long the document is valid (30)", .number = &set.days, .min = 1,
         .max = 3650},
        {"min-version", "A.B.C", "oldest software that may use the network",
         .text = &set.min_version},
        {"local", NULL, "a network on one machine: no country and address rules",
         .flag = &set.local},
        {0},
    };
    const struct fb_usage usage = {
        "network", "make a network's keys, sign its document, print its join link",
        options,   "new|sign|show DIRECTORY",
        2,         2};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    const char *verb = args.operands[0], *dir = args.operands[1];
    if (strcmp(verb, "new") == 0)
        status = run_new(dir, &set);
    else if (strcmp(verb, "sign") == 0)
        status = run_sign(dir, &set);
    else if (strcmp(verb, "show") == 0)
        status = run_show(dir);
    else
        status = fb_args_fail(&usage, "'%s' is none of new, sign, show", verb);
    fb_args_free(&args);
    return status;
}
