/* core/hop: what is read gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_known(uint8_t type) {
    return (type >= FB_HOP_QUEUE && type <= FB_HOP_FAREWELL) ||
           (type >= FB_HOP_LANE_OFFER && type <= FB_HOP_FULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fb_hop_msg msg;
    uint8_t out[FB_HOP_MAX];
    if (fb_hop_decode(&msg, data, size) != 0 || !is_known(msg.type))
        return 0;
    int len = fb_hop_encode(&msg, out, sizeof out);
    if (len < 0 || (size_t)len != size || memcmp(out, data, size) != 0)
        abort();
    return 0;
}
