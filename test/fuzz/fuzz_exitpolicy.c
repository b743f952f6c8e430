/* core/exitpolicy: lines of the input are rules; none may open a special-purpose address. */
#include <stdlib.h>
#include <string.h>

#include "core/exitpolicy.h"

static void *plain_alloc(void *ctx, size_t len) {
    return calloc(1, len);
}

static void plain_free(void *ctx, void *ptr) {
    free(ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct fb_mem mem = {plain_alloc, plain_free, NULL};
    struct fb_exit_policy *policy = fb_exit_policy_new(&mem);
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line == NULL ? end : line) - at);
        fb_exit_policy_rule(policy, at, len);
        at += len + 1;
    }
    struct fb_addr addr = {.family = 4, .ip = {169, 254, 169, 254}, .port = 80};
    if (fb_exit_policy_allows(policy, &addr))
        abort();
    addr = (struct fb_addr){.family = 6, .ip = {[15] = 1}, .port = 443};
    if (fb_exit_policy_allows(policy, &addr))
        abort();
    fb_exit_policy_free(policy);
    return 0;
}
