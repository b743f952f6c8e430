#include "core/tokens.h"

#include "base/err.h"
#include "base/map.h"

struct entry {
    struct fb_session *session;
    uint32_t path;
};

struct fb_tokens {
    const struct fb_mem *mem;
    const struct fb_rng *rng;
    size_t max;
    struct fb_map *map;
};

struct fb_tokens *fb_tokens_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t max) {
    struct fb_tokens *tokens = fb_alloc(mem, sizeof *tokens);
    if (tokens == NULL)
        return NULL;
    *tokens = (struct fb_tokens){mem, rng, max, fb_map_new(mem, rng, FB_TOKEN_LEN)};
    if (tokens->map == NULL) {
        fb_free(mem, tokens);
        return NULL;
    }
    return tokens;
}

void fb_tokens_free(struct fb_tokens *tokens) {
    if (tokens == NULL)
        return;
    fb_map_free(tokens->map);
    fb_free(tokens->mem, tokens);
}

size_t fb_tokens_count(const struct fb_tokens *tokens) {
    return fb_map_count(tokens->map);
}

int fb_tokens_put(struct fb_tokens *tokens, struct fb_session *session, uint32_t path,
                  uint8_t token[static FB_TOKEN_LEN]) {
    if (fb_map_count(tokens->map) >= tokens->max)
        return FB_ERR_LIMIT;
    struct entry *entry = fb_alloc(tokens->mem, sizeof *entry);
    if (entry == NULL)
        return FB_ERR_NOMEM;
    *entry = (struct entry){session, path};
    fb_random(tokens->rng, token, FB_TOKEN_LEN);
    int err = fb_map_put(tokens->map, token, entry);
    if (err != 0)
        fb_free(tokens->mem, entry);
    return err;
}

struct fb_session *fb_tokens_take(struct fb_tokens *tokens,
                                  const uint8_t token[static FB_TOKEN_LEN], uint32_t *path) {
    struct entry *entry = fb_map_take(tokens->map, token);
    if (entry == NULL)
        return NULL;
    struct fb_session *session = entry->session;
    *path = entry->path;
    fb_free(tokens->mem, entry);
    return session;
}
