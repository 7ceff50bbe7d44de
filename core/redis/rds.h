/*
 * rds - one connection to the metadata Redis and the one script that runs there.
 *
 * The only folder that includes hiredis, and only its parser: the socket calls are ours, because a
 * retry is safe only where it is known which bytes the kernel took, and a broken connection must
 * not raise SIGPIPE in the host program.  A connection is made at the first call, dropped and
 * remade after fork, and remade with back-off when it breaks; the call is then sent again once.
 * What was sent before a break may have happened: a call that changes something is sent again only
 * when it was certainly not received, else the answer is -EIO (DESIGN 7 makes that exact later).
 *
 * Layer:   uses format (keys), base.  Used by meta and tools.
 * Threads: a caller serialises its calls on one connection.
 * Errors:  -errno by the table in reply.c: down -ECONNREFUSED/-ETIMEDOUT..., LOADING -EAGAIN after
 *          retries, READONLY -EROFS, OOM -ENOSPC, NOAUTH/WRONGPASS -EACCES, WRONGTYPE -EIO,
 *          a failed script -EIO, a cluster -ENOTSUP.  Never -ENOENT or another errno that a
 *          program would take for a fact about its file.  rds_error() has one line of text that
 *          names the server, never the password.
 */
#ifndef JFSPRE_CORE_REDIS_RDS_H
#define JFSPRE_CORE_REDIS_RDS_H

#include "core/base/bytes.h"
#include "core/format/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A parsed metadata URL (juicefs-format.md 2). */
struct rds_url {
    char host[256];   /* or "" for a socket */
    char socket[256]; /* path of a unix socket, or "" */
    int port;
    int db;
    char user[128];
    char password[512];
    uint32_t read_timeout_ms, write_timeout_ms; /* defaults 30000, 5000 */
    uint32_t min_backoff_ms, max_backoff_ms;    /* defaults 20, 10000 */
    uint32_t connect_timeout_ms;                /* default 5000 */
    char shown[1024]; /* the URL for messages: password replaced by **** */
};

/* Accepts redis:// unix:// rueidis:// and a bare host form.  -ENOTSUP with one line for rediss://,
 * Sentinel and Cluster URLs and for an option that is not built in; -EINVAL with one line for
 * anything malformed or an unknown option (those of batching are meta's); an errno of
 * META_PASSWORD_FILE.  The password comes from the URL, REDIS_PASSWORD, META_PASSWORD, the file
 * META_PASSWORD_FILE, in this order. */
int rds_url_parse(const char *url, struct rds_url *out, char *err, size_t errlen);

struct rds;

/* Keeps a copy of *url; does not connect. */
int rds_open(const struct rds_url *url, struct rds **out);
void rds_close(struct rds *r);              /* NULL is fine */
void rds_after_fork(struct rds *r);         /* in the child: drops the parent's socket unused */
const char *rds_error(const struct rds *r); /* "SERVER: what", never NULL */
const char *rds_shown(const struct rds *r); /* the URL without its password */
/* For a caller that finds an answer wrong: sets the text and returns rc. */
int rds_fail(struct rds *r, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const struct keys *rds_keys(const struct rds *r);
int rds_fd(const struct rds *r); /* socket, or -1: the preload hides it from the program */
/* Changes with every new connection: the server may have restarted and lost something since. */
uint32_t rds_epoch(const struct rds *r);
void rds_fd_moved(struct rds *r, int fresh); /* it was dup'ed there, out of the program's way */

/* What this connection cost so far; it survives reconnecting. */
struct rds_traffic {
    uint64_t round_trips; /* requests or pipelines that were sent and waited for */
    uint64_t retries;     /* requests sent again, connections tried again */
};
struct rds_traffic rds_traffic(const struct rds *r);

/* A reply, decoded and type-checked by its readers; freed with rds_reply_free(). */
struct rds_reply;
void rds_reply_free(struct rds_reply *r); /* NULL is fine */
bool rds_reply_is_nil(const struct rds_reply *r);
int rds_reply_int(const struct rds_reply *r, int64_t *out);                     /* -EIO: not one */
int rds_reply_bytes(const struct rds_reply *r, const char **data, size_t *len); /* status too */
int rds_reply_array(const struct rds_reply *r, size_t *count);
const struct rds_reply *rds_reply_at(const struct rds_reply *r, size_t i); /* borrowed */

struct rds_arg {
    const void *data;
    size_t len;
};
#define RDS_STR(s) ((struct rds_arg){(s), __builtin_strlen(s)})

enum rds_effect {
    RDS_READS,   /* or changes in a way that may happen twice: sent again when the answer is lost */
    RDS_CHANGES, /* must not happen twice */
};

/* One command.  *out is set on 0 only. */
int rds_command(struct rds *r, enum rds_effect effect, const struct rds_arg *argv, size_t argc,
                struct rds_reply **out);

/* n commands in one round trip.  On 0 each out[i] is an answer to be freed, which may be an error
 * of that command alone: rds_reply_error(). */
struct rds_cmd {
    const struct rds_arg *argv;
    size_t argc;
};
int rds_pipeline(struct rds *r, enum rds_effect effect, const struct rds_cmd *cmds, size_t n,
                 struct rds_reply **out);
/* 0, or -errno for an answer that is an error; rds_error() then tells it. */
int rds_reply_error(struct rds *r, const struct rds_reply *reply);

/* EVALSHA of the dispatcher (build-time text in lua_dispatch_text) with KEYS[1] = {prefix}setting
 * and these arguments; NOSCRIPT loads it and tries again. */
int rds_script(struct rds *r, enum rds_effect effect, const struct rds_arg *argv, size_t argc,
               struct rds_reply **out);

/* Such calls on their way: sent without waiting, run in the order they were sent; the ones of
 * rds_command() and its kin come behind them.  None is sent again for a lost answer. */
struct rds_flight;
/* NULL and *rc: it was not sent. */
struct rds_flight *rds_script_send(struct rds *r, const struct rds_arg *argv, size_t argc, int *rc);
/* Waits for its answer and forgets it; not to be asked again after rds_after_fork().  -errno: the
 * server's refusal, which did nothing, or the connection broke and nothing is known. */
int rds_script_wait(struct rds *r, struct rds_flight *f, struct rds_reply **out);

/* Plain commands that travel the same way, run one by one: others' come between them, and a broken
 * connection leaves any first part of them done.  {0} is empty.  Its commands are built in order:
 * the name, then as many arguments as were said. */
struct rds_pipe {
    struct buf bytes;
    size_t commands;
};
void rds_pipe_command(struct rds_pipe *p, const char *name, size_t args);
void rds_pipe_arg(struct rds_pipe *p, const void *data, size_t len);
/* Takes the content of a pipe that is not empty over, also when it fails; NULL and *rc as
 * rds_script_send().  rds_script_wait() gives the last answer, or fails by the first error. */
struct rds_flight *rds_pipe_send(struct rds *r, struct rds_pipe *p, int *rc);

#endif
