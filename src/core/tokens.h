/*
 * The attach tokens of one egress process: single-use, each naming one session and one path id
 * (doc/protocol.md section 2). Sessions put theirs in and take them out when they die; attaching
 * looks up which session a first message belongs to.
 */
#ifndef FB_CORE_TOKENS_H
#define FB_CORE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/message.h"

struct fb_session;
struct fb_tokens;

/* At most max tokens at once. NULL when out of memory. */
struct fb_tokens *fb_tokens_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t max);
/* Every session that put tokens in must be gone. NULL-safe. */
void fb_tokens_free(struct fb_tokens *tokens);
size_t fb_tokens_count(const struct fb_tokens *tokens);

/* Makes a random token for path of session, into token. 0, FB_ERR_NOMEM, FB_ERR_LIMIT. */
int fb_tokens_put(struct fb_tokens *tokens, struct fb_session *session, uint32_t path,
                  uint8_t token[static FB_TOKEN_LEN]);
/* Removes the token; its session, or NULL when there is no such token. */
struct fb_session *fb_tokens_take(struct fb_tokens *tokens,
                                  const uint8_t token[static FB_TOKEN_LEN], uint32_t *path);

#endif
