#include "core/bucket.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"

#define KEY_LEN 9

/* Instead of a count and a time, the one time at which the bucket will be full (the generic cell
 * rate algorithm, ITU-T I.371): a bucket whose time has passed tells nothing and can go. */
struct bucket {
    struct fb_list link; /* in the order of last use */
    uint8_t key[KEY_LEN];
    uint64_t full_us;
};

struct fb_buckets {
    const struct fb_mem *mem;
    struct fb_map *map;
    struct fb_list used;
    uint64_t interval_us, span_us;
    size_t max;
};

struct fb_buckets *fb_buckets_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                  uint32_t burst, uint64_t interval_us, size_t max) {
    struct fb_buckets *buckets = fb_alloc(mem, sizeof *buckets);
    if (buckets == NULL)
        return NULL;
    buckets->mem = mem;
    buckets->interval_us = interval_us;
    buckets->span_us = interval_us * burst;
    buckets->max = max;
    fb_list_init(&buckets->used);
    buckets->map = fb_map_new(mem, rng, KEY_LEN);
    if (buckets->map == NULL) {
        fb_free(mem, buckets);
        return NULL;
    }
    return buckets;
}

static void drop(struct fb_buckets *buckets, struct bucket *bucket) {
    fb_map_take(buckets->map, bucket->key);
    fb_list_remove(&bucket->link);
    fb_free(buckets->mem, bucket);
}

void fb_buckets_free(struct fb_buckets *buckets) {
    if (buckets == NULL)
        return;
    FB_LIST_EACH (link, &buckets->used)
        drop(buckets, FB_CONTAINER(link, struct bucket, link));
    fb_map_free(buckets->map);
    fb_free(buckets->mem, buckets);
}

/* The least recently used come first and are the likeliest to be full: two looks for each newcomer
 * keep up with any growth. */
static void forget(struct fb_buckets *buckets, uint64_t now_us) {
    for (int i = 0; i < 2 && !fb_list_empty(&buckets->used); i++) {
        struct bucket *oldest = FB_CONTAINER(buckets->used.next, struct bucket, link);
        if (oldest->full_us > now_us)
            return;
        drop(buckets, oldest);
    }
}

static struct bucket *add(struct fb_buckets *buckets, const uint8_t key[KEY_LEN], uint64_t now_us) {
    forget(buckets, now_us);
    if (fb_map_count(buckets->map) >= buckets->max)
        return NULL;
    struct bucket *bucket = fb_alloc(buckets->mem, sizeof *bucket);
    if (bucket == NULL)
        return NULL;
    memcpy(bucket->key, key, KEY_LEN);
    if (fb_map_put(buckets->map, key, bucket) != 0) {
        fb_free(buckets->mem, bucket);
        return NULL;
    }
    fb_list_init(&bucket->link);
    return bucket;
}

bool fb_buckets_take(struct fb_buckets *buckets, const struct fb_addr *addr, uint64_t now_us) {
    uint8_t key[KEY_LEN] = {addr->family};
    memcpy(key + 1, addr->ip, addr->family == 4 ? 4 : 8);
    struct bucket *bucket = fb_map_get(buckets->map, key);
    if (bucket == NULL)
        bucket = add(buckets, key, now_us);
    if (bucket == NULL)
        return false;
    fb_list_remove(&bucket->link);
    fb_list_push(&buckets->used, &bucket->link);
    uint64_t full = (bucket->full_us > now_us ? bucket->full_us : now_us) + buckets->interval_us;
    if (full - now_us > buckets->span_us)
        return false;
    bucket->full_us = full;
    return true;
}

size_t fb_buckets_count(const struct fb_buckets *buckets) {
    return fb_map_count(buckets->map);
}
