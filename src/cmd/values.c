#include "cmd/values.h"

#include <string.h>

#include "base/addr.h"

/* At most 15 digits, so that nothing overflows. */
static bool digits(const char **at, uint64_t *out, unsigned *count) {
    *out = 0;
    for (*count = 0; **at >= '0' && **at <= '9' && *count < 15; ++*count)
        *out = *out * 10 + (uint64_t)(*(*at)++ - '0');
    return *count > 0 && !(**at >= '0' && **at <= '9');
}

bool fb_value_amount(const char *value, void *to) {
    static const char letters[] = "kMGT";
    uint64_t whole, part = 0, unit = 1, thousandths;
    unsigned count, decimals = 0;
    if (!digits(&value, &whole, &count))
        return false;
    if (*value == '.' && (value++, !digits(&value, &part, &decimals) || decimals > 3))
        return false;
    for (; decimals < 3; decimals++)
        part *= 10;
    const char *letter = *value != '\0' ? strchr(letters, *value) : NULL;
    for (const char *at = letters; letter != NULL && at <= letter; at++)
        unit *= 1000;
    if ((letter == NULL ? *value : value[1]) != '\0')
        return false;
    if (__builtin_mul_overflow(whole * 1000 + part, unit, &thousandths))
        return false;
    if (to != NULL)
        *(uint64_t *)to = thousandths / 1000;
    return true;
}

static bool time_of_day(const char **at, uint16_t *out) {
    uint64_t hour, minute;
    unsigned count;
    if (!digits(at, &hour, &count) || count > 2 || hour > 24 || *(*at)++ != ':')
        return false;
    if (!digits(at, &minute, &count) || count != 2 || minute > 59 || hour * 60 + minute > 24 * 60)
        return false;
    *out = (uint16_t)((hour * 60 + minute) % (24 * 60));
    return true;
}

bool fb_value_hours(const char *value, void *to) {
    struct fb_hours hours;
    if (!time_of_day(&value, &hours.from) || *value++ != '-' || !time_of_day(&value, &hours.to) ||
        *value != '\0')
        return false;
    if (to != NULL)
        *(struct fb_hours *)to = hours;
    return true;
}

bool fb_value_listen(const char *value, void *to) {
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    const char *at = value;
    uint64_t port;
    unsigned count;
    if (digits(&at, &port, &count) && *at == '\0' && port <= 65535)
        addr.port = (uint16_t)port;
    else if (fb_addr_parse_port(value, strlen(value), &addr) != 0)
        return false;
    if (to != NULL)
        *(struct fb_addr *)to = addr;
    return true;
}
