#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

#define TUN "/dev/net/tun"

static int fail(char why[static 256], const char *what) {
    snprintf(why, 256, "%s: %s", what, strerror(errno));
    return -1;
}

static int write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* user_namespaces(7): one may map oneself, after giving up setgroups(2). */
static int become_root(char why[static 256]) {
    char map[64];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER) != 0)
        return fail(why, "neither root nor a user namespace");
    snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
    if (write_file("/proc/self/setgroups", "deny") != 0 ||
        write_file("/proc/self/uid_map", map) != 0)
        return fail(why, "neither root nor root in a user namespace");
    snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
    if (write_file("/proc/self/gid_map", map) != 0)
        return fail(why, "neither root nor root in a user namespace");
    prctl(PR_SET_DUMPABLE, 1); /* or /proc/self is not ours any more, nor `lab exec`'s to read */
    return 0;
}

int spaces_begin(char why[static 256]) {
    if (geteuid() != 0 && become_root(why) != 0)
        return -1;
    if (unshare(CLONE_NEWNET) != 0)
        return fail(why, "a network namespace needs root, or a user namespace");
    return 0;
}

static int own_space(void) {
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

int spaces_new(char why[static 256]) {
    int made = -1, here = own_space();
    if (here < 0)
        return fail(why, "/proc/self/ns/net");
    if (unshare(CLONE_NEWNET) == 0)
        made = own_space();
    if (made < 0)
        fail(why, "a network namespace");
    if (setns(here, CLONE_NEWNET) != 0)
        abort();
    close(here);
    return made;
}

int spaces_tun(int space, const char *name, char why[static 256]) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = -1, here = own_space();
    if (here < 0)
        return fail(why, "/proc/self/ns/net");
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    /* A device belongs to the namespace in which its descriptor was opened. */
    if (setns(space, CLONE_NEWNET) == 0)
        fd = open(TUN, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        fail(why, TUN);
    } else if (ioctl(fd, TUNSETIFF, &request) != 0) {
        fail(why, "a TUN device");
        close(fd);
        fd = -1;
    }
    if (setns(here, CLONE_NEWNET) != 0)
        abort();
    close(here);
    return fd;
}

void spaces_die_with(int parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        exit(1);
}

/* Enters one of a process's namespaces, unless it is ours already. */
static int enter(const char *path, const char *own, int kind) {
    struct stat there, here;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &there) != 0)
        return -1;
    int err = 0;
    if (stat(own, &here) != 0 || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
        err = setns(fd, kind);
    close(fd);
    return err;
}

int spaces_exec(int argc, char **argv) {
    char user[64], net[64];
    if (argc < 4)
        return 2;
    snprintf(user, sizeof user, "/proc/%d/ns/user", atoi(argv[1]));
    snprintf(net, sizeof net, "/proc/%d/fd/%d", atoi(argv[1]), atoi(argv[2]));
    int space = open(net, O_RDONLY | O_CLOEXEC); /* as long as we may look into that process */
    if (space < 0 || enter(user, "/proc/self/ns/user", CLONE_NEWUSER) != 0 ||
        setns(space, CLONE_NEWNET) != 0) {
        fprintf(stderr, "lab: the namespace is gone: %s\n", strerror(errno));
        return 1;
    }
    spaces_die_with(atoi(argv[0])); /* after setns: a change of credentials forgets it */
    execvp(argv[3], argv + 3);
    fprintf(stderr, "lab: %s: %s\n", argv[3], strerror(errno));
    return 127;
}
