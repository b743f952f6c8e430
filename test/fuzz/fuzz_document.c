/* Network documents: whatever is accepted encodes again, to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "core/document.h"
#include "null_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t seed[FB_KEY_LEN];
    static struct fb_document document;
    static uint8_t out[FB_DOCUMENT_MAX];
    size_t len;
    int err = fb_document_verify(fb_crypto_null(false), seed, data, size, 1, 1, &document);
    if (fb_document_strerror(err) == NULL)
        abort();
    if (err != 0)
        return 0;
    if (fb_document_encode(fb_crypto_null(false), &document, seed, out, &len) != 0 || len != size ||
        memcmp(out, data, size - FB_SIG_LEN) != 0)
        abort();
    return 0;
}
