#include "core/meter.h"

void fb_meter_add(struct fb_meter *meter, uint64_t bytes, uint64_t now) {
    uint64_t past = now - meter->start;
    meter->total += bytes;
    if (past >= FB_METER_US) {
        meter->before = past < 2 * FB_METER_US ? meter->bytes : 0;
        meter->bytes = 0;
        meter->start = now - past % FB_METER_US;
    }
    meter->bytes += bytes;
}

uint64_t fb_meter_rate(const struct fb_meter *meter, uint64_t now) {
    uint64_t past = now - meter->start, before = meter->before, bytes = meter->bytes;
    if (past >= FB_METER_US) {
        before = past < 2 * FB_METER_US ? bytes : 0;
        bytes = 0;
        past %= FB_METER_US;
    }
    return (before + bytes) * 1000000 / (FB_METER_US + past);
}
