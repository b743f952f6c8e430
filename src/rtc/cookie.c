#include "rtc/cookie.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* RFC 9260 sections 3, 3.3.3 and 3.3.11. */
#define COMMON_HEADER 12
#define CHUNK_HEADER 4
#define PARAM_HEADER 4
#define INIT_ACK 2
#define INIT_ACK_FIXED 16
#define COOKIE_ECHO 10
#define STATE_COOKIE 7

/* HMAC-SHA1 over the rest, at the end of usrsctp's cookie. ChaCha20 takes 16 bytes of it. */
#define MAC 20

static uint8_t key[32];
static bool started;

void fb_cookie_start(void) {
    if (!started && RAND_bytes(key, sizeof key) != 1)
        abort(); /* without randomness there is no DTLS either */
    started = true;
}

static size_t u16(const uint8_t *bytes) {
    return (size_t)bytes[0] << 8 | bytes[1];
}

/* In an INIT ACK chunk of len bytes; the offset in it, or 0. */
static size_t find_param(const uint8_t *chunk, size_t len, size_t *count) {
    size_t at = CHUNK_HEADER + INIT_ACK_FIXED;
    while (at + PARAM_HEADER <= len) {
        size_t param = u16(chunk + at + 2);
        if (param < PARAM_HEADER || param > len - at)
            return 0;
        if (u16(chunk + at) == STATE_COOKIE) {
            *count = param - PARAM_HEADER;
            return at + PARAM_HEADER;
        }
        at += (param + 3) & ~(size_t)3;
    }
    return 0;
}

bool fb_cookie_find(const uint8_t *packet, size_t len, bool echo, size_t *at, size_t *count) {
    if (len < COMMON_HEADER + CHUNK_HEADER)
        return false;
    const uint8_t *chunk = packet + COMMON_HEADER;
    size_t chunk_len = u16(chunk + 2);
    if (chunk[0] != (echo ? COOKIE_ECHO : INIT_ACK) || chunk_len < CHUNK_HEADER ||
        chunk_len > len - COMMON_HEADER)
        return false;
    if (echo) {
        *at = COMMON_HEADER + CHUNK_HEADER;
        *count = chunk_len - CHUNK_HEADER;
        return true;
    }
    size_t param = find_param(chunk, chunk_len, count);
    *at = COMMON_HEADER + param;
    return param != 0;
}

bool fb_cookie_mask(uint64_t id, uint8_t *cookie, size_t len) {
    uint8_t iv[16];
    int done = 0;
    if (len < MAC)
        return false;
    size_t secret = len - MAC;
    memcpy(iv, cookie + secret, sizeof iv);
    for (size_t i = 0; i < sizeof id; i++)
        iv[sizeof iv - 1 - i] ^= (uint8_t)(id >> 8 * i);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_chacha20(), NULL, key, iv) == 1 &&
                EVP_EncryptUpdate(ctx, cookie, &done, cookie, (int)secret) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}
