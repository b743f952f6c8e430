/* Base64 with the alphabet for URLs and without padding (RFC 4648 section 5). */
#ifndef FB_BASE_BASE64URL_H
#define FB_BASE_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

/* Characters that len bytes become, without a NUL. */
#define FB_BASE64URL_LEN(len) (((len)*4 + 2) / 3)

/* Writes FB_BASE64URL_LEN(len) characters and a NUL to out. */
void fb_base64url_encode(const void *bytes, size_t len, char *out);

/*
 * Decodes text_len characters, which must be the one encoding of exactly len bytes (no padding, no
 * blanks, unused bits zero). 0 or FB_ERR_MALFORMED.
 */
int fb_base64url_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

#endif
