/*
 * An attach message as an egress judges it: ticket, then first message. Signatures pass, so that
 * the fields behind them are reached; what was accepted is used twice, and the second time must
 * fail.
 */
#include <stdlib.h>

#include "base/err.h"
#include "core/ticket.h"
#include "null_crypto.h"

#define NOW UINT64_C(1800000000)

static void *heap_alloc(void *ctx, size_t len) {
    return calloc(1, len);
}

static void heap_free(void *ctx, void *ptr) {
    free(ptr);
}

static void fill(void *ctx, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t process[FB_PROCESS_ID_LEN];
    const struct fb_mem mem = {heap_alloc, heap_free, NULL};
    const struct fb_rng rng = {fill, NULL};
    const struct fb_crypto *crypto = fb_crypto_null(false);
    size_t ticket_len = size < FB_TICKET_LEN ? size : FB_TICKET_LEN;
    struct fb_ticket_key key = {.id = 0};
    struct fb_ticket ticket;
    int err = fb_ticket_check(crypto, data, ticket_len, &key, 1, process, data + ticket_len,
                              size - ticket_len, NOW, &ticket);
    if (fb_ticket_strerror(err) == NULL)
        abort();
    if (err != 0)
        return 0;
    struct fb_replay *replay = fb_replay_new(&mem, &rng, 2);
    if (fb_replay_use(replay, &ticket, NOW) != 0 ||
        fb_replay_use(replay, &ticket, NOW) != FB_ERR_USED)
        abort();
    fb_replay_free(replay);
    return 0;
}
