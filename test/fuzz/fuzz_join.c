/* Join links as text: whatever is accepted formats, and reads back as the same link. */
#include <stdlib.h>
#include <string.h>

#include "core/join.h"
#include "null_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char text[FB_JOIN_MAX + 64], formatted[FB_JOIN_MAX + 1];
    static struct fb_join link, again;
    const struct fb_crypto *crypto = fb_crypto_null(true);
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int err = fb_join_parse(crypto, text, &link);
    if (fb_join_strerror(err) == NULL)
        abort();
    if (err != 0)
        return 0;
    if (fb_join_format(crypto, &link, formatted) != 0 ||
        fb_join_parse(crypto, formatted, &again) != 0 || memcmp(&link, &again, sizeof link) != 0)
        abort();
    return 0;
}
