#include "rtc/sctp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <usrsctp.h>

#include "base/err.h"
#include "rtc/cookie.h"
#include "rtc/crc32c.h"
#include "rtc/dtls.h"

/* RFC 8831 section 8: payload protocol identifiers. */
#define PPID_BINARY 53
#define PPID_BINARY_EMPTY 57

/* One stream is used; a few more cost little and keep stacks happy that count from 1. */
#define STREAMS 16
/* Milliseconds; usrsctp's minimum of 1,000 leaves a lost tail lying too long. Not below the other
 * side's delayed acknowledgement (200 ms, RFC 9260 section 6.2). */
#define RTO_INITIAL 500
#define RTO_MIN 400
#define RTO_MAX 10000
/* Over the smoothed round trip. usrsctp's timeout comes close to that where the way is long and
 * even; the first queue then looks like a loss, and the window starts from one packet again. */
#define RTO_MORE 300
#define RTO_STEP 50
/* Rounds of the clock that fb_sctp_stop grants to what usrsctp frees by timer. */
#define STOP_ROUNDS 200
/* Messages that usrsctp may hold beyond what its window lets out: one to begin with when an
 * acknowledgement comes. What else waits is seen to wait (fb_peer_buffered), or all lanes would
 * look alike however slow. */
#define UNSENT_MAX 2

struct fb_sctp {
    struct socket *socket;
    uintptr_t id;
    bool open;
    uint8_t *partial; /* start of a message whose end has not come; NULL, or room for a whole one */
    size_t partial_len;
    uint16_t partial_stream;
    uint32_t rto_min; /* ms; as set last */
};

static void (*packet_output)(uintptr_t id, const uint8_t *packet, size_t len);
static bool started;

static int on_output(void *addr, void *packet, size_t len, uint8_t tos, uint8_t set_df) {
    struct sctp_common_header *header = packet;
    size_t at, count;
    if (fb_cookie_find(packet, len, false, &at, &count) &&
        !fb_cookie_mask((uintptr_t)addr, (uint8_t *)packet + at, count))
        return ENOBUFS; /* lost: the other end asks again */
    if (len >= sizeof *header)
        header->crc32c = fb_crc32c(packet, len); /* zero until here, by the offload */
    packet_output((uintptr_t)addr, packet, len);
    return 0;
}

void fb_sctp_start(void (*output)(uintptr_t id, const uint8_t *packet, size_t len)) {
    packet_output = output;
    if (started)
        return;
    started = true;
    fb_cookie_start();
    usrsctp_init_nothreads(0, on_output, NULL);
    /* What comes in was authenticated by DTLS: its checksum tells nothing new. */
    usrsctp_enable_crc32c_offload();
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_sysctl_set_sctp_asconf_enable(0);
    usrsctp_sysctl_set_sctp_auto_asconf(0);
    usrsctp_sysctl_set_sctp_auth_enable(0);
    usrsctp_sysctl_set_sctp_nrsack_enable(0);
    usrsctp_sysctl_set_sctp_pktdrop_enable(0);
    usrsctp_sysctl_set_sctp_initial_cwnd(10);
    usrsctp_sysctl_set_sctp_max_burst_default(0);
    usrsctp_sysctl_set_sctp_blackhole(2);
}

void fb_sctp_tick(uint32_t elapsed_ms) {
    usrsctp_handle_timers(elapsed_ms);
}

void fb_sctp_stop(void) {
    for (int i = 0; started && i < STOP_ROUNDS; i++) {
        if (usrsctp_finish() == 0)
            started = false;
        else
            usrsctp_handle_timers(10);
    }
}

static bool set(struct socket *socket, int level, int name, const void *value, size_t len) {
    return usrsctp_setsockopt(socket, level, name, value, (socklen_t)len) == 0;
}

static bool set_int(struct socket *socket, int level, int name, size_t value) {
    int number = (int)value;
    return set(socket, level, name, &number, sizeof number);
}

static bool subscribe(struct socket *socket) {
    static const uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_SHUTDOWN_EVENT,
                                     SCTP_STREAM_RESET_EVENT, SCTP_PARTIAL_DELIVERY_EVENT};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct sctp_event event = {SCTP_FUTURE_ASSOC, types[i], 1};
        if (!set(socket, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event))
            return false;
    }
    return true;
}

static bool tune(struct socket *socket, const struct fb_sctp_config *config) {
    /* Closing is an ABORT, at once: what is unsent then is the session's to repeat. */
    struct linger linger = {1, 0};
    struct sctp_initmsg init = {STREAMS, STREAMS, 0, 0};
    struct sctp_rtoinfo rto = {SCTP_FUTURE_ASSOC, RTO_INITIAL, RTO_MAX, RTO_MIN};
    /* usrsctp adds the common header to what it is told here. No heartbeats: ICE asks whether the
     * other side lives (RFC 7675), and they would tell this machine's clock. */
    struct sctp_paddrparams path = {.spp_flags = SPP_PMTUD_DISABLE | SPP_HB_DISABLE,
                                    .spp_pathmtu = FB_DTLS_PAYLOAD_MAX -
                                                   sizeof(struct sctp_common_header)};
    struct sctp_assoc_value reset = {SCTP_FUTURE_ASSOC, SCTP_ENABLE_RESET_STREAM_REQ};
    return usrsctp_set_non_blocking(socket, 1) == 0 &&
           set(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) &&
           set_int(socket, SOL_SOCKET, SO_RCVBUF, config->recv_window) &&
           set_int(socket, SOL_SOCKET, SO_SNDBUF, config->send_window) &&
           set_int(socket, IPPROTO_SCTP, SCTP_NODELAY, 1) &&
           set_int(socket, IPPROTO_SCTP, SCTP_RECVRCVINFO, 1) &&
           set_int(socket, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, 0) &&
           set_int(socket, IPPROTO_SCTP, SCTP_PARTIAL_DELIVERY_POINT, FB_SCTP_READ_MAX) &&
           set(socket, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init) &&
           set(socket, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto) &&
           set(socket, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path) &&
           set(socket, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &reset, sizeof reset) &&
           subscribe(socket);
}

static struct sockaddr_conn conn_address(uintptr_t id, uint16_t port) {
    return (struct sockaddr_conn){
        .sconn_family = AF_CONN, .sconn_port = htons(port), .sconn_addr = (void *)id};
}

struct fb_sctp *fb_sctp_new(const struct fb_sctp_config *config) {
    struct fb_sctp *sctp = calloc(1, sizeof *sctp);
    if (sctp == NULL)
        return NULL;
    sctp->id = config->id;
    sctp->rto_min = RTO_MIN;
    usrsctp_register_address((void *)config->id);
    sctp->socket = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    struct sockaddr_conn local = conn_address(config->id, config->local_port);
    struct sockaddr_conn remote = conn_address(config->id, config->remote_port);
    if (sctp->socket == NULL || !tune(sctp->socket, config) ||
        usrsctp_bind(sctp->socket, (struct sockaddr *)&local, sizeof local) != 0 ||
        (usrsctp_connect(sctp->socket, (struct sockaddr *)&remote, sizeof remote) != 0 &&
         errno != EINPROGRESS)) {
        fb_sctp_free(sctp);
        return NULL;
    }
    return sctp;
}

void fb_sctp_input(uintptr_t id, const uint8_t *packet, size_t len) {
    uint8_t copy[FB_DTLS_PAYLOAD_MAX];
    size_t at, count;
    if (len <= sizeof copy && fb_cookie_find(packet, len, true, &at, &count)) {
        memcpy(copy, packet, len);
        if (!fb_cookie_mask(id, copy + at, count))
            return;
        packet = copy;
    }
    usrsctp_conninput((void *)id, packet, len, 0);
}

/* At COMM_LOST the chunk that ended the association follows, when there was one. */
static enum fb_sctp_event on_assoc_change(struct fb_sctp *sctp,
                                          const struct sctp_assoc_change *change) {
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        if (sctp->open)
            return FB_SCTP_IGNORED;
        sctp->open = true;
        return FB_SCTP_OPENED;
    case SCTP_COMM_LOST: return change->sac_length > sizeof *change ? FB_SCTP_CLOSED : FB_SCTP_LOST;
    case SCTP_SHUTDOWN_COMP: return FB_SCTP_CLOSED;
    case SCTP_CANT_STR_ASSOC: return FB_SCTP_REFUSED;
    default: return FB_SCTP_CLOSED; /* a restart: RFC 8831 has none */
    }
}

static enum fb_sctp_event on_notification(struct fb_sctp *sctp, const uint8_t *buf, size_t len) {
    union sctp_notification note;
    memset(&note, 0, sizeof note);
    memcpy(&note, buf, len < sizeof note ? len : sizeof note);
    switch (note.sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE: return on_assoc_change(sctp, &note.sn_assoc_change);
    case SCTP_SHUTDOWN_EVENT: return FB_SCTP_CLOSED;
    case SCTP_STREAM_RESET_EVENT:
        /* The browser closed the channel, not the connection (RFC 8831 section 6.7). */
        return note.sn_header.sn_flags & SCTP_STREAM_RESET_INCOMING_SSN ? FB_SCTP_CLOSED
                                                                        : FB_SCTP_IGNORED;
    case SCTP_PARTIAL_DELIVERY_EVENT: sctp->partial_len = 0; return FB_SCTP_IGNORED;
    default: return FB_SCTP_IGNORED;
    }
}

/* Puts a piece behind those already here; true when *len bytes in buf are a whole message. */
static enum fb_sctp_event assemble(struct fb_sctp *sctp, uint8_t *buf, size_t *len, uint16_t stream,
                                   bool last) {
    if (sctp->partial_len > 0 && stream != sctp->partial_stream)
        return FB_SCTP_REFUSED; /* messages never interleave without RFC 8260, which is off */
    if (sctp->partial_len + *len > FB_PEER_MESSAGE_MAX)
        return FB_SCTP_TOO_BIG;
    if (last && sctp->partial_len == 0)
        return FB_SCTP_MESSAGE;
    if (sctp->partial == NULL && (sctp->partial = malloc(FB_PEER_MESSAGE_MAX)) == NULL)
        return FB_SCTP_REFUSED;
    memcpy(sctp->partial + sctp->partial_len, buf, *len);
    sctp->partial_len += *len;
    sctp->partial_stream = stream;
    if (!last)
        return FB_SCTP_IGNORED;
    *len = sctp->partial_len;
    memcpy(buf, sctp->partial, *len);
    sctp->partial_len = 0;
    return FB_SCTP_MESSAGE;
}

static enum fb_sctp_event read_one(struct fb_sctp *sctp, uint8_t *buf, size_t *len, bool *again) {
    struct sctp_rcvinfo info = {0};
    socklen_t info_len = sizeof info, from_len = 0;
    unsigned int info_type = 0;
    int flags = 0;
    *again = false;
    ssize_t got = usrsctp_recvv(sctp->socket, buf, FB_SCTP_READ_MAX, NULL, &from_len, &info,
                                &info_len, &info_type, &flags);
    if (got < 0)
        return errno == EWOULDBLOCK || errno == EAGAIN ? FB_SCTP_NOTHING : FB_SCTP_CLOSED;
    if (got == 0)
        return FB_SCTP_CLOSED;
    *len = (size_t)got;
    if (flags & MSG_NOTIFICATION)
        return on_notification(sctp, buf, *len);
    *again = !(flags & MSG_EOR);
    enum fb_sctp_event event = assemble(sctp, buf, len, info.rcv_sid, !*again);
    uint32_t ppid = ntohl(info.rcv_ppid);
    if (event != FB_SCTP_MESSAGE)
        return event;
    if (info_type != SCTP_RECVV_RCVINFO || info.rcv_sid != 0 ||
        (ppid != PPID_BINARY && ppid != PPID_BINARY_EMPTY))
        return FB_SCTP_IGNORED;
    if (ppid == PPID_BINARY_EMPTY)
        *len = 0;
    return FB_SCTP_MESSAGE;
}

enum fb_sctp_event fb_sctp_read(struct fb_sctp *sctp, uint8_t buf[static FB_SCTP_READ_MAX],
                                size_t *len) {
    bool again;
    enum fb_sctp_event event;
    do
        event = read_one(sctp, buf, len, &again);
    while (again && event == FB_SCTP_IGNORED);
    return event;
}

static bool get_status(struct fb_sctp *sctp, struct sctp_status *status) {
    socklen_t len = sizeof *status;
    memset(status, 0, sizeof *status);
    return usrsctp_getsockopt(sctp->socket, IPPROTO_SCTP, SCTP_STATUS, status, &len) == 0;
}

static void fit_timeout(struct fb_sctp *sctp, uint32_t srtt) {
    uint32_t least = srtt + RTO_MORE > RTO_MIN ? srtt + RTO_MORE : RTO_MIN;
    struct sctp_rtoinfo rto = {SCTP_FUTURE_ASSOC, least > RTO_INITIAL ? least : RTO_INITIAL,
                               RTO_MAX, least};
    if (least >= RTO_MAX || (least < sctp->rto_min + RTO_STEP && sctp->rto_min < least + RTO_STEP))
        return;
    if (set(sctp->socket, IPPROTO_SCTP, SCTP_RTOINFO, &rto, sizeof rto))
        sctp->rto_min = least;
}

int fb_sctp_send(struct fb_sctp *sctp, const uint8_t *data, size_t len, bool last) {
    struct sctp_sndinfo info = {
        .snd_flags = (uint16_t)(SCTP_UNORDERED | (last ? SCTP_SACK_IMMEDIATELY : 0)),
        .snd_ppid = htonl(PPID_BINARY)};
    struct sctp_status status;
    if (get_status(sctp, &status)) {
        if (status.sstat_penddata >= UNSENT_MAX)
            return FB_ERR_AGAIN;
        fit_timeout(sctp, status.sstat_primary.spinfo_srtt);
    }
    ssize_t sent = usrsctp_sendv(sctp->socket, data, len, NULL, 0, &info, sizeof info,
                                 SCTP_SENDV_SNDINFO, 0);
    if (sent == (ssize_t)len)
        return 0;
    return sent < 0 && (errno == EWOULDBLOCK || errno == EAGAIN) ? FB_ERR_AGAIN : FB_ERR_CLOSED;
}

bool fb_sctp_is_dry(struct fb_sctp *sctp) {
    struct sctp_status status;
    return !get_status(sctp, &status) || status.sstat_unackdata == 0;
}

void fb_sctp_free(struct fb_sctp *sctp) {
    if (sctp == NULL)
        return;
    if (sctp->socket != NULL)
        usrsctp_close(sctp->socket);
    usrsctp_deregister_address((void *)sctp->id);
    free(sctp->partial);
    free(sctp);
}
