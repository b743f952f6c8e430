#include "rtc/crc32c.h"

#include <string.h>
#include <usrsctp.h>

/* usrsctp's function only reads, but does not say so. */
static uint32_t by_table(const uint8_t *data, size_t len) {
    return usrsctp_crc32c((void *)(uintptr_t)data, len);
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(const uint8_t *data, size_t len) {
    uint64_t crc = UINT32_MAX;
    for (; len >= 8; data += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t rest = (uint32_t)crc;
    for (; len > 0; data++, len--)
        rest = __builtin_ia32_crc32qi(rest, *data);
    return ~rest;
}

uint32_t fb_crc32c(const uint8_t *data, size_t len) {
    return __builtin_cpu_supports("sse4.2") ? by_instruction(data, len) : by_table(data, len);
}
#else
uint32_t fb_crc32c(const uint8_t *data, size_t len) {
    return by_table(data, len);
}
#endif
