#include "role/quota.h"

#define SECOND_US UINT64_C(1000000)

/* The generic cell rate algorithm: one time stamp instead of a level that must be refilled. */
static uint64_t cell_us(const struct fb_quota_limits *limits) {
    return SECOND_US / limits->per_second;
}

bool fb_quota_fits(const struct fb_quota *quota, const struct fb_quota_limits *limits,
                   uint64_t now_us) {
    if (limits->at_once != 0 && quota->held >= limits->at_once)
        return false;
    if (limits->per_second == 0 || quota->spent_until_us <= now_us)
        return true;
    uint64_t cell = cell_us(limits);
    return quota->spent_until_us - now_us + cell <= cell * limits->burst;
}

void fb_quota_take(struct fb_quota *quota, const struct fb_quota_limits *limits, uint64_t now_us) {
    quota->held++;
    if (limits->per_second == 0)
        return;
    if (quota->spent_until_us < now_us)
        quota->spent_until_us = now_us;
    quota->spent_until_us += cell_us(limits);
}

void fb_quota_give(struct fb_quota *quota) {
    if (quota->held > 0)
        quota->held--;
}

bool fb_quota_is_fresh(const struct fb_quota *quota, uint64_t now_us) {
    return quota->held == 0 && quota->spent_until_us <= now_us;
}
