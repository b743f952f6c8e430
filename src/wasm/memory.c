/* The C library's part. Compiled without LTO: the linker adds calls of these by name. */
#include <stddef.h>
#include <stdint.h>

#include "wasm/include/string.h"

/* With -mbulk-memory these builtins are one instruction each, not calls of themselves. */
void *memcpy(void *restrict to, const void *restrict from, size_t len) {
    return __builtin_memcpy(to, from, len);
}

void *memmove(void *to, const void *from, size_t len) {
    return __builtin_memmove(to, from, len);
}

void *memset(void *at, int value, size_t len) {
    return __builtin_memset(at, value, len);
}

int memcmp(const void *a, const void *b, size_t len) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < len; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

void *memchr(const void *at, int value, size_t len) {
    const uint8_t *bytes = at;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == (uint8_t)value)
            return (void *)(uintptr_t)(bytes + i);
    return NULL;
}

size_t strlen(const char *text) {
    size_t len = 0;
    while (text[len] != '\0')
        len++;
    return len;
}
