#include "rtc/dtls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* The first retransmission, in microseconds; doubled each time. RFC 6347 section 4.2.4.1 says a
 * second and allows less for applications that know better; libwebrtc starts at 50 ms. */
#define RETRANSMIT_FIRST_US 200000
#define RETRANSMIT_MAX_US 3000000

struct fb_dtls {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO_METHOD *method;
    uint8_t fingerprint[FB_DESC_FINGERPRINT_LEN];
    const struct fb_dtls_handler *handler;
    void *user;
    const uint8_t *pending; /* the datagram being read, or NULL */
    size_t pending_len;
    enum fb_dtls_status status;
    bool mismatch;
};

static int bio_write(BIO *bio, const char *data, int len) {
    struct fb_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len > 0)
        dtls->handler->output(dtls->user, (const uint8_t *)data, (size_t)len);
    return len;
}

static int bio_read(BIO *bio, char *out, int cap) {
    struct fb_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (dtls->pending == NULL) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t len = dtls->pending_len;
    if (cap < 0 || len > (size_t)cap)
        len = cap < 0 ? 0 : (size_t)cap;
    memcpy(out, dtls->pending, len);
    dtls->pending = NULL;
    return (int)len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr) {
    switch (cmd) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU: return FB_DTLS_DATAGRAM_MAX;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD: return 0; /* our MTU is already without IP and UDP */
    default: return 0;
    }
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static unsigned int next_timeout(SSL *ssl, unsigned int last_us) {
    if (last_us == 0)
        return RETRANSMIT_FIRST_US;
    return last_us > RETRANSMIT_MAX_US / 2 ? RETRANSMIT_MAX_US : last_us * 2;
}

/* In place of a chain's verification: WebRTC certificates have a fingerprint instead of a chain. */
static int verify(X509_STORE_CTX *store, void *arg) {
    struct fb_dtls *dtls = arg;
    uint8_t seen[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    X509 *cert = X509_STORE_CTX_get0_cert(store);
    dtls->mismatch = cert == NULL || !X509_digest(cert, EVP_sha256(), seen, &len) ||
                     len != sizeof dtls->fingerprint ||
                     !fb_equal(seen, dtls->fingerprint, sizeof dtls->fingerprint);
    X509_STORE_CTX_set_error(store, dtls->mismatch ? X509_V_ERR_CERT_REJECTED : X509_V_OK);
    return !dtls->mismatch;
}

/* What NOTES measured to give the ServerHello that is closest to a browser's. */
static bool set_up(struct fb_dtls *dtls, const struct fb_cert *cert) {
    static const unsigned char id[] = "webrtc";
    /* OpenSSL's macros want writable memory, and only read it. */
    static unsigned char types[] = {1, 64}; /* rsa_sign, ecdsa_sign */
    static char sigalgs[] = "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:"
                            "RSA+SHA384:RSA-PSS+SHA512:RSA+SHA512:RSA+SHA1";
    SSL_CTX *ctx = dtls->ctx;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify, dtls);
    return SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) &&
           SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) &&
           SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") &&
           SSL_CTX_set_tlsext_use_srtp(ctx, "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:"
                                            "SRTP_AES128_CM_SHA1_80") == 0 &&
           SSL_CTX_set1_client_sigalgs_list(ctx, sigalgs) &&
           SSL_CTX_set1_client_certificate_types(ctx, types, sizeof types) &&
           SSL_CTX_use_certificate(ctx, cert->x509) && SSL_CTX_use_PrivateKey(ctx, cert->key);
}

static bool attach(struct fb_dtls *dtls, bool client) {
    if (!BIO_meth_set_write(dtls->method, bio_write) ||
        !BIO_meth_set_read(dtls->method, bio_read) || !BIO_meth_set_ctrl(dtls->method, bio_ctrl) ||
        !BIO_meth_set_create(dtls->method, bio_create))
        return false;
    BIO *bio = BIO_new(dtls->method);
    if (bio == NULL)
        return false;
    BIO_set_data(bio, dtls);
    SSL_set_bio(dtls->ssl, bio, bio);
    SSL_set_mtu(dtls->ssl, FB_DTLS_DATAGRAM_MAX);
    DTLS_set_timer_cb(dtls->ssl, next_timeout);
    if (client)
        SSL_set_connect_state(dtls->ssl);
    else
        SSL_set_accept_state(dtls->ssl);
    return true;
}

struct fb_dtls *fb_dtls_new(const struct fb_cert *cert, bool client,
                            const uint8_t fingerprint[static FB_DESC_FINGERPRINT_LEN],
                            const struct fb_dtls_handler *handler, void *user) {
    struct fb_dtls *dtls = calloc(1, sizeof *dtls);
    if (dtls == NULL)
        return NULL;
    memcpy(dtls->fingerprint, fingerprint, sizeof dtls->fingerprint);
    dtls->handler = handler;
    dtls->user = user;
    dtls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams");
    dtls->ctx = SSL_CTX_new(DTLS_method());
    if (dtls->method == NULL || dtls->ctx == NULL || !set_up(dtls, cert) ||
        (dtls->ssl = SSL_new(dtls->ctx)) == NULL || !attach(dtls, client)) {
        fb_dtls_free(dtls);
        return NULL;
    }
    return dtls;
}

/* OpenSSL drops records that do not authenticate; what it reports after that is fatal. */
static void note_error(struct fb_dtls *dtls, int result) {
    switch (SSL_get_error(dtls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: break;
    case SSL_ERROR_ZERO_RETURN: dtls->status = FB_DTLS_CLOSED; break;
    default: dtls->status = dtls->mismatch ? FB_DTLS_BAD_FINGERPRINT : FB_DTLS_FAILED;
    }
}

static void handshake(struct fb_dtls *dtls) {
    ERR_clear_error();
    int result = SSL_do_handshake(dtls->ssl);
    if (result == 1) {
        dtls->status = FB_DTLS_OPEN;
        dtls->handler->open(dtls->user);
    } else {
        note_error(dtls, result);
    }
}

static void read_records(struct fb_dtls *dtls) {
    uint8_t record[SSL3_RT_MAX_PLAIN_LENGTH];
    while (dtls->status == FB_DTLS_OPEN) {
        ERR_clear_error();
        int len = SSL_read(dtls->ssl, record, sizeof record);
        if (len <= 0) {
            note_error(dtls, len);
            return;
        }
        dtls->handler->data(dtls->user, record, (size_t)len);
    }
}

enum fb_dtls_status fb_dtls_input(struct fb_dtls *dtls, const uint8_t *datagram, size_t len) {
    dtls->pending = datagram;
    dtls->pending_len = len;
    if (dtls->status == FB_DTLS_HANDSHAKE)
        handshake(dtls);
    read_records(dtls);
    dtls->pending = NULL;
    return dtls->status;
}

enum fb_dtls_status fb_dtls_tick(struct fb_dtls *dtls) {
    if (dtls->status != FB_DTLS_HANDSHAKE)
        return dtls->status;
    if (SSL_in_before(dtls->ssl)) {
        handshake(dtls);
        return dtls->status;
    }
    ERR_clear_error();
    if (DTLSv1_handle_timeout(dtls->ssl) < 0)
        dtls->status = FB_DTLS_FAILED;
    return dtls->status;
}

void fb_dtls_send(struct fb_dtls *dtls, const uint8_t *data, size_t len) {
    if (dtls->status != FB_DTLS_OPEN || len == 0)
        return;
    ERR_clear_error();
    SSL_write(dtls->ssl, data, (int)len);
}

void fb_dtls_free(struct fb_dtls *dtls) {
    if (dtls == NULL)
        return;
    if (dtls->status == FB_DTLS_OPEN) {
        ERR_clear_error();
        SSL_shutdown(dtls->ssl);
    }
    SSL_free(dtls->ssl);
    SSL_CTX_free(dtls->ctx);
    BIO_meth_free(dtls->method);
    ERR_clear_error();
    free(dtls);
}
