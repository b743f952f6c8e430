/* Published test vectors are written as hexadecimal text. */
#ifndef FB_TEST_HEX_H
#define FB_TEST_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t hex_digit(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Decodes text into out (which is large enough) and returns the number of bytes. */
static inline size_t unhex(const char *text, uint8_t *out) {
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return len;
}

#endif
