/*
 * Matches a second of a broker: CLIENTS at a time post sealed offers to it, stand-in volunteers
 * answer them, and each sealed answer is opened. Counts for SECONDS after a warm-up second, as
 * JSON.
 *
 *     broker_matches DIRECTORY CLIENTS SECONDS      DIRECTORY: of `footbridge network new`
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/rendezvous.h"
#include "crypto/openssl.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "role/keys.h"
#include "stand_in.h"

#define VOLUNTEERS 64
#define CAPACITY 16
#define TIMEOUT_MS 30000
#define WARM_US UINT64_C(1000000)

struct run {
    uv_loop_t loop;
    struct fb_network_files files;
    struct fb_fetcher *fetcher;
    struct fb_timer *timer;
    struct stand_ins volunteers;
    struct fb_offer offer;
    char url[FB_URL_MAX + 16];
    size_t clients;
    uint64_t matched, began_us, end_us;
    bool counting;
    double seconds;
};

struct client {
    struct run *run;
    struct fb_rendezvous *rendezvous;
};

static void post(struct client *client);

static void on_answer(void *user, const struct fb_fetched *result) {
    struct client *client = user;
    struct fb_answer answer;
    if (result->err != 0)
        bench_die(result->why);
    if (fb_rendezvous_answer(client->rendezvous, result->body, result->len, &answer) != 0)
        bench_die("an answer does not open");
    if (answer.status != FB_ANSWER_OK)
        bench_die(fb_answer_status_text(answer.status));
    client->run->matched++;
    fb_rendezvous_free(client->rendezvous);
    post(client);
}

static void post(struct client *client) {
    struct run *run = client->run;
    uint8_t sealed[FB_SEALED_OFFER_LEN];
    /* Each a session of its own. */
    fb_random(fb_rng_default(), run->offer.first, sizeof run->offer.first);
    int err = fb_rendezvous_offer(&client->rendezvous, fb_mem_default(), fb_rng_default(),
                                  fb_crypto_openssl(), run->files.document.brokers[0].sealing_key,
                                  run->files.join.network, &run->offer, sealed);
    if (err != 0)
        bench_die(fb_strerror(err));
    const struct fb_fetch_request request = {.url = run->url,
                                             .body = sealed,
                                             .len = sizeof sealed,
                                             .type = "application/octet-stream",
                                             .reply_max = FB_SEALED_ANSWER_LEN,
                                             .timeout_ms = TIMEOUT_MS};
    if (fb_fetch_start(run->fetcher, &request, on_answer, client) == NULL)
        bench_die("out of memory");
}

static void on_time(void *user) {
    struct run *run = user;
    uint64_t now = fb_now_us();
    if (run->counting) {
        double seconds = (double)(now - run->began_us) / 1e6;
        printf("{\"matches\": %llu, \"seconds\": %.3f, \"rate\": %.1f}\n",
               (unsigned long long)run->matched, seconds, (double)run->matched / seconds);
        uv_stop(&run->loop);
        return;
    }
    puts("begin");
    fflush(stdout);
    run->counting = true;
    run->matched = 0;
    run->began_us = now;
    fb_timer_set(run->timer, now + (uint64_t)(run->seconds * 1e6));
}

static void all_ready(void *user) {
    struct run *run = user;
    for (size_t i = 0; i < run->clients; i++) {
        struct client *client = calloc(1, sizeof *client);
        if (client == NULL)
            bench_die("out of memory");
        client->run = run;
        post(client);
    }
    fb_timer_set(run->timer, fb_now_us() + WARM_US);
}

int main(int argc, char **argv) {
    static struct run run;
    char err[FB_KEYS_ERR_MAX];
    if (argc != 4) {
        fprintf(stderr, "usage: broker_matches DIRECTORY CLIENTS SECONDS\n");
        return 2;
    }
    if (fb_network_files_read(argv[1], 0, &run.files, err) != 0)
        bench_die(err);
    run.clients = strtoul(argv[2], NULL, 10);
    run.seconds = strtod(argv[3], NULL);
    snprintf(run.url, sizeof run.url, "%s/v1/offer", run.files.document.brokers[0].url);
    run.offer.nat = FB_NAT_EASY;
    memcpy(run.offer.egress, run.files.document.egresses[0].id, FB_EGRESS_ID_LEN);
    stand_in_describe(&run.offer.desc, FB_SETUP_ACTPASS);
    fb_raise_fd_limit();
    uv_loop_init(&run.loop);
    const struct fb_net_config config = {.loop = &run.loop, .local = true};
    run.fetcher = fb_fetcher_new(&run.loop, NULL);
    run.timer = fb_timer_new(&run.loop, on_time, &run);
    run.volunteers = (struct stand_ins){.net = fb_net_new(&config, err),
                                        .capacity = CAPACITY,
                                        .count = VOLUNTEERS,
                                        .all_ready = all_ready,
                                        .user = &run};
    if (run.volunteers.net == NULL)
        bench_die(err);
    stand_ins_begin(&run.volunteers, &run.files.document);
    uv_run(&run.loop, UV_RUN_DEFAULT);
    return 0; /* the sockets end with the process */
}
