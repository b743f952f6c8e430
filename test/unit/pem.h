/* A self-signed certificate for one name, written as PEM files into a new directory. */
#ifndef FB_TEST_PEM_H
#define FB_TEST_PEM_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct pem {
    char dir[32], cert[48], key[48];
};

static inline void pem_make(struct pem *pem, const char *name) {
    strcpy(pem->dir, "/tmp/fb-test-XXXXXX");
    if (mkdtemp(pem->dir) == NULL)
        abort();
    snprintf(pem->cert, sizeof pem->cert, "%s/cert.pem", pem->dir);
    snprintf(pem->key, sizeof pem->key, "%s/key.pem", pem->dir);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    char san[80];
    snprintf(san, sizeof san, "DNS:%s", name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(cert, key, EVP_sha256());
    FILE *out = fopen(pem->cert, "w");
    PEM_write_X509(out, cert);
    fclose(out);
    out = fopen(pem->key, "w");
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline void pem_remove(struct pem *pem) {
    unlink(pem->cert);
    unlink(pem->key);
    rmdir(pem->dir);
}

#endif
