/*
 * flight.c - script calls and pipes of commands on their way: sent without waiting for the ones
 * before, answered in the order they were sent.
 *
 * All are in one list, oldest first.  Redis answers a connection in order, so a reply belongs to
 * the oldest that has left and waits.  Where the kernel takes no more, what is left stays in the
 * list and goes out with the next call here; whoever waits reads and sends by turns, so both
 * directions may be full.
 *
 * A server that lacks the script answers NOSCRIPT to all that left together.  They are sent again,
 * in order, behind a SCRIPT LOAD; to have them in order whoever else loads it meanwhile, only one
 * leaves on a new connection before an answer shows that the script is there.
 */
#include "core/redis/rds_internal.h"

#include "core/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum state {
    WAITING,  /* for its answer; sent < bytes.len: not all of it left */
    UNKNOWN,  /* the server lacks the script: to be sent again */
    ANSWERED, /* reply is set */
    FAILED,   /* rc is set */
};

struct rds_flight {
    struct rds_flight *next;
    struct buf bytes;
    size_t sent;
    enum state state;
    bool is_again;   /* it was sent a second time */
    size_t commands; /* of a pipe, not answered yet; 0: a script call */
    int rc;
    struct rds_reply *reply; /* of a pipe: the first error, else its last answer */
};

static bool has_left(const struct rds_flight *f)
{
    return f->state == WAITING && f->sent == f->bytes.len;
}

/* May the next answer be its?  The first commands of a pipe are answered while the last are sent.
 */
static bool is_due(const struct rds_flight *f)
{
    return has_left(f) || (f->state == WAITING && f->commands > 0 && f->sent > 0);
}

static bool any(const struct rds *r, enum state state)
{
    for (const struct rds_flight *f = r->flights; f; f = f->next) {
        if (f->state == state)
            return true;
    }
    return false;
}

static struct rds_flight *first_due(const struct rds *r)
{
    struct rds_flight *f = r->flights;

    while (f && !is_due(f))
        f = f->next;
    return f;
}

bool rds_flights_wait(const struct rds *r)
{
    return first_due(r) != NULL;
}

void rds_flights_fail(struct rds *r, int rc)
{
    for (struct rds_flight *f = r->flights; f; f = f->next) {
        if (f->state == WAITING || f->state == UNKNOWN) {
            f->state = FAILED;
            f->rc = rc;
            buf_free(&f->bytes);
        }
    }
}

static void flight_free(struct rds_flight *f)
{
    buf_free(&f->bytes);
    rds_reply_free(f->reply);
    free(f);
}

void rds_flights_free(struct rds *r)
{
    struct rds_flight *f;

    while ((f = r->flights)) {
        r->flights = f->next;
        flight_free(f);
    }
}

static void take_one_of_pipe(struct rds_flight *f, struct rds_reply *reply)
{
    bool is_kept = f->reply && rds_reply_text(f->reply);

    rds_reply_free(is_kept ? reply : f->reply);
    f->reply = is_kept ? f->reply : reply;
    if (--f->commands > 0)
        return;
    f->state = ANSWERED;
    buf_free(&f->bytes);
}

bool rds_flights_take(struct rds *r, struct rds_reply *reply)
{
    struct rds_flight *f = first_due(r);

    if (!f)
        return false;
    if (f->commands > 0) {
        take_one_of_pipe(f, reply);
        return true;
    }
    if (rds_is_unknown_script(reply) && !f->is_again) {
        f->state = UNKNOWN;
        rds_reply_free(reply);
        r->has_script = false;
        return true;
    }
    if (!rds_reply_text(reply))
        r->has_script = true;
    f->state = ANSWERED;
    f->reply = reply;
    buf_free(&f->bytes);
    return true;
}

/* What may leave next, or NULL. */
static struct rds_flight *next_to_send(const struct rds *r)
{
    bool is_first = true;

    for (struct rds_flight *f = r->flights; f; f = f->next) {
        if (f->state == UNKNOWN)
            return NULL;
        if (f->state != WAITING)
            continue;
        if (!has_left(f))
            return is_first || r->has_script ? f : NULL;
        is_first = false;
    }
    return NULL;
}

/* Sends what the kernel takes at once. */
static int push(struct rds *r)
{
    struct rds_flight *f;

    while ((f = next_to_send(r))) {
        ssize_t n = send(r->fd, f->bytes.data + f->sent, f->bytes.len - f->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            f->sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR)
            return rds_broken(r, -EIO, "the connection broke while sending");
    }
    return 0;
}

static int take_all(struct rds *r)
{
    struct rds_reply *reply;
    int rc;

    while ((rc = rds_next_reply(r, &reply)) == 0 && reply) {
        if (!rds_flights_take(r, reply)) {
            rds_reply_free(reply);
            return rds_broken(r, -EIO, "an answer that nobody asked for");
        }
    }
    return rc;
}

/* Until the kernel takes more or has something to read, which is then read. */
int rds_wait_ready(struct rds *r)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN | POLLOUT};
    uint64_t start = clock_mono_ms();
    int n;

    while ((n = poll(&p, 1, (int)r->url.write_timeout_ms)) < 0 && errno == EINTR &&
           clock_mono_ms() - start < r->url.write_timeout_ms)
        continue;
    if (n == 0)
        return rds_broken(r, -ETIMEDOUT, "the server takes no data within write-timeout");
    if (n < 0)
        return rds_broken(r, -EIO, "the connection broke while sending");
    return p.revents & ~POLLOUT ? rds_receive_some(r) : 0;
}

/* All that left together were answered NOSCRIPT: they go again. */
static int again(struct rds *r)
{
    struct buf waiting = r->out; /* a request that goes behind these */

    r->out = (struct buf){0};
    int rc = rds_script_load(r);
    buf_free(&r->out);
    r->out = waiting;
    for (struct rds_flight *f = r->flights; f; f = f->next) {
        if (f->state != UNKNOWN)
            continue;
        f->state = rc < 0 ? FAILED : WAITING;
        f->rc = rc;
        f->sent = 0;
        f->is_again = true;
    }
    return rc;
}

/* One step nearer to an answer. */
static int step(struct rds *r)
{
    int rc;

    if (any(r, UNKNOWN) && !first_due(r))
        return again(r);
    rc = push(r);
    if (rc == 0)
        rc = next_to_send(r) ? rds_wait_ready(r) : rds_receive_some(r);
    return rc == 0 ? take_all(r) : rc;
}

/* A failed step has failed what was on its way, so this ends. */
static void land(struct rds *r, const struct rds_flight *f)
{
    while (f->state == WAITING || f->state == UNKNOWN)
        step(r);
}

int rds_flights_leave(struct rds *r)
{
    int rc = 0;

    while (rc == 0 && (any(r, WAITING) || any(r, UNKNOWN))) {
        rc = push(r);
        if (rc < 0 || !(any(r, UNKNOWN) || next_to_send(r) || !r->has_script))
            break;
        rc = step(r);
    }
    return rc;
}

/* Takes f over, which may be NULL. */
static struct rds_flight *begin(struct rds *r, struct rds_flight *f, int *rc)
{
    struct rds_flight **end = &r->flights;

    *rc = f ? buf_ok(&f->bytes) : -ENOMEM;
    if (*rc < 0)
        rds_fail(r, *rc, "no memory for the request");
    else
        *rc = rds_connect(r);
    if (*rc < 0) {
        if (f)
            flight_free(f);
        return NULL;
    }
    while (*end)
        end = &(*end)->next;
    *end = f;
    r->traffic.round_trips++;
    push(r);
    return f;
}

struct rds_flight *rds_script_send(struct rds *r, const struct rds_arg *argv, size_t argc, int *rc)
{
    struct rds_flight *f = calloc(1, sizeof(*f));

    if (f)
        rds_script_format(r, &f->bytes, argv, argc);
    return begin(r, f, rc);
}

void rds_pipe_command(struct rds_pipe *p, const char *name, size_t args)
{
    buf_printf(&p->bytes, "*%zu\r\n", args + 1);
    p->commands++;
    rds_pipe_arg(p, name, strlen(name));
}

void rds_pipe_arg(struct rds_pipe *p, const void *data, size_t len)
{
    rds_format_args(&p->bytes, &(struct rds_arg){data, len}, 1);
}

struct rds_flight *rds_pipe_send(struct rds *r, struct rds_pipe *p, int *rc)
{
    struct rds_flight *f = calloc(1, sizeof(*f));

    if (f) {
        f->bytes = p->bytes;
        f->commands = p->commands;
        p->bytes = (struct buf){0};
    }
    buf_free(&p->bytes);
    p->commands = 0;
    return begin(r, f, rc);
}

int rds_script_wait(struct rds *r, struct rds_flight *f, struct rds_reply **out)
{
    struct rds_flight **at = &r->flights;
    int rc;

    land(r, f);
    *out = NULL;
    rc = f->rc;
    if (f->state == ANSWERED)
        rc = rds_reply_error(r, f->reply);
    if (rc == 0) {
        *out = f->reply;
        f->reply = NULL;
    }
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    flight_free(f);
    return rc;
}
