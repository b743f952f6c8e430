#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lab.h"

#define WORDS_MAX 32
#define US_NS 1000.0

static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* ---- what names mean ---- */

static struct lab_host *find_host(struct lab *lab, const char *name) {
    for (size_t i = 0; i < lab->host_count; i++)
        if (strcmp(lab->hosts[i].name, name) == 0)
            return &lab->hosts[i];
    return NULL;
}

static struct lab_link *find_link(struct lab *lab, const char *name) {
    for (size_t i = 0; i < lab->link_count; i++)
        if (strcmp(lab->links[i].name, name) == 0)
            return &lab->links[i];
    return NULL;
}

static struct lab_leg *find_leg(struct lab *lab, const char *link_name, const char *name) {
    struct lab_link *link = find_link(lab, link_name);
    for (size_t i = 0; link != NULL && i < link->leg_count; i++)
        if (strcmp(link->legs[i].name, name) == 0)
            return &link->legs[i];
    return NULL;
}

/* ---- commands ---- */

static void do_host(struct lab *lab, char **words) {
    char why[256];
    if (lab->host_count == LAB_HOSTS_MAX || find_host(lab, words[1]) != NULL) {
        say("error no room for host %s, or it is there already", words[1]);
        return;
    }
    int space = spaces_new(why);
    if (space < 0) {
        say("error %s", why);
        return;
    }
    struct lab_host *host = &lab->hosts[lab->host_count++];
    snprintf(host->name, sizeof host->name, "%s", words[1]);
    host->space = space;
    say("ok %d", space);
}

static int watch(struct lab *lab, int fd, size_t link, enum lab_direction direction) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = link * 2 + direction};
    return epoll_ctl(lab->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void do_link(struct lab *lab, char **words) {
    char why[256] = "no such host";
    int ends[2] = {-1, -1};
    if (lab->link_count == LAB_LINKS_MAX || find_link(lab, words[1]) != NULL) {
        say("error no room for link %s, or it is there already", words[1]);
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct lab_host *host = find_host(lab, words[2 + 2 * i]);
        ends[i] = host == NULL ? -1 : spaces_tun(host->space, words[3 + 2 * i], why);
        if (ends[i] < 0) {
            say("error %s", why); /* the lab is of no use now: its maker ends it */
            return;
        }
    }
    size_t index = lab->link_count;
    lab_add_link(lab, words[1], ends[0], ends[1]);
    if (watch(lab, ends[0], index, LAB_UP) != 0 || watch(lab, ends[1], index, LAB_DOWN) != 0)
        say("error epoll");
    else
        say("ok");
}

static void do_leg(struct lab *lab, char **words) {
    struct lab_link *link = find_link(lab, words[1]);
    struct in_addr address;
    char *length = strchr(words[3], '/');
    int bits = length != NULL ? atoi(length + 1) : 32;
    if (length != NULL)
        *length = '\0';
    if (link == NULL || link->leg_count == LAB_LEGS_MAX || find_leg(lab, words[1], words[2]) ||
        bits < 1 || bits > 32 || inet_pton(AF_INET, words[3], &address) != 1) {
        say("error not a link with room, a new name and an IPv4 prefix");
        return;
    }
    lab_add_leg(lab, link, words[2], ntohl(address.s_addr), UINT32_MAX << (32 - bits));
    say("ok");
}

static bool set_key(struct wire_settings *set, const char *key, double value) {
    struct {
        const char *name;
        double *at;
    } shares[] = {{"loss", &set->loss},
                  {"burst-start", &set->burst_start},
                  {"burst-end", &set->burst_end},
                  {"burst-loss", &set->burst_loss}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (strcmp(key, shares[i].name) == 0) {
            *shares[i].at = value;
            return value >= 0 && value <= 1;
        }
    if (strcmp(key, "delay") == 0)
        set->delay_ns = (uint64_t)(value * US_NS);
    else if (strcmp(key, "jitter") == 0)
        set->jitter_ns = (uint64_t)(value * US_NS);
    else if (strcmp(key, "rate") == 0)
        set->rate = (uint64_t)value;
    else if (strcmp(key, "queue") == 0)
        set->queue = (size_t)value;
    else
        return false;
    return value >= 0 && value < 1e12;
}

static void do_set(struct lab *lab, char **words, size_t count) {
    struct lab_leg *leg = find_leg(lab, words[1], words[2]);
    bool up = strcmp(words[3], "up") == 0, down = strcmp(words[3], "down") == 0;
    if (strcmp(words[3], "both") == 0)
        up = down = true;
    if (leg == NULL || !(up || down) || count % 2 != 0) {
        say("error not a leg, a direction and pairs of words");
        return;
    }
    struct wire_settings sets[2] = {leg->wires[0].set, leg->wires[1].set};
    for (size_t i = 4; i < count; i += 2) {
        double value = strtod(words[i + 1], NULL);
        if (!set_key(&sets[LAB_UP], words[i], value) ||
            !set_key(&sets[LAB_DOWN], words[i], value)) {
            say("error %s %s", words[i], words[i + 1]);
            return;
        }
    }
    uint64_t now = lab_now_ns();
    if (up)
        wire_set(&leg->wires[LAB_UP], &sets[LAB_UP], now);
    if (down)
        wire_set(&leg->wires[LAB_DOWN], &sets[LAB_DOWN], now);
    say("ok");
}

static void print_counts(const char *name, struct wire *wire) {
    struct wire_counts c = wire_count(wire, lab_now_ns());
    printf("\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"passed\": %" PRIu64
           ", \"passedBytes\": %" PRIu64 ", \"droppedQueue\": %" PRIu64
           ", \"droppedLoss\": %" PRIu64 ", \"queued\": %zu, \"queuedMax\": %zu}",
           name, c.packets, c.bytes, c.passed, c.passed_bytes, c.dropped_queue, c.dropped_loss,
           c.queued, c.queued_max);
}

static void do_count(struct lab *lab, char **words) {
    struct lab_leg *leg = find_leg(lab, words[1], words[2]);
    if (leg == NULL) {
        say("error no such leg");
        return;
    }
    printf("ok {");
    print_counts("up", &leg->wires[LAB_UP]);
    printf(", ");
    print_counts("down", &leg->wires[LAB_DOWN]);
    say(", \"refused\": %" PRIu64 "}", lab->refused);
}

void lab_command(struct lab *lab, char *line) {
    char *words[WORDS_MAX] = {0}, *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (count == 2 && strcmp(words[0], "host") == 0)
        do_host(lab, words);
    else if (count == 6 && strcmp(words[0], "link") == 0)
        do_link(lab, words);
    else if (count == 4 && strcmp(words[0], "leg") == 0)
        do_leg(lab, words);
    else if (count >= 6 && strcmp(words[0], "set") == 0)
        do_set(lab, words, count);
    else if (count == 3 && strcmp(words[0], "count") == 0)
        do_count(lab, words);
    else
        say("error not a command");
}
