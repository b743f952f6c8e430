/* core/proxyhead: the first byte says how large the pieces are, the rest comes from the app. What
 * goes to the origin must be one well-formed head for the destination that was named. */
#include <stdlib.h>
#include <string.h>

#include "core/proxyhead.h"

static void *plain_alloc(void *ctx, size_t len) {
    return calloc(1, len);
}

static void plain_free(void *ctx, void *ptr) {
    free(ptr);
}

static void check_ready(const struct fb_proxyhead *ph) {
    const struct fb_dest *dest = fb_proxyhead_dest(ph);
    struct fb_dest again;
    uint8_t wire[FB_DEST_MAX];
    size_t used, len = fb_dest_write(dest, wire);
    if (fb_dest_read(&again, wire, len, &used) != 0 || memcmp(dest, &again, sizeof again) != 0)
        abort();
    const uint8_t *first = fb_proxyhead_first(ph, &len);
    if (len == 0)
        return;
    static const char end[] = "\r\nConnection: close\r\n\r\n";
    if (len < sizeof end || memcmp(first + len - (sizeof end - 1), end, sizeof end - 1) != 0)
        abort();
    if (memmem(first, len, "\r\n\r\n", 4) != first + len - 4 ||
        memmem(first, len, "\r\nProxy-", 8) != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct fb_mem mem = {plain_alloc, plain_free, NULL};
    if (size == 0)
        return 0;
    size_t step = data[0] == 0 ? size : data[0], at = 1;
    struct fb_proxyhead *ph = fb_proxyhead_new(&mem);
    enum fb_proxy_state state = FB_PROXY_MORE;
    while (state == FB_PROXY_MORE && at < size) {
        size_t piece = size - at < step ? size - at : step, used, said;
        state = fb_proxyhead_feed(ph, data + at, piece, &used);
        if (used > piece || (used == 0 && state == FB_PROXY_MORE))
            abort();
        fb_proxyhead_output(ph, &said);
        if (said > FB_PROXYHEAD_REPLY_MAX)
            abort();
        at += used;
    }
    if (state == FB_PROXY_READY)
        check_ready(ph);
    for (int status = 0; status < 256 && state == FB_PROXY_READY; status++) {
        uint8_t out[FB_PROXYHEAD_REPLY_MAX];
        if (fb_proxyhead_reply(ph, (uint8_t)status, out) > sizeof out)
            abort();
    }
    fb_proxyhead_free(ph);
    return 0;
}
