/* core/describe, compact form: what is read has one form; what is valid survives SDP and filter. */
#include <stdlib.h>
#include <string.h>

#include "core/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fb_desc desc, again;
    uint8_t compact[FB_DESC_COMPACT_MAX];
    char text[FB_SDP_MAX];
    if (fb_desc_decode(&desc, data, size) != 0)
        return 0;
    int len = fb_desc_encode(&desc, compact, sizeof compact);
    if (len < 0 || (size_t)len != size || memcmp(compact, data, size) != 0)
        abort();
    len = fb_desc_to_sdp(&desc, text, sizeof text);
    if (len < 0 || fb_desc_from_sdp(&again, text, (size_t)len) != 0 ||
        fb_desc_encode(&again, compact, sizeof compact) != (int)size ||
        memcmp(compact, data, size) != 0)
        abort();
    fb_desc_filter(&desc, size % 2 == 0);
    if (!fb_desc_valid(&desc) || (size % 2 != 0 && desc.candidate_count > 4))
        abort();
    return 0;
}
