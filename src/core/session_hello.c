#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "core/session_impl.h"

/*
 * Parameters of message 1: max_data and max_stream_data of the client; of message 2: process id,
 * max_data, max_stream_data, max_streams of the egress, then a count and as many tokens, for the
 * paths 1, 2, ... Zeros fill both up to their fixed size.
 */
#define HELLO_PAYLOAD (FB_FIRST_LEN - 2 - FB_NOISE_OVERHEAD)
#define REPLY_PAYLOAD (FB_REPLY_LEN - 2 - FB_NOISE_OVERHEAD)

static const char prologue_text[] = "footbridge session";

#define PROLOGUE_LEN (sizeof prologue_text + FB_NETWORK_ID_LEN + FB_EGRESS_ID_LEN)

/* "footbridge session" || version || network id || egress id */
static void make_prologue(const struct fb_session_config *config, uint8_t out[PROLOGUE_LEN]) {
    struct fb_wr wr = fb_wr_make(out, PROLOGUE_LEN);
    fb_wr_bytes(&wr, prologue_text, sizeof prologue_text - 1);
    fb_wr_u8(&wr, FB_PROTOCOL_VERSION);
    fb_wr_bytes(&wr, config->network_id, FB_NETWORK_ID_LEN);
    fb_wr_bytes(&wr, config->egress_id, FB_EGRESS_ID_LEN);
}

static struct fb_noise *start_noise(struct fb_session *s, bool initiator) {
    const struct fb_crypto *c = s->config.crypto;
    uint8_t ephemeral[FB_KEY_LEN], prologue[PROLOGUE_LEN];
    fb_random(s->config.rng, ephemeral, sizeof ephemeral);
    make_prologue(&s->config, prologue);
    struct fb_noise *noise = c->noise_new(c->ctx, initiator,
                                          initiator ? s->config.egress_id : s->config.egress_key,
                                          ephemeral, prologue, sizeof prologue);
    fb_wipe(ephemeral, sizeof ephemeral);
    return noise;
}

static int first_handshake(struct fb_session *s, uint8_t out[static FB_FIRST_LEN], uint64_t now) {
    const struct fb_crypto *c = s->config.crypto;
    struct fb_path *old = fb_path_find(s, 0);
    if (old != NULL)
        fb_path_remove(s, old);
    c->noise_free(s->noise);
    s->noise = start_noise(s, true);
    if (s->noise == NULL || fb_path_add(s, 0, FB_PATH_IS_OFFERED, now) == NULL)
        return FB_ERR_NOMEM;
    uint8_t payload[HELLO_PAYLOAD];
    struct fb_wr wr = fb_wr_make(payload, sizeof payload);
    fb_wr_varint(&wr, s->config.max_data);
    fb_wr_varint(&wr, s->config.first_stream_data);
    fb_wr_zeros(&wr, fb_wr_room(&wr));
    out[0] = FB_KIND_SESSION;
    out[1] = FB_FIRST_HANDSHAKE;
    return c->noise_write(s->noise, payload, sizeof payload, out + 2);
}

static int first_token(struct fb_session *s, uint32_t *path, uint8_t out[static FB_FIRST_LEN],
                       uint64_t now) {
    struct fb_token_entry *entry = NULL;
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        if (s->tokens[i].used && (entry == NULL || s->tokens[i].path < entry->path))
            entry = &s->tokens[i];
    if (entry == NULL || s->path_count >= FB_SESSION_PATHS_MAX)
        return FB_ERR_AGAIN;
    struct fb_path *p = fb_path_add(s, entry->path, FB_PATH_IS_OFFERED, now);
    if (p == NULL)
        return FB_ERR_NOMEM;
    memset(out, 0, FB_FIRST_LEN);
    out[0] = FB_KIND_SESSION;
    out[1] = FB_FIRST_TOKEN;
    memcpy(out + 2, entry->token, FB_TOKEN_LEN);
    struct fb_frame ping = {.type = FB_FRAME_PING};
    struct fb_wr wr = fb_wr_make(out + FB_FIRST_FRAMES, FB_FIRST_FRAMES_LEN);
    fb_frame_write(&wr, &ping); /* PADDING, being zero, is there already */
    fb_packet_seal_first(&p->packets, out);
    fb_sent_note(&p->sent, 0);
    *path = entry->path;
    fb_wipe(entry, sizeof *entry);
    return 0;
}

int fb_session_first(struct fb_session *s, uint32_t *path, uint8_t out[static FB_FIRST_LEN],
                     uint64_t now) {
    s->now = now;
    if (s->closed || s->closing)
        return FB_ERR_CLOSED;
    *path = 0;
    return s->ready ? first_token(s, path, out, now) : first_handshake(s, out, now);
}

static int take_tokens(struct fb_session *s, struct fb_rd *rd) {
    uint8_t count = fb_rd_u8(rd);
    if (count > FB_TOKENS_IN_HAND)
        return FB_ERR_MALFORMED;
    for (uint8_t i = 0; i < count; i++) {
        s->tokens[i].path = i + 1u;
        s->tokens[i].used = true;
        fb_rd_copy(rd, s->tokens[i].token, FB_TOKEN_LEN);
    }
    if (!rd->ok)
        return FB_ERR_MALFORMED;
    return count == 0 ? 0 : fb_ranges_add(&s->seen, 1, count + 1u);
}

int fb_session_read_reply(struct fb_session *s, struct fb_path *p, const uint8_t *msg, size_t len,
                          uint64_t now) {
    const struct fb_crypto *c = s->config.crypto;
    uint8_t payload[REPLY_PAYLOAD];
    if (s->ready || s->noise == NULL || p->id != 0)
        return 0; /* a copy of what was read already */
    if (len != FB_REPLY_LEN)
        return FB_ERR_MALFORMED;
    int err = c->noise_read(s->noise, msg + 2, len - 2, payload);
    if (err != 0)
        return err;
    struct fb_rd rd = fb_rd_make(payload, sizeof payload);
    fb_rd_copy(&rd, s->process_id, sizeof s->process_id);
    s->out_limit = fb_rd_varint(&rd);
    uint64_t stream_data = fb_rd_varint(&rd);
    s->streams_limit = fb_rd_varint(&rd);
    err = take_tokens(s, &rd);
    if (err == 0)
        err = c->noise_split(s->noise, s->send_secret, s->recv_secret);
    if (err == 0)
        err = fb_path_key(s, p, now);
    c->noise_free(s->noise);
    s->noise = NULL;
    fb_wipe(payload, sizeof payload);
    if (err != 0)
        return err;
    s->peer_stream_data = stream_data;
    s->ready = s->event_ready = s->event_tokens = true;
    fb_path_set_open(s, p, now);
    return 0;
}

void fb_session_issue_tokens(struct fb_session *s) {
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++) {
        struct fb_token_entry *entry = &s->tokens[i];
        if (entry->used)
            continue;
        if (s->next_path == UINT32_MAX)
            return; /* ids are never used again: this session gets no further paths */
        /* When the process has too many, the client keeps the ones it has. */
        if (fb_tokens_put(s->config.tokens, s, s->next_path, entry->token) != 0)
            return;
        entry->path = s->next_path++;
        entry->used = entry->queue = true;
    }
}

/* Message 2 with its tokens, left with the path to be sent before all else. */
static int write_reply(struct fb_session *s, struct fb_path *p, struct fb_noise *noise) {
    uint8_t payload[REPLY_PAYLOAD];
    uint8_t count = 0;
    struct fb_wr wr = fb_wr_make(payload, sizeof payload);
    fb_session_issue_tokens(s);
    while (count < FB_TOKENS_IN_HAND && s->tokens[count].used)
        count++;
    fb_wr_bytes(&wr, s->config.process_id, FB_PROCESS_ID_LEN);
    fb_wr_varint(&wr, s->config.max_data);
    fb_wr_varint(&wr, s->config.first_stream_data);
    fb_wr_varint(&wr, s->config.max_streams);
    fb_wr_u8(&wr, count);
    for (uint8_t i = 0; i < count; i++) {
        fb_wr_bytes(&wr, s->tokens[i].token, FB_TOKEN_LEN);
        s->tokens[i].queue = false;
    }
    fb_wr_zeros(&wr, fb_wr_room(&wr));
    p->reply = fb_alloc(s->mem, FB_REPLY_LEN);
    if (p->reply == NULL)
        return FB_ERR_NOMEM;
    p->reply[0] = FB_KIND_SESSION;
    p->reply[1] = FB_HANDSHAKE_REPLY;
    int err = s->config.crypto->noise_write(noise, payload, sizeof payload, p->reply + 2);
    fb_wipe(payload, sizeof payload);
    return err;
}

static int answer(struct fb_session *s, const uint8_t *first, uint64_t now) {
    const struct fb_crypto *c = s->config.crypto;
    uint8_t payload[HELLO_PAYLOAD];
    struct fb_noise *noise = start_noise(s, false);
    if (noise == NULL)
        return FB_ERR_NOMEM;
    int err = c->noise_read(noise, first + 2, FB_FIRST_LEN - 2, payload);
    struct fb_rd rd = fb_rd_make(payload, sizeof payload);
    struct fb_path *p = NULL;
    if (err == 0) {
        s->out_limit = fb_rd_varint(&rd);
        s->peer_stream_data = fb_rd_varint(&rd);
        p = rd.ok ? fb_path_add(s, 0, FB_PATH_IS_ATTACHED, now) : NULL;
        err = !rd.ok ? FB_ERR_MALFORMED : p == NULL ? FB_ERR_NOMEM : write_reply(s, p, noise);
    }
    if (err == 0)
        err = c->noise_split(noise, s->send_secret, s->recv_secret);
    if (err == 0)
        err = fb_path_key(s, p, now);
    c->noise_free(noise);
    return err;
}

int fb_session_accept(struct fb_session **out, const struct fb_session_config *config,
                      const uint8_t first[static FB_FIRST_LEN], uint64_t now) {
    struct fb_session *s;
    if (first[0] != FB_KIND_SESSION || first[1] != FB_FIRST_HANDSHAKE)
        return FB_ERR_MALFORMED;
    int err = fb_session_make(&s, config, false, now);
    if (err != 0)
        return err;
    err = answer(s, first, now);
    if (err != 0) {
        fb_session_free(s);
        return err;
    }
    s->ready = s->event_ready = true;
    *out = s;
    return 0;
}

int fb_session_attach(struct fb_tokens *tokens, const uint8_t first[static FB_FIRST_LEN],
                      uint64_t now, struct fb_session **session, uint32_t *path) {
    uint8_t msg[FB_FIRST_LEN];
    uint32_t id;
    if (first[0] != FB_KIND_SESSION || first[1] != FB_FIRST_TOKEN)
        return FB_ERR_MALFORMED;
    struct fb_session *s = fb_tokens_take(tokens, first + 2, &id);
    if (s == NULL)
        return FB_ERR_NOT_FOUND;
    s->now = now;
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        if (s->tokens[i].used && s->tokens[i].path == id)
            fb_wipe(&s->tokens[i], sizeof s->tokens[i]);
    fb_session_issue_tokens(s);
    if (s->closed || s->closing || s->path_count >= FB_SESSION_PATHS_MAX)
        return FB_ERR_LIMIT;
    struct fb_path *p = fb_path_add(s, id, FB_PATH_IS_ATTACHED, now);
    if (p == NULL)
        return FB_ERR_NOMEM;
    memcpy(msg, first, sizeof msg);
    int err = fb_packet_open_first(&p->packets, msg);
    if (err == 0)
        err = fb_ranges_add(&p->received, 0, 1);
    if (err != 0) {
        fb_path_remove(s, p);
        return err;
    }
    p->ack_count = FB_ACK_EVERY; /* the answer tells the client that the path is attached */
    p->ack_due = now;
    p->send_status = true;
    s->heard = p->heard = now;
    *session = s;
    *path = id;
    return 0;
}
