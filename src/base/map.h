/*
 * Hash map from byte strings of one fixed length to pointers. Keys may come from the network: the
 * hash is SipHash-1-3 under a random seed, so that nobody can aim at one bucket. Lookups are not
 * constant-time; do not use secrets as keys where that matters.
 */
#ifndef FB_BASE_MAP_H
#define FB_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

#define FB_MAP_KEY_MAX 64

struct fb_map;

/* key_len: 1 to FB_MAP_KEY_MAX. Returns NULL when out of memory. */
struct fb_map *fb_map_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t key_len);
/* Frees the map, not what its values point to. */
void fb_map_free(struct fb_map *map);
size_t fb_map_count(const struct fb_map *map);
/* NULL when absent. */
void *fb_map_get(const struct fb_map *map, const void *key);
/* value is not NULL. 0, FB_ERR_USED when the key is present (nothing changes), FB_ERR_NOMEM. */
int fb_map_put(struct fb_map *map, const void *key, void *value);
/* Removes and returns the value; NULL when absent. */
void *fb_map_take(struct fb_map *map, const void *key);
/*
 * Iteration: start with *cursor = 0; gives each value once, then NULL. The map must not change
 * meanwhile.
 */
void *fb_map_next(const struct fb_map *map, size_t *cursor);

#endif
