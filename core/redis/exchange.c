/*
 * exchange.c - one request out, its answers in, and the rules of trying again.
 *
 * A request is sent again when the server cannot have run it: not all of its bytes left (Redis runs
 * a command only once it is whole), or the answer is a refusal that did nothing (LOADING, BUSY).
 * A request that only reads is also sent again, once, when the connection broke later.
 */
#include "core/redis/rds_internal.h"

#include "core/base/clock.h"
#include "core/base/decimal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void add_count(struct buf *out, char kind, size_t n)
{
    char line[1 + DECIMAL_MAX + 2] = {kind};
    size_t len = 1 + decimal_unsigned(line + 1, n);
    memcpy(line + len, "\r\n", 2);
    buf_add(out, line, len + 2);
}

void rds_format_args(struct buf *out, const struct rds_arg *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++) {
        add_count(out, '$', argv[i].len);
        buf_add(out, argv[i].data, argv[i].len);
        buf_add(out, "\r\n", 2);
    }
}

void rds_format(struct buf *out, const struct rds_arg *argv, size_t argc)
{
    add_count(out, '*', argc);
    rds_format_args(out, argv, argc);
}

int rds_broken(struct rds *r, int rc, const char *what)
{
    rds_flights_fail(r, rc);
    rds_drop(r);
    return rds_fail(r, rc, "%s", what);
}

/* A signal handler that restarts nothing must not make the wait longer than the time-out. */
static bool is_interrupted(uint64_t start, uint32_t timeout_ms)
{
    return errno == EINTR && clock_mono_ms() - start < timeout_ms;
}

/* Behind what is on its way, so the answers to that are taken whenever there is no room. */
static int send_behind(struct rds *r, size_t *sent)
{
    int rc = rds_flights_leave(r);

    while (rc == 0 && *sent < r->out.len) {
        ssize_t n =
            send(r->fd, r->out.data + *sent, r->out.len - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            *sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            rc = rds_wait_ready(r);
        else if (errno != EINTR)
            return rds_broken(r, -EIO, "the connection broke while sending");
    }
    return rc;
}

static int send_all(struct rds *r, size_t *sent)
{
    uint64_t start = clock_mono_ms();

    if (r->flights && !r->is_loading)
        return send_behind(r, sent);
    while (*sent < r->out.len) {
        ssize_t n = send(r->fd, r->out.data + *sent, r->out.len - *sent, MSG_NOSIGNAL);

        if (n >= 0)
            *sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return rds_broken(r, -ETIMEDOUT, "the server takes no data within write-timeout");
        else if (!is_interrupted(start, r->url.write_timeout_ms))
            return rds_broken(r, -EIO, "the connection broke while sending");
    }
    return 0;
}

int rds_receive_some(struct rds *r)
{
    uint64_t start = clock_mono_ms();

    for (;;) {
        ssize_t n = recv(r->fd, r->in, sizeof(r->in), 0);

        if (n > 0)
            return redisReaderFeed(r->reader, r->in, (size_t)n) == REDIS_OK
                       ? 0
                       : rds_broken(r, -ENOMEM, "no memory for the answer");
        if (n == 0)
            return rds_broken(r, -EIO, "the server closed the connection");
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return rds_broken(r, -ETIMEDOUT, "no answer within read-timeout");
        if (!is_interrupted(start, r->url.read_timeout_ms))
            return rds_broken(r, -EIO, "the connection broke while waiting for the answer");
    }
}

int rds_next_reply(struct rds *r, struct rds_reply **out)
{
    void *reply = NULL;

    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return rds_broken(r, -EIO, "the answer is not in Redis's protocol");
    *out = reply;
    return 0;
}

/* The next one that is not for what was on its way before. */
static int receive_reply(struct rds *r, struct rds_reply **out)
{
    int rc;

    for (;;) {
        rc = rds_next_reply(r, out);
        if (rc == 0 && *out && !rds_flights_take(r, *out))
            return 0;
        if (rc == 0 && !*out)
            rc = rds_receive_some(r);
        *out = NULL;
        if (rc < 0)
            return rc;
    }
}

int rds_transfer(struct rds *r, size_t n, struct rds_reply **out, size_t *sent)
{
    size_t got = 0;
    int rc = buf_ok(&r->out);

    *sent = 0;
    if (rc < 0) {
        buf_free(&r->out);
        return rds_fail(r, rc, "no memory for the request");
    }
    r->traffic.round_trips++;
    rc = send_all(r, sent);
    for (; rc == 0 && got < n; got += rc == 0)
        rc = receive_reply(r, &out[got]);
    while (rc < 0 && got > 0) {
        rds_reply_free(out[--got]);
        out[got] = NULL;
    }
    return rc;
}

/* The first answer decides: a server that is loading refuses all commands of a pipeline. */
static bool is_refused_for_now(struct rds *r, struct rds_reply *const *out)
{
    const char *text = rds_reply_text(out[0]);
    bool retry = false;

    if (text && rds_text_errno(text, &retry) < 0 && retry)
        rds_reply_error(r, out[0]);
    return retry;
}

static bool may_have_run(const struct rds *r, size_t n, size_t sent)
{
    return n == 1 ? sent == r->out.len : sent > 0;
}

/* One command that changes nothing goes along with the greeting of a fresh connection: when that is
 * refused, its answer, maybe of another database, is thrown away. */
static int ask_and_greet(struct rds *r, const struct rds_cmd *cmd, struct rds_reply **out,
                         size_t *sent, bool *is_refused)
{
    struct rds_reply *all[RDS_GREETINGS + 1] = {NULL, NULL, NULL};

    buf_clear(&r->out);
    size_t n = rds_greet(r, &r->out);
    rds_format(&r->out, cmd->argv, cmd->argc);
    int rc = rds_transfer(r, n + 1, all, sent);
    if (rc == 0) {
        rc = rds_greeted(r, n, all);
        *is_refused = rc < 0;
    }
    for (size_t i = 0; i < n; i++)
        rds_reply_free(all[i]);
    if (rc == 0)
        *out = all[n];
    else
        rds_reply_free(all[n]);
    return rc;
}

static void format_all(struct rds *r, const struct rds_cmd *cmds, size_t n)
{
    buf_clear(&r->out);
    for (size_t i = 0; i < n; i++)
        rds_format(&r->out, cmds[i].argv, cmds[i].argc);
}

int rds_pipeline(struct rds *r, enum rds_effect effect, const struct rds_cmd *cmds, size_t n,
                 struct rds_reply **out)
{
    uint32_t nap = r->url.min_backoff_ms, left = r->url.read_timeout_ms;
    bool may_repeat = true, alone = n == 1 && effect == RDS_READS, is_refused = false;
    size_t sent;
    int rc;

    memset(out, 0, n * sizeof(*out));
    if (n == 0)
        return 0;
    for (;;) {
        rc = alone ? rds_dial(r) : rds_connect(r);
        if (rc < 0)
            return rc;
        if (alone && !r->is_greeted) {
            rc = ask_and_greet(r, cmds, out, &sent, &is_refused);
            if (is_refused && rc != -EAGAIN)
                return rc;
            alone = !is_refused; /* a server that is loading: rds_connect() waits for it */
            if (is_refused)
                continue;
        } else {
            format_all(r, cmds, n); /* the buffer was used to say hello */
            rc = rds_transfer(r, n, out, &sent);
        }
        if (rc == 0) {
            /* A pipeline of changes is not repeated: a later command of it may have been run. */
            if ((effect == RDS_CHANGES && n > 1) || left == 0 || !is_refused_for_now(r, out))
                return 0;
            for (size_t i = 0; i < n; i++) {
                rds_reply_free(out[i]);
                out[i] = NULL;
            }
            nap = nap < left ? nap : left;
            r->traffic.retries++;
            rds_sleep_ms(nap);
            left -= nap;
            nap = nap * 2 < r->url.max_backoff_ms ? nap * 2 : r->url.max_backoff_ms;
            continue;
        }
        if (effect == RDS_CHANGES && may_have_run(r, n, sent)) {
            char why[256];

            snprintf(why, sizeof(why), "%s", r->error + strlen(r->url.shown) + 2);
            return rds_fail(r, -EIO, "%s: the change may have happened", why);
        }
        if (rc == -ETIMEDOUT || rc == -ENOMEM || !may_repeat)
            return rc;
        may_repeat = false;
        r->traffic.retries++;
        rds_sleep_ms(r->url.min_backoff_ms);
    }
}

int rds_command(struct rds *r, enum rds_effect effect, const struct rds_arg *argv, size_t argc,
                struct rds_reply **out)
{
    const struct rds_cmd cmd = {argv, argc};
    struct rds_reply *reply;

    *out = NULL;
    int rc = rds_pipeline(r, effect, &cmd, 1, &reply);
    if (rc == 0)
        rc = rds_reply_error(r, reply);
    if (rc == 0)
        *out = reply;
    else
        rds_reply_free(reply);
    return rc;
}
