/* What core uses of <string.h>, for the freestanding build; src/wasm/memory.c has the bodies. */
#ifndef FB_INCLUDE_STRING_H
#define FB_INCLUDE_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *at, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *at, int value, size_t len);
size_t strlen(const char *text);

#endif
