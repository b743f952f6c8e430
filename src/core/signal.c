/* Client and broker; volunteer and broker. Hop control and the link are in signal_path.c. */
#include "core/signal.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"

/* len u16 || compact description */
static void put_desc(struct fb_wr *wr, const struct fb_desc *desc) {
    uint8_t compact[FB_DESC_COMPACT_MAX];
    int len = fb_desc_encode(desc, compact, sizeof compact);
    fb_wr_u16(wr, len < 0 ? 0 : (uint16_t)len);
    fb_wr_bytes(wr, compact, len < 0 ? 0 : (size_t)len);
}

static int get_desc(struct fb_rd *rd, struct fb_desc *desc) {
    size_t len = fb_rd_u16(rd);
    const uint8_t *compact = fb_rd_bytes(rd, len);
    return compact == NULL ? FB_ERR_MALFORMED : fb_desc_decode(desc, compact, len);
}

/* What is left must be the padding: zeros. */
static bool rest_is_zero(const struct fb_rd *rd) {
    uint8_t any = 0;
    for (size_t i = 0; i < rd->len; i++)
        any |= rd->ptr[i];
    return rd->ok && any == 0;
}

static bool valid_country(const char *country) {
    if (country[0] == '\0')
        return country[1] == '\0' && country[2] == '\0';
    return country[0] >= 'A' && country[0] <= 'Z' && country[1] >= 'A' && country[1] <= 'Z' &&
           country[2] == '\0';
}

static bool get_country(struct fb_rd *rd, char country[FB_COUNTRY_LEN + 1]) {
    fb_rd_copy(rd, (uint8_t *)country, FB_COUNTRY_LEN);
    country[FB_COUNTRY_LEN] = '\0';
    return rd->ok && valid_country(country);
}

/*
 * version u8 || flags u8 || nat u8 || egress[32] || process[16] || handle[16] || first[256]
 *   || description (len u16) || zeros
 */
int fb_offer_encode(const struct fb_offer *offer, uint8_t out[FB_OFFER_LEN]) {
    struct fb_wr wr = fb_wr_make(out, FB_OFFER_LEN);
    if ((unsigned)offer->nat >= FB_NAT_COUNT || !fb_desc_valid(&offer->desc) ||
        (offer->flags & ~FB_OFFER_BROWSERS_ONLY) != 0)
        return FB_ERR_MALFORMED;
    fb_wr_u8(&wr, FB_SIGNAL_VERSION);
    fb_wr_u8(&wr, offer->flags);
    fb_wr_u8(&wr, (uint8_t)offer->nat);
    fb_wr_bytes(&wr, offer->egress, sizeof offer->egress);
    fb_wr_bytes(&wr, offer->process, sizeof offer->process);
    fb_wr_bytes(&wr, offer->handle, sizeof offer->handle);
    fb_wr_bytes(&wr, offer->first, sizeof offer->first);
    put_desc(&wr, &offer->desc);
    fb_wr_zeros(&wr, fb_wr_room(&wr));
    return FB_OFFER_LEN;
}

static int get_offer(struct fb_offer *out, struct fb_rd *rd) {
    if (fb_rd_u8(rd) != FB_SIGNAL_VERSION)
        return FB_ERR_VERSION;
    out->flags = fb_rd_u8(rd);
    uint8_t nat = fb_rd_u8(rd);
    fb_rd_copy(rd, out->egress, sizeof out->egress);
    fb_rd_copy(rd, out->process, sizeof out->process);
    fb_rd_copy(rd, out->handle, sizeof out->handle);
    fb_rd_copy(rd, out->first, sizeof out->first);
    int err = get_desc(rd, &out->desc);
    if (err != 0)
        return err;
    if (nat >= FB_NAT_COUNT || (out->flags & ~FB_OFFER_BROWSERS_ONLY) != 0 || !rest_is_zero(rd))
        return FB_ERR_MALFORMED;
    out->nat = (enum fb_nat)nat;
    return 0;
}

int fb_offer_decode(struct fb_offer *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    memset(out, 0, sizeof *out);
    int err = len == FB_OFFER_LEN ? get_offer(out, &rd) : FB_ERR_MALFORMED;
    if (err != 0)
        memset(out, 0, sizeof *out);
    return err;
}

/*
 * version u8 || status u8 || retry_after u16 || handle[16] || document u64
 *   || with status 0: country[2] || description (len u16)
 *   || zeros
 */
int fb_answer_encode(const struct fb_answer *answer, uint8_t out[FB_ANSWER_LEN]) {
    struct fb_wr wr = fb_wr_make(out, FB_ANSWER_LEN);
    bool ok = answer->status == FB_ANSWER_OK;
    if ((unsigned)answer->status >= FB_ANSWER_STATUS_COUNT ||
        (ok && (!fb_desc_valid(&answer->desc) || !valid_country(answer->country))))
        return FB_ERR_MALFORMED;
    fb_wr_u8(&wr, FB_SIGNAL_VERSION);
    fb_wr_u8(&wr, (uint8_t)answer->status);
    fb_wr_u16(&wr, answer->retry_after);
    fb_wr_bytes(&wr, answer->handle, sizeof answer->handle);
    fb_wr_u64(&wr, answer->document);
    if (ok) {
        fb_wr_bytes(&wr, answer->country, FB_COUNTRY_LEN);
        put_desc(&wr, &answer->desc);
    }
    fb_wr_zeros(&wr, fb_wr_room(&wr));
    return FB_ANSWER_LEN;
}

static int get_answer(struct fb_answer *out, struct fb_rd *rd) {
    if (fb_rd_u8(rd) != FB_SIGNAL_VERSION)
        return FB_ERR_VERSION;
    uint8_t status = fb_rd_u8(rd);
    if (status >= FB_ANSWER_STATUS_COUNT)
        return FB_ERR_MALFORMED;
    out->status = (enum fb_answer_status)status;
    out->retry_after = fb_rd_u16(rd);
    fb_rd_copy(rd, out->handle, sizeof out->handle);
    out->document = fb_rd_u64(rd);
    if (out->status == FB_ANSWER_OK) {
        if (!get_country(rd, out->country))
            return FB_ERR_MALFORMED;
        int err = get_desc(rd, &out->desc);
        if (err != 0)
            return err;
    }
    return rest_is_zero(rd) ? 0 : FB_ERR_MALFORMED;
}

int fb_answer_decode(struct fb_answer *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    memset(out, 0, sizeof *out);
    int err = len == FB_ANSWER_LEN ? get_answer(out, &rd) : FB_ERR_MALFORMED;
    if (err != 0)
        memset(out, 0, sizeof *out);
    return err;
}

const char *fb_answer_status_text(enum fb_answer_status status) {
    switch (status) {
    case FB_ANSWER_OK: return "a volunteer answered";
    case FB_ANSWER_NOBODY: return "no volunteer is free";
    case FB_ANSWER_AGAIN: return "the volunteer did not answer";
    case FB_ANSWER_PROCESS_GONE: return "the egress was restarted";
    case FB_ANSWER_NO_EGRESS: return "the egress is not there";
    case FB_ANSWER_LIMIT: return "too many offers";
    case FB_ANSWER_DENIED: return "refused by the broker";
    case FB_ANSWER_MALFORMED: return "the broker could not read the offer";
    case FB_ANSWER_VERSION: return "the broker speaks another version";
    case FB_ANSWER_STATUS_COUNT: break;
    }
    return "unknown answer";
}

static void put_vol_body(struct fb_wr *wr, const struct fb_vol_msg *msg) {
    switch (msg->type) {
    case FB_VOL_HELLO:
        fb_wr_u8(wr, msg->hello.version);
        fb_wr_u8(wr, (uint8_t)msg->hello.kind);
        fb_wr_u8(wr, (uint8_t)msg->hello.nat);
        fb_wr_u16(wr, msg->hello.capacity);
        break;
    case FB_VOL_WELCOME:
        fb_wr_u8(wr, msg->welcome.version);
        fb_wr_bytes(wr, msg->welcome.country, FB_COUNTRY_LEN);
        break;
    case FB_VOL_READY: fb_wr_u16(wr, msg->free); break;
    case FB_VOL_OFFER: fb_wr_bytes(wr, msg->country, FB_COUNTRY_LEN); /* fall through */
    case FB_VOL_ANSWER: put_desc(wr, &msg->desc); break;
    case FB_VOL_DECLINE: fb_wr_u8(wr, (uint8_t)msg->decline); break;
    case FB_VOL_RELEASE:
        fb_wr_bytes(wr, msg->release.egress, sizeof msg->release.egress);
        fb_wr_bytes(wr, msg->release.ticket, sizeof msg->release.ticket);
        fb_wr_bytes(wr, msg->release.first, sizeof msg->release.first);
        break;
    case FB_VOL_CANCEL: break;
    case FB_VOL_DONE: fb_wr_u8(wr, (uint8_t)msg->outcome); break;
    case FB_VOL_STATUS: fb_wr_u16(wr, msg->carrying); break;
    }
}

static bool valid_vol(const struct fb_vol_msg *msg) {
    switch (msg->type) {
    case FB_VOL_HELLO:
        return (unsigned)msg->hello.kind < FB_VOLUNTEER_KIND_COUNT &&
               (unsigned)msg->hello.nat < FB_NAT_COUNT;
    case FB_VOL_WELCOME: return valid_country(msg->welcome.country);
    case FB_VOL_OFFER: return valid_country(msg->country) && fb_desc_valid(&msg->desc);
    case FB_VOL_ANSWER: return fb_desc_valid(&msg->desc);
    case FB_VOL_DECLINE: return (unsigned)msg->decline < FB_DECLINE_COUNT;
    case FB_VOL_DONE: return (unsigned)msg->outcome < FB_OUTCOME_COUNT;
    case FB_VOL_READY:
    case FB_VOL_RELEASE:
    case FB_VOL_CANCEL:
    case FB_VOL_STATUS: return true;
    }
    return false;
}

static bool has_match(enum fb_vol_type type) {
    return type >= FB_VOL_OFFER && type <= FB_VOL_DONE;
}

/* type u8 || match u64 where there is one || what put_vol_body() writes */
int fb_vol_encode(const struct fb_vol_msg *msg, uint8_t *out, size_t cap) {
    struct fb_wr wr = fb_wr_make(out, cap);
    if (!valid_vol(msg))
        return FB_ERR_MALFORMED;
    fb_wr_u8(&wr, (uint8_t)msg->type);
    if (has_match(msg->type))
        fb_wr_u64(&wr, msg->match);
    put_vol_body(&wr, msg);
    return wr.ok ? (int)wr.len : FB_ERR_TOO_BIG;
}

static int get_hello(struct fb_vol_hello *hello, struct fb_rd *rd) {
    hello->version = fb_rd_u8(rd);
    if (rd->ok && hello->version != FB_SIGNAL_VERSION)
        return FB_ERR_VERSION;
    hello->kind = (enum fb_volunteer_kind)fb_rd_u8(rd);
    hello->nat = (enum fb_nat)fb_rd_u8(rd);
    hello->capacity = fb_rd_u16(rd);
    return 0;
}

static int get_welcome(struct fb_vol_welcome *welcome, struct fb_rd *rd) {
    welcome->version = fb_rd_u8(rd);
    if (rd->ok && welcome->version != FB_SIGNAL_VERSION)
        return FB_ERR_VERSION;
    return get_country(rd, welcome->country) ? 0 : FB_ERR_MALFORMED;
}

static int get_vol_body(struct fb_vol_msg *msg, struct fb_rd *rd) {
    switch (msg->type) {
    case FB_VOL_HELLO: return get_hello(&msg->hello, rd);
    case FB_VOL_WELCOME: return get_welcome(&msg->welcome, rd);
    case FB_VOL_READY: msg->free = fb_rd_u16(rd); return 0;
    case FB_VOL_OFFER:
        if (!get_country(rd, msg->country))
            return FB_ERR_MALFORMED;
        return get_desc(rd, &msg->desc);
    case FB_VOL_ANSWER: return get_desc(rd, &msg->desc);
    case FB_VOL_DECLINE: msg->decline = (enum fb_decline)fb_rd_u8(rd); return 0;
    case FB_VOL_RELEASE:
        fb_rd_copy(rd, msg->release.egress, sizeof msg->release.egress);
        fb_rd_copy(rd, msg->release.ticket, sizeof msg->release.ticket);
        fb_rd_copy(rd, msg->release.first, sizeof msg->release.first);
        return 0;
    case FB_VOL_CANCEL: return 0;
    case FB_VOL_DONE: msg->outcome = (enum fb_outcome)fb_rd_u8(rd); return 0;
    case FB_VOL_STATUS: msg->carrying = fb_rd_u16(rd); return 0;
    }
    return FB_ERR_MALFORMED;
}

int fb_vol_decode(struct fb_vol_msg *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    memset(out, 0, sizeof *out);
    out->type = (enum fb_vol_type)fb_rd_u8(&rd);
    if (has_match(out->type))
        out->match = fb_rd_u64(&rd);
    int err = get_vol_body(out, &rd);
    if (err == 0 && (!fb_rd_done(&rd) || !valid_vol(out)))
        err = FB_ERR_MALFORMED;
    if (err != 0)
        memset(out, 0, sizeof *out);
    return err;
}
