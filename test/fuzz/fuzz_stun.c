/* core/stun: whatever comes, a reply is short and well-formed, and never answers a reply. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const struct fb_addr from[] = {{.family = 4, .ip = {192, 0, 2, 1}, .port = 1},
                                          {.family = 6, .ip = {0x20, 1}, .port = 65535}};
    uint8_t out[FB_STUN_REPLY_MAX], again[FB_STUN_REPLY_MAX];
    for (size_t i = 0; i < 2; i++) {
        size_t reply = fb_stun_respond(data, len, &from[i], out, sizeof out);
        if (reply == 0)
            continue;
        size_t body = (size_t)(out[2] << 8 | out[3]);
        if (reply > sizeof out || reply != body + 20 || reply > len + 40 ||
            memcmp(out + 4, data + 4, 16) != 0)
            abort();
        if (fb_stun_respond(out, reply, &from[i], again, sizeof again) != 0)
            abort();
    }
    return 0;
}
