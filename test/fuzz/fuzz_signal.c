/* core/signal: the first byte picks the kind of message; what is read gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(int len, const uint8_t *again, const uint8_t *data, size_t size) {
    if (len < 0 || (size_t)len != size || memcmp(again, data, size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    union {
        struct fb_offer offer;
        struct fb_answer answer;
        struct fb_vol_msg vol;
        struct fb_link_msg link;
    } u;
    uint8_t out[FB_LINK_MAX];
    if (size == 0)
        return 0;
    unsigned which = *data++ % 4;
    size--;
    if (which == 0 && fb_offer_decode(&u.offer, data, size) == 0)
        same(fb_offer_encode(&u.offer, out), out, data, size);
    if (which == 1 && fb_answer_decode(&u.answer, data, size) == 0)
        same(fb_answer_encode(&u.answer, out), out, data, size);
    if (which == 2 && fb_vol_decode(&u.vol, data, size) == 0)
        same(fb_vol_encode(&u.vol, out, sizeof out), out, data, size);
    if (which == 3 && fb_link_decode(&u.link, data, size) == 0)
        same(fb_link_encode(&u.link, out, sizeof out), out, data, size);
    return 0;
}
