/* The options --geoip and --censored of `serve` and `broker`, and --country of `demo`. */
#ifndef FB_CMD_COUNTRIES_H
#define FB_CMD_COUNTRIES_H

#include "net/geoip.h"

#define FB_COUNTRIES_WHY_MAX 512

/*
 * Reads the tables from the directory that was asked for, or for NULL from FB_GEOIP_DIR. 0: *out
 * has what there is, and why is empty, or says (only without a directory asked for) which tables
 * are missing. Tables that were asked for and are not there are an error, with why as its line. The
 * caller frees *out, with an error too.
 */
int fb_countries_read(const char *asked, struct fb_geoip **out,
                      char why[static FB_COUNTRIES_WHY_MAX]);

/* For struct fb_option's parse: codes of countries, to struct fb_censored; one, to two bytes. */
#define FB_VALUE_CENSORED "codes of countries like CN,IR,RU, or none"
bool fb_value_censored(const char *value, void *to);
#define FB_VALUE_COUNTRY "two capital letters"
bool fb_value_country(const char *value, void *to);

#endif
