/*
 * Values of options that are more than a number, for struct fb_option's parse: false: not of that
 * form; to NULL: only checks.
 */
#ifndef FB_CMD_VALUES_H
#define FB_CMD_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* "50G", "1.5M", "250000": a number with at most three decimals and k, M, G or T, powers of 1,000.
 * to: uint64_t. */
#define FB_VALUE_AMOUNT "a number like 500k, 2.5M or 50G"
bool fb_value_amount(const char *value, void *to);

/* "22:00-06:30", minutes of the day; both the same: always. */
struct fb_hours {
    uint16_t from, to;
};
#define FB_VALUE_HOURS "hours like 22:00-06:30"
bool fb_value_hours(const char *value, void *to);

/* "9100" or "192.0.2.7:9100"; without an address, loopback. to: struct fb_addr. */
#define FB_VALUE_LISTEN "PORT or ADDRESS:PORT"
bool fb_value_listen(const char *value, void *to);

#endif
