#include "core/ticket.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/secret.h"

#define DOMAIN "footbridge ticket v1"
#define DOMAIN_LEN (sizeof DOMAIN - 1)
#define FIELDS_LEN (FB_TICKET_LEN - FB_SIG_LEN)

void fb_ticket_key_init(struct fb_ticket_key *key, const struct fb_crypto *crypto,
                        const uint8_t public_key[static FB_KEY_LEN]) {
    uint8_t hash[FB_HASH_LEN];
    crypto->hash(crypto->ctx, public_key, FB_KEY_LEN, hash);
    struct fb_rd rd = fb_rd_make(hash, sizeof hash);
    key->id = fb_rd_u32(&rd);
    memcpy(key->public_key, public_key, FB_KEY_LEN);
}

/* What is signed: the domain, so that no other signature of this key can pass for a ticket's. */
static void signed_bytes(const uint8_t *fields, uint8_t out[DOMAIN_LEN + FIELDS_LEN]) {
    memcpy(out, DOMAIN, DOMAIN_LEN);
    memcpy(out + DOMAIN_LEN, fields, FIELDS_LEN);
}

int fb_ticket_make(const struct fb_crypto *crypto, const struct fb_rng *rng,
                   const uint8_t seed[static FB_KEY_LEN], const struct fb_ticket_key *key,
                   const uint8_t process_id[static FB_PROCESS_ID_LEN], const uint8_t *first,
                   size_t first_len, uint64_t now_s, uint8_t out[static FB_TICKET_LEN]) {
    uint8_t id[FB_TICKET_ID_LEN], hash[FB_HASH_LEN], msg[DOMAIN_LEN + FIELDS_LEN];
    fb_random(rng, id, sizeof id);
    crypto->hash(crypto->ctx, first, first_len, hash);
    struct fb_wr wr = fb_wr_make(out, FB_TICKET_LEN);
    fb_wr_u8(&wr, FB_TICKET_VERSION);
    fb_wr_u32(&wr, key->id);
    fb_wr_bytes(&wr, id, sizeof id);
    fb_wr_u64(&wr, now_s + FB_TICKET_LIFE_S);
    fb_wr_bytes(&wr, process_id, FB_PROCESS_ID_LEN);
    fb_wr_bytes(&wr, hash, sizeof hash);
    signed_bytes(out, msg);
    return crypto->sign(crypto->ctx, seed, msg, sizeof msg, out + FIELDS_LEN);
}

static int check_signature(const struct fb_crypto *crypto, const uint8_t *bytes, uint32_t id,
                           const struct fb_ticket_key *keys, size_t key_count) {
    uint8_t msg[DOMAIN_LEN + FIELDS_LEN];
    int err = FB_ERR_NOT_FOUND;
    signed_bytes(bytes, msg);
    /* Ids are short: two keys may share one, so a failure does not end the search. */
    for (size_t i = 0; i < key_count && err != 0; i++)
        if (keys[i].id == id)
            err = crypto->verify(crypto->ctx, keys[i].public_key, msg, sizeof msg,
                                 bytes + FIELDS_LEN);
    return err;
}

int fb_ticket_check(const struct fb_crypto *crypto, const void *bytes, size_t len,
                    const struct fb_ticket_key *keys, size_t key_count,
                    const uint8_t process_id[static FB_PROCESS_ID_LEN], const uint8_t *first,
                    size_t first_len, uint64_t now_s, struct fb_ticket *ticket) {
    struct fb_rd rd = fb_rd_make(bytes, len);
    uint8_t hash[FB_HASH_LEN];
    if (len != FB_TICKET_LEN)
        return FB_ERR_MALFORMED;
    if (fb_rd_u8(&rd) != FB_TICKET_VERSION)
        return FB_ERR_VERSION;
    int err = check_signature(crypto, bytes, fb_rd_u32(&rd), keys, key_count);
    if (err != 0)
        return err;
    fb_rd_copy(&rd, ticket->id, sizeof ticket->id);
    ticket->expiry_s = fb_rd_u64(&rd);
    fb_rd_copy(&rd, ticket->process_id, sizeof ticket->process_id);
    fb_rd_copy(&rd, ticket->first_hash, sizeof ticket->first_hash);
    crypto->hash(crypto->ctx, first, first_len, hash);
    if (!fb_equal(ticket->process_id, process_id, FB_PROCESS_ID_LEN))
        return FB_ERR_DENIED;
    if (!fb_equal(ticket->first_hash, hash, FB_HASH_LEN))
        return FB_ERR_STATE;
    if (ticket->expiry_s <= now_s)
        return FB_ERR_EXPIRED;
    return ticket->expiry_s - now_s <= FB_TICKET_LIFE_S + FB_TICKET_SLACK_S ? 0 : FB_ERR_TOO_BIG;
}

const char *fb_ticket_strerror(int err) {
    switch (err) {
    case 0: return "ok";
    case FB_ERR_MALFORMED: return "ticket malformed";
    case FB_ERR_VERSION: return "ticket of an unknown version";
    case FB_ERR_NOT_FOUND: return "ticket signed by an unknown key";
    case FB_ERR_AUTH: return "ticket forged";
    case FB_ERR_DENIED: return "ticket made for another egress process";
    case FB_ERR_STATE: return "ticket made for another first message";
    case FB_ERR_EXPIRED: return "ticket expired";
    case FB_ERR_TOO_BIG: return "ticket expires too far in the future";
    case FB_ERR_USED: return "ticket used already";
    case FB_ERR_LIMIT: return "too many tickets at once";
    case FB_ERR_NOMEM: return "out of memory";
    }
    return "ticket refused";
}

/* ---- single use ---- */

struct used {
    uint8_t id[FB_TICKET_ID_LEN];
    uint64_t expiry_s;
};

/*
 * Found by id through the map. The ring holds the same ids in order of use; as a checked ticket
 * lives at most LIFE + SLACK from now, an entry that old has expired wherever it stands, and
 * looking at the ring's head alone is enough to bound what is kept.
 */
struct fb_replay {
    const struct fb_mem *mem;
    struct fb_map *by_id;
    uint64_t
        now_s; /* the latest seen: where the clock is set back, what was forgotten stays expired */
    size_t head, count, max;
    struct used *ring; /* max entries */
};

struct fb_replay *fb_replay_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t max) {
    struct fb_replay *replay = fb_alloc(mem, sizeof *replay);
    if (replay == NULL)
        return NULL;
    replay->mem = mem;
    replay->max = max;
    replay->by_id = fb_map_new(mem, rng, FB_TICKET_ID_LEN);
    if (max <= SIZE_MAX / sizeof *replay->ring)
        replay->ring = fb_alloc(mem, max * sizeof *replay->ring);
    if (replay->by_id != NULL && replay->ring != NULL)
        return replay;
    fb_replay_free(replay);
    return NULL;
}

void fb_replay_free(struct fb_replay *replay) {
    if (replay == NULL)
        return;
    fb_map_free(replay->by_id);
    fb_free(replay->mem, replay->ring);
    fb_free(replay->mem, replay);
}

static void forget_expired(struct fb_replay *replay) {
    while (replay->count > 0 && replay->ring[replay->head].expiry_s <= replay->now_s) {
        fb_map_take(replay->by_id, replay->ring[replay->head].id);
        replay->head = (replay->head + 1) % replay->max;
        replay->count--;
    }
}

int fb_replay_use(struct fb_replay *replay, const struct fb_ticket *ticket, uint64_t now_s) {
    if (now_s > replay->now_s)
        replay->now_s = now_s;
    forget_expired(replay);
    if (ticket->expiry_s <= replay->now_s)
        return FB_ERR_EXPIRED;
    if (fb_map_get(replay->by_id, ticket->id) != NULL)
        return FB_ERR_USED;
    if (replay->count == replay->max)
        return FB_ERR_LIMIT;
    struct used *used = &replay->ring[(replay->head + replay->count) % replay->max];
    memcpy(used->id, ticket->id, sizeof used->id);
    used->expiry_s = ticket->expiry_s;
    int err = fb_map_put(replay->by_id, used->id, used);
    if (err == 0)
        replay->count++;
    return err;
}

size_t fb_replay_count(const struct fb_replay *replay) {
    return replay->count;
}
