#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/buf.h"
#include "core/message.h"

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

bool load_parse(struct load *load, int argc, char **argv) {
    if (argc < 3 || argc > 5)
        return false;
    load->source = strcmp(argv[0], "source") == 0;
    if (!load->source && strcmp(argv[0], "sink") != 0)
        return false;
    load->seconds = strtod(argv[1], NULL);
    load->size = strtoul(argv[2], NULL, 10);
    load->window = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
    load->warm_ns = argc >= 5 ? strtoull(argv[4], NULL, 10) * 1000000 : LOAD_WARM_NS;
    return load->seconds > 0 && load->size > LOAD_ACK_LEN && load->size <= FB_MESSAGE_MAX;
}

bool load_may_send(const struct load *load) {
    return load->source &&
           (load->window == 0 || (load->sent - load->acked + 1) * load->size <= load->window);
}

const uint8_t *load_message(const struct load *load) {
    static uint8_t message[FB_MESSAGE_MAX] = {FB_KIND_SESSION};
    return message;
}

void load_sent(struct load *load) {
    load->sent++;
}

static void count(struct load *load, size_t len) {
    uint64_t now = uv_hrtime();
    if (load->first_ns == 0)
        load->first_ns = now;
    if (now - load->first_ns < load->warm_ns)
        return;
    if (load->last_ns == 0)
        load->cpu_s = cpu_seconds();
    else
        load->bytes += len;
    load->last_ns = now;
}

const uint8_t *load_ack(const struct load *load, uint8_t *ack) {
    struct fb_wr wr = fb_wr_make(ack, LOAD_ACK_LEN);
    fb_wr_u8(&wr, FB_KIND_SESSION);
    fb_wr_u64(&wr, load->received);
    return ack;
}

bool load_received(struct load *load, const uint8_t *data, size_t len, uint8_t *ack) {
    if (load->source) {
        struct fb_rd rd = fb_rd_make(data, len);
        fb_rd_u8(&rd);
        uint64_t acked = fb_rd_u64(&rd);
        if (acked > load->acked) /* the channel is unordered */
            load->acked = acked;
        return false;
    }
    count(load, len);
    load->received++;
    if (load->window == 0 || load->received % LOAD_ACK_EVERY != 0)
        return false;
    load_ack(load, ack);
    return true;
}

uint64_t load_ms(const struct load *load) {
    return (uint64_t)(load->seconds * 1000) + load->warm_ns / 1000000;
}

void load_report(const struct load *load) {
    uint64_t begin = load->first_ns + load->warm_ns;
    double seconds = load->last_ns > begin ? (double)(load->last_ns - begin) / 1e9 : 0;
    double cpu = load->source || seconds == 0 ? cpu_seconds() : cpu_seconds() - load->cpu_s;
    uint64_t bytes = load->source ? load->sent * load->size : load->bytes;
    printf("{\"bytes\": %llu, \"seconds\": %.3f, \"mbits\": %.2f, \"cpu\": %.3f}\n",
           (unsigned long long)bytes, seconds, seconds > 0 ? (double)bytes * 8e-6 / seconds : 0.0,
           cpu);
    fflush(stdout);
}
