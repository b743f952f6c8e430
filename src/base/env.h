/*
 * What sans-IO code is handed at birth instead of taking it from the world: memory and randomness.
 * Both outlive every object made with them.
 */
#ifndef FB_BASE_ENV_H
#define FB_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

/* alloc returns zeroed memory or NULL; free accepts NULL. */
struct fb_mem {
    void *(*alloc)(void *ctx, size_t len);
    void (*free)(void *ctx, void *ptr);
    void *ctx;
};

static inline void *fb_alloc(const struct fb_mem *mem, size_t len) {
    return mem->alloc(mem->ctx, len);
}

static inline void fb_free(const struct fb_mem *mem, void *ptr) {
    mem->free(mem->ctx, ptr);
}

/* fill writes len unpredictable bytes; it cannot fail (without entropy an implementation aborts) */
struct fb_rng {
    void (*fill)(void *ctx, uint8_t *out, size_t len);
    void *ctx;
};

static inline void fb_random(const struct fb_rng *rng, uint8_t *out, size_t len) {
    rng->fill(rng->ctx, out, len);
}

#endif
