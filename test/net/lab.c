#include "lab.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 16
#define INPUT UINT64_MAX
#define LINE_CAP 1024
#define PACKETS_MAX 65536 /* of 2 KiB, for all links together */
#define TICK_NS 200000
#define SECOND_NS UINT64_C(1000000000)

static struct lab lab;

static int check(void) {
    char why[256];
    int space = -1, tun = -1;
    if (spaces_begin(why) == 0 && (space = spaces_new(why)) >= 0)
        tun = spaces_tun(space, "probe0", why);
    if (tun < 0)
        printf("%s\n", why);
    return tun < 0;
}

/* Whole lines of what has come; false: the input has ended. */
static bool hear(void) {
    static char line[LINE_CAP];
    static size_t have;
    ssize_t n = read(STDIN_FILENO, line + have, sizeof line - 1 - have);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    have += (size_t)n;
    line[have] = '\0';
    char *begin = line, *end;
    while ((end = strchr(begin, '\n')) != NULL) {
        *end = '\0';
        lab_command(&lab, begin);
        begin = end + 1;
    }
    have -= (size_t)(begin - line);
    memmove(line, begin, have);
    return have < sizeof line - 1;
}

static struct timespec span(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
}

/* What has happened until then. While there is something to do each moment it looks only once a
 * TICK_NS: waking up costs more than a packet. */
static int wait_until(uint64_t next, bool busy, struct epoll_event *events) {
    uint64_t now = lab_now_ns(), left = next > now ? next - now : 0;
    struct timespec time = span(busy ? TICK_NS : left);
    if (!busy)
        return epoll_pwait2(lab.epoll, events, EVENTS, next == WIRE_NEVER ? NULL : &time, NULL);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    return epoll_wait(lab.epoll, events, EVENTS, 0);
}

/* A link does not slow down because the machine is busy: before everybody, where that is allowed,
 * and no slack for timers. */
static void hurry(void) {
    struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) != 0)
        setpriority(PRIO_PROCESS, 0, -15);
    prctl(PR_SET_TIMERSLACK, 1);
}

static int run(uint64_t seed) {
    char why[256];
    int parent = getppid();
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.u64 = INPUT}};
    hurry(); /* while we may */
    if (spaces_begin(why) != 0 || (lab.hosts[0].space = spaces_new(why)) < 0) {
        printf("error %s\n", why);
        return 1;
    }
    spaces_die_with(parent);
    snprintf(lab.hosts[0].name, sizeof lab.hosts[0].name, "core");
    lab.host_count = 1;
    lab.seed = seed;
    lab.stock.max = PACKETS_MAX;
    lab.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (lab.epoll < 0 || epoll_ctl(lab.epoll, EPOLL_CTL_ADD, STDIN_FILENO, events) != 0) {
        printf("error epoll\n");
        return 1;
    }
    printf("ok %d\n", lab.hosts[0].space);
    fflush(stdout);
    int count = 0;
    for (bool on = true; on;) {
        uint64_t next, delivered = lab_deliver(&lab, &next);
        count = wait_until(next, count > 0 || delivered > 0, events);
        for (int i = 0; i < count; i++) {
            uint64_t what = events[i].data.u64;
            if (what == INPUT)
                on = hear();
            else
                lab_read(&lab, &lab.links[what / 2], (enum lab_direction)(what % 2));
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return check();
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run(strtoull(argv[2], NULL, 10));
    if (argc >= 6 && strcmp(argv[1], "exec") == 0)
        return spaces_exec(argc - 2, argv + 2);
    fprintf(stderr, "usage: lab check | run SEED | exec PARENT LAB FD FILE [ARG...]\n");
    return 2;
}
