#include "rtc/cert.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/err.h"

#define DAY (24L * 60 * 60)
#define SHIFT (DAY / 2)

static int fill(X509 *x509, EVP_PKEY *key) {
    uint64_t serial;
    uint32_t chance;
    if (RAND_bytes((unsigned char *)&serial, sizeof serial) != 1 ||
        RAND_bytes((unsigned char *)&chance, sizeof chance) != 1)
        return 0;
    X509_NAME *name = X509_get_subject_name(x509);
    /* Yesterday to a month from now, as libwebrtc does: clocks of readers' machines are wrong. By
     * up to half a day more or less, so that nobody sees how wrong this one is, and knows it
     * again. */
    long shift = (long)(chance % (2 * SHIFT)) - SHIFT;
    return X509_set_version(x509, X509_VERSION_3) &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(x509), shift - DAY) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x509), shift + 30 * DAY) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"WebRTC",
                                      -1, -1, 0) &&
           X509_set_issuer_name(x509, name) && X509_set_pubkey(x509, key) &&
           X509_sign(x509, key, EVP_sha256()) > 0;
}

int fb_cert_make(struct fb_cert *cert) {
    unsigned int len = 0;
    memset(cert, 0, sizeof *cert);
    cert->key = EVP_EC_gen("P-256");
    cert->x509 = X509_new();
    if (cert->key == NULL || cert->x509 == NULL || !fill(cert->x509, cert->key) ||
        !X509_digest(cert->x509, EVP_sha256(), cert->fingerprint, &len) ||
        len != sizeof cert->fingerprint) {
        fb_cert_clear(cert);
        return FB_ERR_IO;
    }
    return 0;
}

void fb_cert_clear(struct fb_cert *cert) {
    EVP_PKEY_free(cert->key);
    X509_free(cert->x509);
    memset(cert, 0, sizeof *cert);
}
