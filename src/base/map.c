#include "base/map.h"

#include <string.h>

#include "base/err.h"

/* Open addressing with linear probing and backward-shift deletion; at most 3/4 full. */
struct slot {
    uint64_t hash;
    void *value; /* NULL: empty */
};

struct fb_map {
    const struct fb_mem *mem;
    uint64_t seed[2];
    size_t key_len, count, cap; /* cap is 0 or a power of two */
    struct slot *slots;
    uint8_t *keys;
};

static uint64_t rotl(uint64_t x, int b) {
    return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

/* SipHash (Aumasson, Bernstein 2012) with 1 compression and 3 finalisation rounds. */
static uint64_t siphash13(const uint64_t seed[2], const uint8_t *p, size_t len) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                     seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    uint64_t word, last = (uint64_t)len << 56;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct fb_map *fb_map_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t key_len) {
    if (key_len == 0 || key_len > FB_MAP_KEY_MAX)
        return NULL;
    struct fb_map *map = fb_alloc(mem, sizeof *map);
    if (map == NULL)
        return NULL;
    map->mem = mem;
    map->key_len = key_len;
    fb_random(rng, (uint8_t *)map->seed, sizeof map->seed);
    return map;
}

void fb_map_free(struct fb_map *map) {
    if (map == NULL)
        return;
    fb_free(map->mem, map->slots);
    fb_free(map->mem, map->keys);
    fb_free(map->mem, map);
}

size_t fb_map_count(const struct fb_map *map) {
    return map->count;
}

/* Index of the key, or of the empty slot where it would go. cap must not be 0. */
static size_t find(const struct fb_map *map, const void *key, uint64_t hash) {
    size_t i = hash & (map->cap - 1);
    while (map->slots[i].value != NULL &&
           (map->slots[i].hash != hash ||
            memcmp(map->keys + i * map->key_len, key, map->key_len) != 0))
        i = (i + 1) & (map->cap - 1);
    return i;
}

void *fb_map_get(const struct fb_map *map, const void *key) {
    if (map->cap == 0)
        return NULL;
    return map->slots[find(map, key, siphash13(map->seed, key, map->key_len))].value;
}

static int grow(struct fb_map *map) {
    size_t cap = map->cap == 0 ? 8 : map->cap * 2;
    struct fb_map bigger = *map;
    bigger.cap = cap;
    bigger.slots = fb_alloc(map->mem, cap * sizeof *bigger.slots);
    bigger.keys = fb_alloc(map->mem, cap * map->key_len);
    if (bigger.slots == NULL || bigger.keys == NULL) {
        fb_free(map->mem, bigger.slots);
        fb_free(map->mem, bigger.keys);
        return FB_ERR_NOMEM;
    }
    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].value == NULL)
            continue;
        const uint8_t *key = map->keys + i * map->key_len;
        size_t at = find(&bigger, key, map->slots[i].hash);
        bigger.slots[at] = map->slots[i];
        memcpy(bigger.keys + at * map->key_len, key, map->key_len);
    }
    fb_free(map->mem, map->slots);
    fb_free(map->mem, map->keys);
    *map = bigger;
    return 0;
}

int fb_map_put(struct fb_map *map, const void *key, void *value) {
    if (map->count + 1 > map->cap - map->cap / 4) {
        int err = grow(map);
        if (err != 0)
            return err;
    }
    uint64_t hash = siphash13(map->seed, key, map->key_len);
    size_t at = find(map, key, hash);
    if (map->slots[at].value != NULL)
        return FB_ERR_USED;
    map->slots[at] = (struct slot){hash, value};
    memcpy(map->keys + at * map->key_len, key, map->key_len);
    map->count++;
    return 0;
}

void *fb_map_take(struct fb_map *map, const void *key) {
    if (map->cap == 0)
        return NULL;
    size_t mask = map->cap - 1;
    size_t hole = find(map, key, siphash13(map->seed, key, map->key_len));
    void *value = map->slots[hole].value;
    if (value == NULL)
        return NULL;
    for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        /* An element may fill the hole unless its home lies cyclically in (hole, i]. */
        if (((i - map->slots[i].hash) & mask) < ((i - hole) & mask))
            continue;
        map->slots[hole] = map->slots[i];
        memcpy(map->keys + hole * map->key_len, map->keys + i * map->key_len, map->key_len);
        hole = i;
    }
    map->slots[hole].value = NULL;
    map->count--;
    return value;
}

void *fb_map_next(const struct fb_map *map, size_t *cursor) {
    while (*cursor < map->cap) {
        void *value = map->slots[(*cursor)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}
