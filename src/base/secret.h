/* Handling of secrets: wiping that the compiler keeps, comparison in constant time. */
#ifndef FB_BASE_SECRET_H
#define FB_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Overwrites len bytes with zero; never optimised away. */
void fb_wipe(void *ptr, size_t len);

/* True when both ranges hold the same bytes. Time depends on len alone. */
bool fb_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
