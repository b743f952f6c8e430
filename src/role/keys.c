#include "role/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/err.h"
#include "base/secret.h"
#include "crypto/openssl.h"

#define CHECK_LEN 4
#define CHARS FB_BASE64URL_LEN(FB_KEY_LEN + CHECK_LEN)
#define LINE_MAX_LEN 128

static const struct {
    const char *kind; /* in the file */
    const char *file; /* its usual name */
} kinds[] = {
    [FB_KEY_NETWORK] = {"network", "network.key"},
    [FB_KEY_SEALING] = {"sealing", "broker-sealing.key"},
    [FB_KEY_TICKET] = {"ticket", "broker-ticket.key"},
    [FB_KEY_EGRESS] = {"egress", "egress.key"},
    [FB_KEY_LINK] = {"link", "link.key"},
};

__attribute__((format(printf, 3, 4))) static int fail(char err[static FB_KEYS_ERR_MAX], int code,
                                                      const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, FB_KEYS_ERR_MAX, fmt, args);
    va_end(args);
    return code;
}

static int join_path(const char *dir, const char *file, char out[static FB_KEYS_PATH_MAX],
                     char err[static FB_KEYS_ERR_MAX]) {
    int n = snprintf(out, FB_KEYS_PATH_MAX, "%s/%s", dir, file);
    if (n < 0 || n >= FB_KEYS_PATH_MAX)
        return fail(err, FB_ERR_TOO_BIG, "%.80s...: the path is too long", dir);
    return 0;
}

int fb_key_path(const char *dir, enum fb_key_kind kind, size_t number,
                char out[static FB_KEYS_PATH_MAX], char err[static FB_KEYS_ERR_MAX]) {
    char file[64];
    if (number == 0)
        return join_path(dir, kinds[kind].file, out, err);
    snprintf(file, sizeof file, "%s-%zu.key", kinds[kind].kind, number + 1);
    return join_path(dir, file, out, err);
}

/* ---- files ---- */

/* Writes to a file that this call makes. */
static int create(const char *path, mode_t mode, const void *bytes, size_t len,
                  char err[static FB_KEYS_ERR_MAX]) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST)
        return fail(err, FB_ERR_USED, "%s: exists already; it is never overwritten", path);
    if (fd < 0)
        return fail(err, FB_ERR_IO, "%s: %s", path, strerror(errno));
    ssize_t n = write(fd, bytes, len);
    int saved = n < 0 ? errno : (size_t)n < len ? ENOSPC : fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && saved == 0)
        saved = errno;
    if (saved == 0)
        return 0;
    unlink(path); /* half a key is none */
    return fail(err, FB_ERR_IO, "%s: %s", path, strerror(saved));
}

/* Reads a whole regular file of at most cap bytes. With secret, only its owner may have access. */
static int slurp(const char *path, bool secret, void *out, size_t cap, size_t *len,
                 char err[static FB_KEYS_ERR_MAX]) {
    struct stat st;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(err, errno == ENOENT ? FB_ERR_NOT_FOUND : FB_ERR_IO, "%s: %s", path,
                    strerror(errno));
    int code = FB_ERR_IO;
    ssize_t n = -1;
    if (fstat(fd, &st) != 0)
        fail(err, code, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        code = fail(err, FB_ERR_MALFORMED, "%s: not a file", path);
    else if (secret && (st.st_mode & 077) != 0)
        code = fail(err, FB_ERR_DENIED, "%s: others may read it (chmod 600 %s)", path, path);
    else if (st.st_size > (off_t)cap)
        code = fail(err, FB_ERR_MALFORMED, "%s: too long for what it should be", path);
    else if ((n = read(fd, out, cap)) < 0)
        fail(err, code, "%s: %s", path, strerror(errno));
    close(fd);
    if (n < 0)
        return code;
    *len = (size_t)n;
    return 0;
}

/* ---- keys ---- */

static void with_check(const uint8_t key[FB_KEY_LEN], uint8_t out[FB_KEY_LEN + CHECK_LEN]) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t hash[FB_HASH_LEN];
    crypto->hash(crypto->ctx, key, FB_KEY_LEN, hash);
    memcpy(out, key, FB_KEY_LEN);
    memcpy(out + FB_KEY_LEN, hash, CHECK_LEN);
}

int fb_key_create(const char *path, enum fb_key_kind kind, const uint8_t key[static FB_KEY_LEN],
                  char err[static FB_KEYS_ERR_MAX]) {
    uint8_t checked[FB_KEY_LEN + CHECK_LEN];
    char text[CHARS + 1], line[LINE_MAX_LEN];
    with_check(key, checked);
    fb_base64url_encode(checked, sizeof checked, text);
    int n = snprintf(line, sizeof line, "footbridge %s key: %s\n", kinds[kind].kind, text);
    int code = create(path, 0600, line, (size_t)n, err);
    fb_wipe(checked, sizeof checked);
    fb_wipe(text, sizeof text);
    fb_wipe(line, sizeof line);
    return code;
}

int fb_key_read(const char *path, enum fb_key_kind kind, uint8_t key[static FB_KEY_LEN],
                char err[static FB_KEYS_ERR_MAX]) {
    uint8_t checked[FB_KEY_LEN + CHECK_LEN], expected[FB_KEY_LEN + CHECK_LEN];
    char line[LINE_MAX_LEN + 1], head[64];
    size_t len;
    int code = slurp(path, true, line, LINE_MAX_LEN, &len, err);
    if (code != 0)
        return code;
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    line[len] = '\0';
    size_t head_len = (size_t)snprintf(head, sizeof head, "footbridge %s key: ", kinds[kind].kind);
    if (strncmp(line, head, head_len) != 0) {
        code = fail(err, FB_ERR_MALFORMED, "%s: not a footbridge %s key", path, kinds[kind].kind);
    } else if (fb_base64url_decode(line + head_len, len - head_len, checked, sizeof checked) != 0) {
        code = fail(err, FB_ERR_MALFORMED, "%s: the key is damaged", path);
    } else {
        with_check(checked, expected);
        if (fb_equal(checked, expected, sizeof checked))
            memcpy(key, checked, FB_KEY_LEN);
        else
            code = fail(err, FB_ERR_MALFORMED, "%s: the key is damaged", path);
    }
    fb_wipe(line, sizeof line);
    fb_wipe(checked, sizeof checked);
    fb_wipe(expected, sizeof expected);
    return code;
}

int fb_key_public(enum fb_key_kind kind, const uint8_t key[static FB_KEY_LEN],
                  uint8_t public_key[static FB_KEY_LEN]) {
    switch (kind) {
    case FB_KEY_NETWORK:
    case FB_KEY_TICKET: return fb_ed25519_public(key, public_key);
    case FB_KEY_SEALING:
    case FB_KEY_EGRESS: return fb_x25519_public(key, public_key);
    case FB_KEY_LINK: break;
    }
    return FB_ERR_STATE;
}

/* ---- public files ---- */

int fb_network_files_read(const char *dir, uint64_t now_s, struct fb_network_files *files,
                          char err[static FB_KEYS_ERR_MAX]) {
    char path[FB_KEYS_PATH_MAX], text[FB_JOIN_MAX + 2];
    size_t len;
    int code = join_path(dir, "join-link", path, err);
    if (code == 0)
        code = slurp(path, false, text, sizeof text - 1, &len, err);
    if (code != 0)
        return code;
    text[len] = '\0';
    code = fb_join_parse(fb_crypto_openssl(), text, &files->join);
    if (code != 0)
        return fail(err, code, "%s: %s", path, fb_join_strerror(code));
    code = join_path(dir, "network.document", path, err);
    if (code == 0)
        code = slurp(path, false, files->bytes, sizeof files->bytes, &files->len, err);
    if (code != 0)
        return code;
    code = fb_document_verify(fb_crypto_openssl(), files->join.network, files->bytes, files->len,
                              now_s, 0, &files->document);
    if (code != 0)
        return fail(err, code, "%s: %s", path, fb_document_strerror(code));
    const char *exposed = now_s == 0 ? NULL : fb_document_exposed(&files->document);
    if (exposed != NULL)
        return fail(err, FB_ERR_DENIED,
                    "%s: names %s, without TLS; sign it again with https:// and wss:// addresses",
                    path, exposed);
    return 0;
}

/* Puts a public file in the place of the old one in one step. */
static int replace(const char *dir, const char *file, const void *bytes, size_t len,
                   char err[static FB_KEYS_ERR_MAX]) {
    char path[FB_KEYS_PATH_MAX], fresh[FB_KEYS_PATH_MAX];
    int code = join_path(dir, file, path, err);
    if (code != 0)
        return code;
    int n = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return fail(err, FB_ERR_TOO_BIG, "%.80s...: the path is too long", dir);
    unlink(fresh); /* what a run that was cut short has left */
    code = create(fresh, 0644, bytes, len, err);
    if (code == 0 && rename(fresh, path) != 0)
        code = fail(err, FB_ERR_IO, "%s: %s", path, strerror(errno));
    return code;
}

int fb_network_files_write(const char *dir, const struct fb_network_files *files,
                           char err[static FB_KEYS_ERR_MAX]) {
    char text[FB_JOIN_MAX + 2];
    int code = fb_join_format(fb_crypto_openssl(), &files->join, text);
    if (code != 0)
        return fail(err, code, "join link: %s", fb_join_strerror(code));
    size_t len = strlen(text);
    text[len++] = '\n';
    code = replace(dir, "join-link", text, len, err);
    return code != 0 ? code : replace(dir, "network.document", files->bytes, files->len, err);
}
