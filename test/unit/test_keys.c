/* role/keys: files that are private, never overwritten, and told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/openssl.h"
#include "role/keys.h"

static char dir[] = "/tmp/footbridge-keys-XXXXXX";
static char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
static const uint8_t key[FB_KEY_LEN] = {1, 2, 3};
static uint8_t out[FB_KEY_LEN];

static int setup(void **state) {
    if (mkdtemp(dir) == NULL)
        return -1;
    return fb_key_path(dir, FB_KEY_TICKET, 0, path, err);
}

static int teardown(void **state) {
    static const char *const names[] = {"broker-ticket.key", "join-link", "network.document"};
    char at[FB_KEYS_PATH_MAX + 32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(at, sizeof at, "%s/%s", dir, names[i]);
        unlink(at);
    }
    int code = rmdir(dir); /* fails where something was left behind, ".new" files say */
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    return code;
}

static void put(const char *at, const char *text, mode_t mode) {
    unlink(at);
    FILE *file = fopen(at, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(at, mode), 0);
}

static void created_private_and_read_back(void **state) {
    struct stat st;
    umask(0);
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, key, err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), 0);
    assert_memory_equal(out, key, sizeof key);
}

static void never_overwritten(void **state) {
    const uint8_t other[FB_KEY_LEN] = {9};
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, key, err), 0);
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, other, err), FB_ERR_USED);
    assert_non_null(strstr(err, path));
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), 0);
    assert_memory_equal(out, key, sizeof key);
    /* Nor through a link that points to nothing. */
    unlink(path);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, key, err), FB_ERR_USED);
}

static void missing_or_open_to_others(void **state) {
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_NOT_FOUND);
    assert_non_null(strstr(err, path));
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, key, err), 0);
    static const mode_t open_modes[] = {0644, 0640, 0604, 0610};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_DENIED);
        assert_non_null(strstr(err, "chmod 600"));
    }
    assert_int_equal(fb_key_read(dir, FB_KEY_TICKET, out, err), FB_ERR_MALFORMED);
}

static void wrong_kind_or_damaged(void **state) {
    char line[256];
    assert_int_equal(fb_key_create(path, FB_KEY_TICKET, key, err), 0);
    assert_int_equal(fb_key_read(path, FB_KEY_EGRESS, out, err), FB_ERR_MALFORMED);
    assert_non_null(strstr(err, "not a footbridge egress key"));
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    size_t len = strlen(line);
    for (size_t i = strlen("footbridge ticket key: "); i + 1 < len; i++) {
        char was = line[i];
        line[i] = was == 'A' ? 'B' : 'A';
        put(path, line, 0600);
        assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_MALFORMED);
        line[i] = was;
    }
    line[len - 3] = '\0';
    put(path, line, 0600);
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_MALFORMED);
    put(path, "", 0600);
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_MALFORMED);
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    put(path, longer, 0600);
    assert_int_equal(fb_key_read(path, FB_KEY_TICKET, out, err), FB_ERR_MALFORMED);
}

static void public_files(void **state) {
    static struct fb_network_files files, back;
    const uint8_t seed[FB_KEY_LEN] = {7};
    files.document = (struct fb_document){
        .serial = 4, .issued_s = 100, .expires_s = 200, .broker_count = 1, .egress_count = 1};
    strcpy(files.document.brokers[0].url, "https://broker.example");
    strcpy(files.document.egresses[0].url, "wss://egress.example/v1/path");
    files.join.broker_count = 1;
    strcpy(files.join.brokers[0], "https://broker.example");
    assert_int_equal(fb_key_public(FB_KEY_NETWORK, seed, files.join.network), 0);
    assert_int_equal(fb_network_files_read(dir, 150, &back, err), FB_ERR_NOT_FOUND);
    for (int round = 0; round < 2; round++) { /* the second replaces the first */
        files.document.serial++;
        assert_int_equal(
            fb_document_encode(fb_crypto_openssl(), &files.document, seed, files.bytes, &files.len),
            0);
        assert_int_equal(fb_network_files_write(dir, &files, err), 0);
        assert_int_equal(fb_network_files_read(dir, 150, &back, err), 0);
        assert_memory_equal(&back.document, &files.document, sizeof back.document);
        assert_memory_equal(&back.join, &files.join, sizeof back.join);
    }
    assert_int_equal(fb_network_files_read(dir, 200, &back, err), FB_ERR_EXPIRED);
    assert_int_equal(fb_network_files_read(dir, 0, &back, err), 0);
    /* Without TLS it is of use to its operator alone, who mends it. */
    strcpy(files.document.brokers[0].url, "http://broker.example");
    assert_int_equal(
        fb_document_encode(fb_crypto_openssl(), &files.document, seed, files.bytes, &files.len), 0);
    assert_int_equal(fb_network_files_write(dir, &files, err), 0);
    assert_int_equal(fb_network_files_read(dir, 150, &back, err), FB_ERR_DENIED);
    assert_non_null(strstr(err, "http://broker.example"));
    assert_int_equal(fb_network_files_read(dir, 0, &back, err), 0);
    files.join.network[0] ^= 1;
    assert_int_equal(fb_network_files_write(dir, &files, err), 0);
    assert_int_equal(fb_network_files_read(dir, 150, &back, err), FB_ERR_AUTH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(created_private_and_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(never_overwritten, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_or_open_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_kind_or_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(public_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
