/* core/describe, SDP text: whatever is taken can be said again in both forms. */
#include <stdlib.h>

#include "core/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fb_desc desc, again;
    uint8_t compact[FB_DESC_COMPACT_MAX];
    char text[FB_SDP_MAX];
    if (fb_desc_from_sdp(&desc, (const char *)data, size) != 0)
        return 0;
    int len = fb_desc_encode(&desc, compact, sizeof compact);
    if (len < 0 || fb_desc_decode(&again, compact, (size_t)len) != 0 ||
        fb_desc_to_sdp(&again, text, sizeof text) < 0)
        abort();
    return 0;
}
