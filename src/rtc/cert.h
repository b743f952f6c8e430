/*
 * A self-signed certificate as browsers make them for WebRTC: P-256, CN=WebRTC. One for each peer,
 * never kept, so that no two connections can be told to come from the same program.
 */
#ifndef FB_RTC_CERT_H
#define FB_RTC_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "core/describe.h"

struct fb_cert {
    EVP_PKEY *key;
    X509 *x509;
    uint8_t fingerprint[FB_DESC_FINGERPRINT_LEN]; /* SHA-256 of the DER */
};

/* 0 or FB_ERR_IO (OpenSSL failed); then cert is all zero. */
int fb_cert_make(struct fb_cert *cert);
/* Safe on an all-zero cert. */
void fb_cert_clear(struct fb_cert *cert);

#endif
