/*
 * sim: whole networks in virtual time (doc/testing.md).
 *
 *   sim [--large] [--jobs N] [--out DIR] --seeds A-B   runs each seed, prints a table
 *   sim [--large] --seed N [--trace] [--out DIR]       one, in this process
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
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/model.h"
#include "sim/report.h"

#define JOBS_MAX 16

struct options {
    uint64_t first, last;
    unsigned jobs;
    bool large, trace, one, self_test;
    const char *out; /* directory for plots and the summary; NULL: none */
    const char *program;
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

static void run(const struct plan *plan, bool trace, const char *out, struct result *result) {
    uint64_t begin = wall_ms();
    struct net *net = net_new(plan, trace);
    memset(result, 0, sizeof *result);
    if (net == NULL)
        return;
    if (out != NULL)
        net->samples = samples_new(net);
    net_run(net);
    if (out != NULL)
        write_plot(net, out);
    result->plan = net->plan;
    result->totals = net->totals;
    result->digest = net->world.digest;
    result->events = net->world.events;
    memcpy(result->failure, net->world.failure, sizeof result->failure);
    net_free(net);
    result->wall_ms = wall_ms() - begin;
    result->there = true;
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
        struct rlimit limit = {options->large ? 600 : 120, options->large ? 600 : 120};
        setrlimit(RLIMIT_CPU, &limit); /* seconds: a run that never ends is a failure too */
        plan_from_seed(&plan, seed, options->large);
        run(&plan, false, options->out, &result);
        bool written = write(ends[1], &result, sizeof result) == (ssize_t)sizeof result;
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    job->pipe = ends[0];
    return job->pid > 0;
}

static void finish(const struct options *options, const struct job *job, int status,
                   struct result *result) {
    bool whole = read(job->pipe, result, sizeof *result) == (ssize_t)sizeof *result;
    close(job->pipe);
    if (whole && result->there)
        return;
    memset(result, 0, sizeof *result);
    plan_from_seed(&result->plan, job->seed, options->large);
    snprintf(result->failure, sizeof result->failure, "the process ended by signal %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    result->there = true;
}

/* Rows in the order of seeds, as soon as that is possible. */
static void print_ready(const struct options *options, FILE *out, const struct result *results,
                        size_t count, size_t *printed) {
    for (; *printed < count && results[*printed].there; ++*printed) {
        const struct result *result = &results[*printed];
        report_row(out, result);
        if (result->failure[0] != '\0')
            fprintf(out, "       again: %s %s--seed %llu --trace\n", options->program,
                    options->large ? "--large " : "", (unsigned long long)result->plan.seed);
        fflush(out);
    }
}

static void run_jobs(const struct options *options, FILE *out, struct result *results,
                     size_t count) {
    struct job jobs[JOBS_MAX];
    unsigned running = 0;
    size_t begun = 0, printed = 0;
    while (begun < count || running > 0) {
        if (begun < count && running < options->jobs) {
            if (!start(options, &jobs[running], options->first + begun)) {
                perror("sim");
                exit(1);
            }
            running++;
            begun++;
            continue;
        }
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < running; i++) {
            if (jobs[i].pid != pid)
                continue;
            finish(options, &jobs[i], status, &results[jobs[i].seed - options->first]);
            jobs[i] = jobs[--running];
            break;
        }
        print_ready(options, out, results, count, &printed);
    }
}

static FILE *open_summary(const struct options *options) {
    char file[512];
    if (options->out == NULL)
        return NULL;
    snprintf(file, sizeof file, "%s/%s.txt", options->out, options->large ? "large" : "summary");
    FILE *out = fopen(file, "w");
    if (out == NULL)
        fprintf(stderr, "sim: %s cannot be written: %s\n", file, strerror(errno));
    return out;
}

static unsigned run_all(const struct options *options) {
    size_t count = (size_t)(options->last - options->first + 1), none = 0;
    struct result *results = calloc(count, sizeof *results);
    uint64_t begin = wall_ms();
    if (results == NULL)
        return 1;
    report_head(stdout);
    run_jobs(options, stdout, results, count);
    unsigned failed = report_sum(stdout, results, count, wall_ms() - begin);
    FILE *out = open_summary(options);
    if (out != NULL) {
        report_head(out);
        print_ready(options, out, results, count, &none);
        report_sum(out, results, count, wall_ms() - begin);
        fclose(out);
    }
    free(results);
    return failed;
}

static unsigned run_one(const struct options *options) {
    struct plan plan;
    struct result result;
    plan_from_seed(&plan, options->first, options->large);
    run(&plan, options->trace, options->out, &result);
    report_head(stdout);
    report_row(stdout, &result);
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
    if (meddling ==
        MEDDLE_TOKENS) { /* a client uses up those in hand before any that comes again */
        plan.paths = 5;
        plan.life = 3 * SECOND;
        plan.calm = 120 * SECOND;
        plan.transfers = 100;
    }
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
    unsigned passed = repeats(), failed = !passed;
    for (int m = MEDDLE_NOTHING + 1; m < MEDDLE_COUNT; m++) {
        bool well = caught((enum meddling)m);
        passed += well;
        failed += !well;
    }
    failed += model_test(&passed);
    printf("%u self-tests passed, %u failed\n", passed, failed);
    return failed;
}

/* ---- options ---- */

static void usage(void) {
    fputs("usage: sim [--large] [--jobs N] [--out DIR] --seeds A-B\n"
          "       sim [--large] [--trace] [--out DIR] --seed N\n"
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
        {"jobs", required_argument, NULL, 'j'}, {"out", required_argument, NULL, 'o'},
        {"large", no_argument, NULL, 'l'},      {"trace", no_argument, NULL, 't'},
        {"self-test", no_argument, NULL, 'x'},  {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 's': options->one = true; /* fall through */
        case 'S': parse_seeds(options, optarg); break;
        case 'j': options->jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'o': options->out = optarg; break;
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
    struct options options = {.jobs = 1, .program = argv[0]};
    parse(&options, argc, argv);
    if (options.self_test)
        return self_test() > 0;
    return (options.one ? run_one(&options) : run_all(&options)) > 0;
}
