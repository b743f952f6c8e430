/*
 * sim: whole networks in virtual time (doc/testing.md).
 *
 *   sim [--large] [--jobs N] [--plot DIR] --seeds A-B   runs each seed, prints a table
 *   sim [--large] --seed N [--trace] [--plot DIR]       one, in this process
 *   sim --self-test                                     each invariant must catch what breaks it
 *
 * Exit status 1 when an invariant did not hold; the seed and the command that repeats it are
 * printed.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/net.h"

#define JOBS_MAX 16

struct options {
    uint64_t first, last;
    unsigned jobs;
    bool large, trace, one, self_test;
    const char *plots; /* directory; NULL: none */
};

struct result {
    bool there; /* the run came to its end */
    struct plan plan;
    struct totals totals;
    uint64_t digest, events, wall_ms;
    char failure[320];
};

static uint64_t wall_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void write_plot(const struct net *net, const char *dir) {
    char file[512];
    snprintf(file, sizeof file, "%s/seed-%llu.svg", dir, (unsigned long long)net->plan.seed);
    if (!samples_write(net, file))
        fprintf(stderr, "sim: %s cannot be written: %s\n", file, strerror(errno));
}

static void run(const struct plan *plan, bool trace, const char *plots, struct result *result) {
    uint64_t begin = wall_ms();
    struct net *net = net_new(plan, trace);
    memset(result, 0, sizeof *result);
    if (net == NULL)
        return;
    if (plots != NULL)
        net->samples = samples_new(net);
    net_run(net);
    if (plots != NULL)
        write_plot(net, plots);
    result->plan = net->plan;
    result->totals = net->totals;
    result->digest = net->world.digest;
    result->events = net->world.events;
    memcpy(result->failure, net->world.failure, sizeof result->failure);
    net_free(net);
    result->wall_ms = wall_ms() - begin;
    result->there = true;
}

/* ---- the table ---- */

static void print_head(void) {
    puts("  seed  cl  vol ev% loss paths ln  transf   MB  Mbit/s stall s  opened   lost altered "
         "replays virt s  ms  result");
}

static void print_row(const struct result *r) {
    const struct plan *p = &r->plan;
    const struct totals *t = &r->totals;
    double mb = (double)(t->bytes_up + t->bytes_down) / 1e6, s = (double)t->end / (double)SECOND;
    printf("%6llu %3u %4u %3u %4.1f %5u %2u %3u+%u-%u %5.1f %6.2f %7.2f %7llu %6llu %7llu %7llu "
           "%6.0f %5llu  %s\n",
           (unsigned long long)p->seed, p->clients, p->volunteers, p->faults / 10, p->loss / 1000.0,
           p->paths, p->lanes, (unsigned)t->finished, (unsigned)t->reset, (unsigned)t->lost, mb,
           s > 0 ? mb * 8 / s : 0, (double)t->longest_stall / (double)SECOND,
           (unsigned long long)t->paths, (unsigned long long)t->paths_lost,
           (unsigned long long)t->altered, (unsigned long long)t->replays_refused, s,
           (unsigned long long)r->wall_ms, r->failure[0] == '\0' ? "ok" : "FAIL");
    if (r->failure[0] != '\0')
        printf("       %s\n", r->failure);
}

/* ---- many seeds, a process each ---- */

struct job {
    pid_t pid;
    int pipe;
    uint64_t seed;
};

static bool start(const struct options *options, struct job *job, uint64_t seed) {
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0)
        return false;
    job->seed = seed;
    job->pid = fork();
    if (job->pid == 0) {
        struct plan plan;
        struct result result;
        close(ends[0]);
        alarm(options->large ? 1200 : 180);
        plan_from_seed(&plan, seed, options->large);
        run(&plan, false, options->plots, &result);
        bool written = write(ends[1], &result, sizeof result) == (ssize_t)sizeof result;
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    job->pipe = ends[0];
    return job->pid > 0;
}

/* False: the seed has failed. */
static bool finish(const struct options *options, const struct job *job, int status) {
    struct result result = {.there = false};
    bool whole = read(job->pipe, &result, sizeof result) == (ssize_t)sizeof result;
    close(job->pipe);
    if (!whole || !result.there) {
        plan_from_seed(&result.plan, job->seed, options->large);
        snprintf(result.failure, sizeof result.failure, "the process ended by signal %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    print_row(&result);
    if (result.failure[0] == '\0')
        return true;
    printf("       again: sim %s--seed %llu --trace\n", options->large ? "--large " : "",
           (unsigned long long)job->seed);
    return false;
}

static unsigned run_all(const struct options *options) {
    struct job jobs[JOBS_MAX];
    unsigned running = 0, failed = 0, passed = 0;
    uint64_t next = options->first, begin = wall_ms();
    print_head();
    while (next <= options->last || running > 0) {
        if (next <= options->last && running < options->jobs) {
            if (!start(options, &jobs[running], next)) {
                perror("sim");
                return 1;
            }
            running++;
            next++;
            continue;
        }
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < running; i++) {
            if (jobs[i].pid != pid)
                continue;
            bool well = finish(options, &jobs[i], status);
            passed += well;
            failed += !well;
            jobs[i] = jobs[--running];
            break;
        }
    }
    printf("%u seeds passed, %u failed, %.1f s\n", passed, failed,
           (double)(wall_ms() - begin) / 1000);
    return failed;
}

static unsigned run_one(const struct options *options) {
    struct plan plan;
    struct result result;
    plan_from_seed(&plan, options->first, options->large);
    run(&plan, options->trace, options->plots, &result);
    print_head();
    print_row(&result);
    printf("digest %016llx after %llu events\n", (unsigned long long)result.digest,
           (unsigned long long)result.events);
    return result.failure[0] != '\0';
}

/* ---- self-tests ---- */

static const struct {
    const char *what, *caught_as;
} meddlings[MEDDLE_COUNT] = {
    [MEDDLE_DUPLICATE] = {"bytes of a stream that come twice", "data:"},
    [MEDDLE_REORDER] = {"bytes of a stream that change places", "data:"},
    [MEDDLE_WITHHOLD] = {"a session window one byte short", "window:"},
    [MEDDLE_STARVE] = {"windows that are not given back", "deadlock:"},
    [MEDDLE_SWALLOW] = {"packets that arrive without their data", "deadlock:"},
    [MEDDLE_TOKENS] = {"tokens that come again", "tokens:"},
    [MEDDLE_LEAK] = {"a session that frees nothing", "memory:"},
    [MEDDLE_GLUTTON] = {"a volunteer whose queue nobody bounds", "memory:"},
};

/* A network that gives every invariant something to do. */
static struct plan busy_plan(uint64_t seed, enum meddling meddling) {
    struct plan plan;
    plan_from_seed(&plan, seed, false);
    plan.clients = meddling == MEDDLE_TOKENS ? 1 : 2;
    plan.volunteers = 12;
    plan.transfers = 12;
    plan.bytes = 3000000;
    plan.paths = 3;
    plan.faults = 0;
    plan.egresses = 1;
    plan.restarts = false;
    plan.life = 20 * SECOND;
    plan.real_crypto = false;
    plan.meddling = meddling;
    return plan;
}

static bool caught(enum meddling meddling) {
    const char *prefix = meddlings[meddling].caught_as;
    struct result result = {.there = false};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct plan plan = busy_plan(seed, meddling);
        run(&plan, false, NULL, &result);
        const char *said = strstr(result.failure, " s: ");
        if (said != NULL && strncmp(said + 4, prefix, strlen(prefix)) == 0) {
            printf("ok    %s: %s\n", meddlings[meddling].what, result.failure);
            return true;
        }
    }
    printf("FAIL  %s: not caught as \"%s\": %s\n", meddlings[meddling].what, prefix,
           result.failure[0] != '\0' ? result.failure : "nothing was");
    return false;
}

/* The same seed gives the same run, another one another. */
static bool repeats(void) {
    struct plan plan = busy_plan(7, MEDDLE_NOTHING), other = busy_plan(8, MEDDLE_NOTHING);
    struct result one, two, three;
    run(&plan, false, NULL, &one);
    run(&plan, false, NULL, &two);
    run(&other, false, NULL, &three);
    bool well = one.failure[0] == '\0' && one.digest == two.digest && one.events == two.events &&
                one.digest != three.digest;
    printf("%s  one seed twice, another once: %016llx %016llx %016llx %s\n", well ? "ok  " : "FAIL",
           (unsigned long long)one.digest, (unsigned long long)two.digest,
           (unsigned long long)three.digest, one.failure);
    return well;
}

static unsigned self_test(void) {
    unsigned failed = !repeats();
    for (int m = MEDDLE_NOTHING + 1; m < MEDDLE_COUNT; m++)
        failed += !caught((enum meddling)m);
    printf("%u self-tests passed, %u failed\n", (unsigned)MEDDLE_COUNT - failed, failed);
    return failed;
}

/* ---- options ---- */

static void usage(void) {
    fputs("usage: sim [--large] [--jobs N] [--plot DIR] --seeds A-B\n"
          "       sim [--large] [--trace] [--plot DIR] --seed N\n"
          "       sim --self-test\n",
          stderr);
    exit(2);
}

static void parse_seeds(struct options *options, const char *text) {
    char *end;
    options->first = strtoull(text, &end, 10);
    options->last = *end == '-' ? strtoull(end + 1, &end, 10) : options->first;
    if (end == text || *end != '\0' || options->last < options->first)
        usage();
}

static void parse(struct options *options, int argc, char **argv) {
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'S'},
        {"jobs", required_argument, NULL, 'j'}, {"plot", required_argument, NULL, 'p'},
        {"large", no_argument, NULL, 'l'},      {"trace", no_argument, NULL, 't'},
        {"self-test", no_argument, NULL, 'x'},  {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 's': options->one = true; /* fall through */
        case 'S': parse_seeds(options, optarg); break;
        case 'j': options->jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'p': options->plots = optarg; break;
        case 'l': options->large = true; break;
        case 't': options->trace = true; break;
        case 'x': options->self_test = true; break;
        default: usage();
        }
    }
    if (optind < argc || options->jobs < 1 || options->jobs > JOBS_MAX ||
        (options->last == 0 && !options->self_test))
        usage();
}

int main(int argc, char **argv) {
    struct options options = {.jobs = 1};
    parse(&options, argc, argv);
    if (options.self_test)
        return self_test() > 0;
    return (options.one ? run_one(&options) : run_all(&options)) > 0;
}
