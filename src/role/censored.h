/*
 * Countries whose people are told by the widget that it is for helping others, and are offered the
 * reader's program instead: being a volunteer there is a risk, and helps less.
 */
#ifndef FB_ROLE_CENSORED_H
#define FB_ROLE_CENSORED_H

#include <stdbool.h>
#include <stdint.h>

/* Where public measurements (OONI, Censored Planet) and Freedom House's yearly report on the net
 * find many news sites blocked at once, for years. An operator may name others. */
#define FB_CENSORED_USUAL "AZ BY CN CU EG ER IR KP MM RU SA TJ TM UZ VE VN"

/* Bit b of row a: the country of letters 'A' + a, 'A' + b. */
struct fb_censored {
    uint32_t rows[26];
};

/* Codes (ISO 3166-1 alpha-2) apart by spaces or commas; "none" is no country. Replaces what is
 * there. False: not such a list. */
bool fb_censored_parse(struct fb_censored *censored, const char *text);
/* Two zero bytes, unknown, are not. */
bool fb_censored_has(const struct fb_censored *censored, const uint8_t country[static 2]);

#endif
