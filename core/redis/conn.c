/*
 * conn.c - makes, checks and drops the connection.
 *
 * The socket blocks, with the time-outs of the URL as SO_RCVTIMEO and SO_SNDTIMEO, so a call costs
 * one send and one receive.  It lies high and close-on-exec, out of the way of programs that count
 * on low numbers.  Before each use two cheap system calls say whether the number is still our
 * socket and whether the server has closed it since: both are repaired without anyone noticing,
 * because nothing of the new call was sent.
 */
#include "core/redis/rds_internal.h"

#include "core/base/line.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FD_CEILING 1024 /* a higher number would only make the kernel's table larger */
#define FD_BELOW   64   /* how far below the ceiling ours are looked for */
#define FD_LOWEST  3    /* never stand in for a stdin that the program closed */

int rds_fail(struct rds *r, int rc, const char *fmt, ...)
{
    size_t n = (size_t)snprintf(r->error, sizeof(r->error), "%s: ", r->url.shown);
    va_list ap;

    va_start(ap, fmt);
    if (n < sizeof(r->error))
        line_vset(r->error + n, sizeof(r->error) - n, fmt, ap);
    va_end(ap);
    return rc;
}

const char *rds_error(const struct rds *r)
{
    return r->error[0] ? r->error : "no error";
}

const char *rds_shown(const struct rds *r)
{
    return r->url.shown;
}

void rds_sleep_ms(uint32_t ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000L};

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        continue;
}

int rds_open(const struct rds_url *url, struct rds **out)
{
    struct rds *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (!r)
        return -ENOMEM;
    r->url = *url;
    r->fd = -1;
    *out = r;
    return 0;
}

/* Is the number still our socket?  A program may close every descriptor it knows nothing of. */
static bool is_ours(const struct rds *r)
{
    struct stat st;

    return fstat(r->fd, &st) == 0 && st.st_dev == r->fd_dev && st.st_ino == r->fd_ino;
}

void rds_drop(struct rds *r)
{
    rds_flights_fail(r, -EIO);
    r->has_script = false;
    if (r->fd >= 0 && is_ours(r))
        close(r->fd);
    r->fd = -1;
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
}

void rds_close(struct rds *r)
{
    if (!r)
        return;
    rds_drop(r);
    rds_flights_free(r);
    buf_free(&r->out);
    free(r);
}

/* A plain close: the parent's end of the shared connection does not notice. */
void rds_after_fork(struct rds *r)
{
    rds_drop(r);
    rds_flights_free(r);
}

const struct keys *rds_keys(const struct rds *r)
{
    return &r->keys;
}

int rds_fd(const struct rds *r)
{
    return r->fd;
}

uint32_t rds_epoch(const struct rds *r)
{
    return r->epoch;
}

struct rds_traffic rds_traffic(const struct rds *r)
{
    return r->traffic;
}

void rds_fd_moved(struct rds *r, int fresh)
{
    r->fd = fresh;
}

/* What a program may be told when the server cannot be reached: never ENOENT, ENOTDIR... */
static int unreachable(int err)
{
    switch (err) {
    case ETIMEDOUT:
    case EACCES:
    case EPERM:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return -err;
    case EINPROGRESS: /* connect() after SO_SNDTIMEO */
    case EAGAIN:
        return -ETIMEDOUT;
    default:
        return -ECONNREFUSED;
    }
}

static void set_timeout(int fd, int which, uint32_t ms)
{
    struct timeval t = {ms / 1000, (ms % 1000) * 1000};

    setsockopt(fd, SOL_SOCKET, which, &t, sizeof(t));
}

/* Moves a descriptor up; keeps it where it is when there is no room. */
static int raise_fd(int fd)
{
    struct rlimit lim;
    int from = FD_LOWEST, high = -1;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur > 2 * FD_BELOW)
        from = (int)(lim.rlim_cur < FD_CEILING ? lim.rlim_cur : FD_CEILING) - FD_BELOW;
    high = fcntl(fd, F_DUPFD_CLOEXEC, from);
    if (high < 0 && fd < FD_LOWEST)
        high = fcntl(fd, F_DUPFD_CLOEXEC, FD_LOWEST);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

/* One address.  The descriptor, or -errno. */
static int dial(const struct rds_url *u, const struct sockaddr *addr, socklen_t len)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    set_timeout(fd, SO_SNDTIMEO, u->connect_timeout_ms);
    int rc = connect(fd, addr, len);
    if (rc < 0) {
        rc = -errno;
        close(fd);
        return rc == -EINTR ? -EAGAIN : rc;
    }
    set_timeout(fd, SO_SNDTIMEO, u->write_timeout_ms);
    set_timeout(fd, SO_RCVTIMEO, u->read_timeout_ms);
    if (addr->sa_family != AF_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return fd;
}

static int dial_unix(struct rds *r)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, r->url.socket, strlen(r->url.socket) + 1);
    int fd = dial(&r->url, (struct sockaddr *)&addr, sizeof(addr));
    return fd >= 0 ? fd : rds_fail(r, unreachable(-fd), "cannot connect: %s", strerror(-fd));
}

static int dial_tcp(struct rds *r)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    char port[8];
    int fd = -ECONNREFUSED;

    snprintf(port, sizeof(port), "%d", r->url.port);
    /* A numeric address first: the resolver would load libraries into the host program. */
    int rc = getaddrinfo(r->url.host, port, &hints, &list);
    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_ADDRCONFIG;
        rc = getaddrinfo(r->url.host, port, &hints, &list);
    }
    if (rc != 0)
        return rds_fail(r, -EHOSTUNREACH, "cannot find the host: %s", gai_strerror(rc));
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = dial(&r->url, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(list);
    return fd >= 0 ? fd : rds_fail(r, unreachable(-fd), "cannot connect: %s", strerror(-fd));
}

static int check_hello(struct rds *r, const struct rds_reply *reply, bool is_auth)
{
    const char *text = rds_reply_text(reply);
    bool retry;

    if (!text)
        return 0;
    int rc = rds_text_errno(text, &retry);
    if (is_auth && rc == -EACCES)
        return rds_fail(r, rc, "wrong user or password");
    /* Not the server's words: "unknown command 'AUTH' with args beginning with ..." has it. */
    if (is_auth && rc == -EIO)
        return rds_fail(r, -EACCES, "the server does not take this user and password");
    return rds_reply_error(r, reply);
}

/* AUTH and SELECT, when they are needed. */
size_t rds_greet(struct rds *r, struct buf *out)
{
    const struct rds_url *u = &r->url;
    struct rds_arg auth[3] = {RDS_STR("AUTH")};
    char db[16];
    size_t n = 0, argc = 1;

    if (r->is_greeted)
        return 0;
    if (u->password[0] != '\0') {
        if (u->user[0])
            auth[argc++] = RDS_STR(u->user);
        auth[argc++] = RDS_STR(u->password);
        rds_format(out, auth, argc);
        n++;
    }
    if (u->db != 0) {
        snprintf(db, sizeof(db), "%d", u->db);
        rds_format(out, (struct rds_arg[]){RDS_STR("SELECT"), RDS_STR(db)}, 2);
        n++;
    }
    return n;
}

int rds_greeted(struct rds *r, size_t n, struct rds_reply *const *replies)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = check_hello(r, replies[i], r->url.password[0] != '\0' && i == 0);
    if (rc < 0)
        rds_drop(r);
    r->is_greeted = rc == 0;
    r->was_up = rc == 0;
    return rc;
}

/* In a round trip of their own: what follows must not reach another database. */
static int hello(struct rds *r)
{
    struct rds_reply *replies[RDS_GREETINGS] = {NULL, NULL};
    size_t sent;
    int rc = 0;

    buf_clear(&r->out);
    size_t n = rds_greet(r, &r->out);
    if (n > 0)
        rc = rds_transfer(r, n, replies, &sent);
    if (rc == 0)
        rc = rds_greeted(r, n, replies);
    else
        rds_drop(r);
    for (size_t i = 0; i < n; i++)
        rds_reply_free(replies[i]);
    return rc;
}

static int connect_once(struct rds *r, bool greet)
{
    struct stat st;
    int fd = r->url.socket[0] ? dial_unix(r) : dial_tcp(r);

    if (fd < 0)
        return fd;
    fd = raise_fd(fd);
    r->reader = redisReaderCreate();
    if (!r->reader || fstat(fd, &st) < 0) {
        close(fd);
        rds_drop(r);
        return rds_fail(r, -ENOMEM, "no memory");
    }
    r->fd = fd;
    r->fd_dev = st.st_dev;
    r->fd_ino = st.st_ino;
    r->owner = getpid();
    r->epoch++;
    r->is_greeted = false;
    return greet ? hello(r) : 0;
}

/* Open, ours, nothing to read but answers that are due: an answer nobody asked for would be taken
 * for the next one. */
static bool is_usable(const struct rds *r)
{
    char c;

    if (r->fd < 0 || r->owner != getpid() || !is_ours(r))
        return false;
    if (rds_flights_wait(r))
        return true;
    return r->reader->pos == r->reader->len && recv(r->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

/* A first connection fails at once.  One that worked before is tried again for as long as one
 * longest back-off: a server that restarts under a running program is the common case. */
static int make_usable(struct rds *r, bool greet)
{
    uint32_t nap = r->url.min_backoff_ms, left = r->url.max_backoff_ms;
    int rc;

    if (is_usable(r))
        return r->is_greeted || !greet ? 0 : hello(r);
    rds_drop(r);
    for (;;) {
        rc = connect_once(r, greet);
        bool may_pass = rc == -EAGAIN || (r->was_up && (rc == -ECONNREFUSED || rc == -EIO));
        if (!may_pass || left == 0)
            break;
        nap = nap < left ? nap : left;
        r->traffic.retries++;
        rds_sleep_ms(nap);
        left -= nap;
        nap *= 2;
    }
    r->was_up = rc == 0;
    return rc;
}

int rds_connect(struct rds *r)
{
    return make_usable(r, true);
}

int rds_dial(struct rds *r)
{
    return make_usable(r, false);
}
