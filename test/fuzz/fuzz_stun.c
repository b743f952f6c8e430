/* One datagram as the responder takes it, and as the answer to the question whose id it names. */
#include <stdlib.h>

#include "core/stun.h"
#include "core/stunask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct fb_addr from = {.family = 4, .ip = {192, 0, 2, 1}, .port = 1};
    uint8_t reply[FB_STUN_REPLY_MAX];
    struct fb_addr mapped;
    if (fb_stun_respond(data, size, &from, reply, sizeof reply) > sizeof reply)
        abort();
    if (size < 20)
        return 0;
    if (fb_stun_answer(data, size, data + 8, &mapped) == 0 &&
        ((mapped.family != 4 && mapped.family != 6) || mapped.port == 0))
        abort();
    return 0;
}
