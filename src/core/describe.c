#include "core/describe.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/addrclass.h"

/*
 * version:4 0 extra:1 setup:2 || ufrag (len u8) || pwd (len u8) || fingerprint[32]
 *   || (extra) sctp_port u16, max_message_size u32
 *   || count u8 || count times: ipv6:1 0:5 type:2 || ip[4 or 16] || port u16 || priority u32
 */
#define VERSION 1
#define EXTRA 0x04
/* What Chromium says, and so what a description most often needs no bytes for. */
#define USUAL_SCTP_PORT 5000
#define USUAL_MESSAGE_SIZE 262144
#define IPV6 0x80

/* ice-char of RFC 8839 section 5.4. Length without the NUL, 0: not within min and max. */
static size_t ice_text_len(const char *text, size_t min, size_t max) {
    size_t len = 0;
    for (; len <= max && text[len] != '\0'; len++) {
        char c = text[len];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return 0;
    }
    return len >= min && len <= max ? len : 0;
}

static bool valid_candidate(const struct fb_candidate *cand) {
    static const uint8_t zeros[12];
    const struct fb_addr *addr = &cand->addr;
    if (addr->family == 4 ? memcmp(addr->ip + 4, zeros, 12) != 0 : addr->family != 6)
        return false;
    return addr->port != 0 && (unsigned)cand->type <= FB_CAND_RELAY;
}

bool fb_desc_valid(const struct fb_desc *desc) {
    if (ice_text_len(desc->ufrag, FB_DESC_UFRAG_MIN, FB_DESC_UFRAG_MAX) == 0 ||
        ice_text_len(desc->pwd, FB_DESC_PWD_MIN, FB_DESC_PWD_MAX) == 0)
        return false;
    if ((unsigned)desc->setup > FB_SETUP_PASSIVE || desc->sctp_port == 0 ||
        desc->candidate_count > FB_DESC_CANDIDATES_MAX)
        return false;
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (!valid_candidate(&desc->candidates[i]))
            return false;
    return true;
}

static void put_text(struct fb_wr *wr, const char *text) {
    size_t len = strlen(text);
    fb_wr_u8(wr, (uint8_t)len);
    fb_wr_bytes(wr, text, len);
}

int fb_desc_encode(const struct fb_desc *desc, uint8_t *out, size_t cap) {
    struct fb_wr wr = fb_wr_make(out, cap);
    if (!fb_desc_valid(desc))
        return FB_ERR_MALFORMED;
    bool extra = desc->sctp_port != USUAL_SCTP_PORT || desc->max_message_size != USUAL_MESSAGE_SIZE;
    fb_wr_u8(&wr, (uint8_t)(VERSION << 4 | (extra ? EXTRA : 0) | (unsigned)desc->setup));
    put_text(&wr, desc->ufrag);
    put_text(&wr, desc->pwd);
    fb_wr_bytes(&wr, desc->fingerprint, sizeof desc->fingerprint);
    if (extra) {
        fb_wr_u16(&wr, desc->sctp_port);
        fb_wr_u32(&wr, desc->max_message_size);
    }
    fb_wr_u8(&wr, (uint8_t)desc->candidate_count);
    for (size_t i = 0; i < desc->candidate_count; i++) {
        const struct fb_candidate *cand = &desc->candidates[i];
        bool ipv6 = cand->addr.family == 6;
        fb_wr_u8(&wr, (uint8_t)((ipv6 ? IPV6 : 0) | (unsigned)cand->type));
        fb_wr_bytes(&wr, cand->addr.ip, ipv6 ? 16 : 4);
        fb_wr_u16(&wr, cand->addr.port);
        fb_wr_u32(&wr, cand->priority);
    }
    return wr.ok ? (int)wr.len : FB_ERR_TOO_BIG;
}

/* A NUL inside makes the text shorter than its length says, which the caller checks. */
static bool get_text(struct fb_rd *rd, char *out, size_t max) {
    size_t len = fb_rd_u8(rd);
    if (len > max)
        return false;
    fb_rd_copy(rd, (uint8_t *)out, len);
    return rd->ok && strlen(out) == len;
}

static int get_body(struct fb_desc *desc, struct fb_rd *rd) {
    uint8_t head = fb_rd_u8(rd);
    if (!rd->ok || head >> 4 != VERSION)
        return rd->ok ? FB_ERR_VERSION : FB_ERR_MALFORMED;
    if ((head & 0x08) != 0)
        return FB_ERR_MALFORMED;
    desc->setup = (enum fb_setup)(head & 3);
    if (!get_text(rd, desc->ufrag, FB_DESC_UFRAG_MAX) || !get_text(rd, desc->pwd, FB_DESC_PWD_MAX))
        return FB_ERR_MALFORMED;
    fb_rd_copy(rd, desc->fingerprint, sizeof desc->fingerprint);
    desc->sctp_port = USUAL_SCTP_PORT;
    desc->max_message_size = USUAL_MESSAGE_SIZE;
    if ((head & EXTRA) != 0) {
        desc->sctp_port = fb_rd_u16(rd);
        desc->max_message_size = fb_rd_u32(rd);
        if (desc->sctp_port == USUAL_SCTP_PORT && desc->max_message_size == USUAL_MESSAGE_SIZE)
            return FB_ERR_MALFORMED; /* one struct, one form */
    }
    desc->candidate_count = fb_rd_u8(rd);
    if (desc->candidate_count > FB_DESC_CANDIDATES_MAX)
        return FB_ERR_MALFORMED;
    for (size_t i = 0; i < desc->candidate_count; i++) {
        struct fb_candidate *cand = &desc->candidates[i];
        uint8_t kind = fb_rd_u8(rd);
        if ((kind & ~(IPV6 | 3)) != 0)
            return FB_ERR_MALFORMED;
        cand->type = (enum fb_candidate_type)(kind & 3);
        cand->addr.family = (kind & IPV6) != 0 ? 6 : 4;
        fb_rd_copy(rd, cand->addr.ip, (kind & IPV6) != 0 ? 16 : 4);
        cand->addr.port = fb_rd_u16(rd);
        cand->priority = fb_rd_u32(rd);
    }
    return fb_rd_done(rd) && fb_desc_valid(desc) ? 0 : FB_ERR_MALFORMED;
}

int fb_desc_decode(struct fb_desc *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    memset(out, 0, sizeof *out);
    int err = get_body(out, &rd);
    if (err != 0)
        memset(out, 0, sizeof *out);
    return err;
}

/* Of the candidates before `at` or after it, how many of its family would go first. */
static size_t better_ones(const struct fb_desc *desc, size_t at) {
    const struct fb_candidate *cand = &desc->candidates[at];
    size_t better = 0;
    for (size_t i = 0; i < desc->candidate_count; i++) {
        const struct fb_candidate *other = &desc->candidates[i];
        if (i != at && other->addr.family == cand->addr.family)
            better += other->priority > cand->priority ||
                      (other->priority == cand->priority && i < at);
    }
    return better;
}

static bool seen_before(const struct fb_desc *desc, const struct fb_addr *addr) {
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (fb_addr_equal(&desc->candidates[i].addr, addr))
            return true;
    return false;
}

void fb_desc_filter(struct fb_desc *desc, bool local) {
    struct fb_desc in = *desc;
    desc->candidate_count = 0;
    memset(desc->candidates, 0, sizeof desc->candidates);
    for (size_t i = 0; i < in.candidate_count; i++) {
        struct fb_candidate cand = in.candidates[i];
        cand.addr = fb_addr_unmap(&cand.addr);
        if (cand.addr.port != 0 && (local || !fb_addr_is_special(&cand.addr)) &&
            !seen_before(desc, &cand.addr))
            desc->candidates[desc->candidate_count++] = cand;
    }
    if (local)
        return;
    in = *desc;
    desc->candidate_count = 0;
    memset(desc->candidates, 0, sizeof desc->candidates);
    for (size_t i = 0; i < in.candidate_count; i++)
        if (better_ones(&in, i) < 2)
            desc->candidates[desc->candidate_count++] = in.candidates[i];
}

static bool has_address(const struct fb_desc *desc, const struct fb_addr *addr) {
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (fb_addr_same_ip(&desc->candidates[i].addr, addr))
            return true;
    return false;
}

static void cut(struct fb_desc *desc, size_t kept) {
    memset(desc->candidates + kept, 0, (desc->candidate_count - kept) * sizeof *desc->candidates);
    desc->candidate_count = kept;
}

void fb_desc_hide(struct fb_desc *desc) {
    size_t kept = 0;
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (desc->candidates[i].type != FB_CAND_HOST)
            desc->candidates[kept++] = desc->candidates[i];
    cut(desc, kept);
}

void fb_desc_confine(struct fb_desc *desc, const struct fb_desc *known) {
    size_t kept = 0;
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (has_address(known, &desc->candidates[i].addr))
            desc->candidates[kept++] = desc->candidates[i];
    cut(desc, kept);
}
