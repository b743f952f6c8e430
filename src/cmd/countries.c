#include "cmd/countries.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "role/censored.h"

int fb_countries_read(const char *asked, struct fb_geoip **out,
                      char why[static FB_COUNTRIES_WHY_MAX]) {
    const char *dir = asked != NULL ? asked : FB_GEOIP_DIR;
    why[0] = '\0';
    *out = fb_geoip_new();
    int err = *out == NULL ? FB_ERR_NOMEM : fb_geoip_load(*out, dir);
    if (err == 0)
        return 0;
    if (asked != NULL) {
        snprintf(why, FB_COUNTRIES_WHY_MAX, "--geoip %.300s: no full country tables there (%s)",
                 asked, fb_strerror(err));
        return err;
    }
    snprintf(why, FB_COUNTRIES_WHY_MAX,
             "%s: no full country tables (%s); volunteers of unknown country may be matched with "
             "anybody",
             dir, fb_strerror(err));
    return 0;
}

bool fb_value_censored(const char *value, void *to) {
    struct fb_censored censored;
    return fb_censored_parse(to != NULL ? to : &censored, value);
}

bool fb_value_country(const char *value, void *to) {
    if (strlen(value) != 2 || strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2)
        return false;
    if (to != NULL)
        memcpy(to, value, 2);
    return true;
}
