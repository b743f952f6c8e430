/*
 * What a volunteer sees, to the byte: a library for LD_PRELOAD that writes all that its process
 * sends and receives to the file that FB_TAP names: datagrams and streams of IP sockets as they are
 * on the wire, and what OpenSSL opens and seals of DTLS. unlinkable.test.mjs reads it.
 *
 *     record: kind u8 ('U' datagram, 'S' stream, 'D' inside DTLS) || 1 when received, 0 when sent
 *             || descriptor or connection u32 || length u32 || bytes
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECORD_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;

/* The function of that name behind this library's. */
static void *behind(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

#define BEHIND(name) ((__typeof__(&(name)))behind(#name))

static void put(char kind, int received, uint32_t from, const struct iovec *parts, size_t count,
                ssize_t len) {
    uint8_t record[10 + RECORD_MAX] = {(uint8_t)kind, (uint8_t)received};
    size_t left = len > RECORD_MAX ? RECORD_MAX : (size_t)len, at = 10;
    if (len <= 0)
        return;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        memcpy(record + at, parts[i].iov_base, part);
        at += part;
        left -= part;
    }
    for (int i = 0; i < 4; i++) {
        record[2 + i] = (uint8_t)(from >> (24 - 8 * i));
        record[6 + i] = (uint8_t)((at - 10) >> (24 - 8 * i));
    }
    pthread_mutex_lock(&lock);
    if (file < 0)
        file = open(getenv("FB_TAP"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t (*plain_write)(int, const void *, size_t) = BEHIND(write);
    if (file < 0 || plain_write(file, record, at) != (ssize_t)at)
        abort();
    pthread_mutex_unlock(&lock);
}

/* 0 for what is not a socket of IP. */
static char kind_of(int fd) {
    int type = 0, domain = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        (domain != AF_INET && domain != AF_INET6))
        return 0;
    return type == SOCK_DGRAM ? 'U' : 'S';
}

static void note(int fd, int received, const struct iovec *parts, size_t count, ssize_t len) {
    char kind = len > 0 ? kind_of(fd) : 0;
    if (kind != 0)
        put(kind, received, (uint32_t)fd, parts, count, len);
}

static ssize_t note_one(int fd, int received, const void *bytes, ssize_t len) {
    const struct iovec part = {(void *)(uintptr_t)bytes, len > 0 ? (size_t)len : 0};
    note(fd, received, &part, 1, len);
    return len;
}

ssize_t read(int fd, void *buf, size_t len) {
    return note_one(fd, 1, buf, BEHIND(read)(fd, buf, len));
}

ssize_t write(int fd, const void *buf, size_t len) {
    return note_one(fd, 0, buf, BEHIND(write)(fd, buf, len));
}

ssize_t recv(int fd, void *buf, size_t len, int flags) {
    return note_one(fd, 1, buf, BEHIND(recv)(fd, buf, len, flags));
}

ssize_t send(int fd, const void *buf, size_t len, int flags) {
    return note_one(fd, 0, buf, BEHIND(send)(fd, buf, len, flags));
}

ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
                 socklen_t *from_len) {
    return note_one(fd, 1, buf, BEHIND(recvfrom)(fd, buf, len, flags, from, from_len));
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
               socklen_t to_len) {
    return note_one(fd, 0, buf, BEHIND(sendto)(fd, buf, len, flags, to, to_len));
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags) {
    ssize_t len = BEHIND(recvmsg)(fd, msg, flags);
    note(fd, 1, msg->msg_iov, msg->msg_iovlen, len);
    return len;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    ssize_t len = BEHIND(sendmsg)(fd, msg, flags);
    note(fd, 0, msg->msg_iov, msg->msg_iovlen, len);
    return len;
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
             struct timespec *timeout) {
    int got = BEHIND(recvmmsg)(fd, msgs, count, flags, timeout);
    for (int i = 0; i < got; i++)
        note(fd, 1, msgs[i].msg_hdr.msg_iov, msgs[i].msg_hdr.msg_iovlen, msgs[i].msg_len);
    return got;
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags) {
    int sent = BEHIND(sendmmsg)(fd, msgs, count, flags);
    for (int i = 0; i < sent; i++)
        note(fd, 0, msgs[i].msg_hdr.msg_iov, msgs[i].msg_hdr.msg_iovlen, msgs[i].msg_len);
    return sent;
}

int SSL_read(SSL *ssl, void *buf, int len) {
    int got = BEHIND(SSL_read)(ssl, buf, len);
    const struct iovec part = {buf, got > 0 ? (size_t)got : 0};
    if (SSL_is_dtls(ssl))
        put('D', 1, (uint32_t)(uintptr_t)ssl, &part, 1, got);
    return got;
}

int SSL_write(SSL *ssl, const void *buf, int len) {
    int sent = BEHIND(SSL_write)(ssl, buf, len);
    const struct iovec part = {(void *)(uintptr_t)buf, sent > 0 ? (size_t)sent : 0};
    if (SSL_is_dtls(ssl))
        put('D', 0, (uint32_t)(uintptr_t)ssl, &part, 1, sent);
    return sent;
}
