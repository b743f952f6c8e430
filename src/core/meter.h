/*
 * How many bytes a second went by of late: counted over half seconds, so that a rate is never older
 * than one of them and falls to nothing when nothing comes any more.
 */
#ifndef FB_CORE_METER_H
#define FB_CORE_METER_H

#include <stdint.h>

#define FB_METER_US UINT64_C(500000)

struct fb_meter { /* zeroed at birth */
    uint64_t total;
    uint64_t start, bytes, before; /* of the running half second; bytes of the one before */
};

void fb_meter_add(struct fb_meter *meter, uint64_t bytes, uint64_t now);
/* Bytes a second. */
uint64_t fb_meter_rate(const struct fb_meter *meter, uint64_t now);

#endif
