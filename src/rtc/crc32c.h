/*
 * SCTP's checksum (RFC 9260 appendix A) by the processor's instruction where it has one: computed
 * by table it is a tenth of all the CPU time that a connection takes.
 */
#ifndef FB_RTC_CRC32C_H
#define FB_RTC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* As it stands in a packet's header whose checksum field is zero, in memory order. */
uint32_t fb_crc32c(const uint8_t *data, size_t len);

#endif
