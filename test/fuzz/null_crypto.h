/*
 * A crypto table that protects nothing, for fuzzers only: sealing is a copy with a checksum behind
 * it, so that a fuzzer's mutations reach the code behind authentication. Same sizes, same order of
 * calls and same errors as src/crypto.
 */
#ifndef FB_TEST_NULL_CRYPTO_H
#define FB_TEST_NULL_CRYPTO_H

#include "core/crypto.h"

/*
 * checked: whether opening and verifying compare the checksum. With false every tag and signature
 * passes, and input need not be repaired after mutation.
 */
const struct fb_crypto *fb_crypto_null(bool checked);

/* The public half of any private key: its bytes inverted. */
void fb_null_public(const uint8_t private_key[static FB_KEY_LEN],
                    uint8_t public_key[static FB_KEY_LEN]);

#endif
