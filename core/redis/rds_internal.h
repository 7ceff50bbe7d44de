/*
 * rds_internal - what the files of core/redis share.
 */
#ifndef JFSPRE_CORE_REDIS_RDS_INTERNAL_H
#define JFSPRE_CORE_REDIS_RDS_INTERNAL_H

#include "core/redis/rds.h"

#include <hiredis/hiredis.h>
#include <sys/types.h>

#define RDS_IN_BYTES    (64 * 1024)
#define RDS_ERROR_BYTES 1536

struct rds {
    struct rds_url url;
    struct keys keys;
    int fd; /* -1: not connected */
    dev_t fd_dev;
    ino_t fd_ino; /* of the socket: a program may close it and get its number for something else */
    pid_t owner;  /* process that connected */
    uint32_t epoch; /* connections made */
    struct rds_traffic traffic;
    bool was_up;     /* a connection worked before: worth waiting for a server that restarts */
    bool has_script; /* on this connection: an answer showed it */
    bool is_greeted; /* this connection has sent AUTH and SELECT */
    bool is_loading; /* the script is being loaded: nothing on its way may leave */
    struct rds_flight *flights; /* flight.c */
    redisReader *reader;
    struct buf out; /* request being sent */
    char error[RDS_ERROR_BYTES];
    char in[RDS_IN_BYTES];
};

/* conn.c.  A connection that is usable now: 0 or -errno.  Drop closes it without a word.
 * rds_dial(): AUTH and SELECT may still have to be sent, before anything else: rds_greet() adds
 * them and answers how many answers they get, rds_greeted() takes those. */
#define RDS_GREETINGS 2
int rds_connect(struct rds *r);
int rds_dial(struct rds *r);
size_t rds_greet(struct rds *r, struct buf *out);
int rds_greeted(struct rds *r, size_t n, struct rds_reply *const *replies);
void rds_drop(struct rds *r);
void rds_sleep_ms(uint32_t ms);

/* exchange.c.  Sends r->out and reads n replies over the present connection, no retry; *sent says
 * how many bytes the kernel took.  On an error the connection is dropped and out[] is empty. */
int rds_transfer(struct rds *r, size_t n, struct rds_reply **out, size_t *sent);
void rds_format(struct buf *out, const struct rds_arg *argv, size_t argc);
void rds_format_args(struct buf *out, const struct rds_arg *argv, size_t argc); /* no count */

/* Drops the connection, fails all that is on its way, says why; returns rc. */
int rds_broken(struct rds *r, int rc, const char *what);
int rds_receive_some(struct rds *r);                       /* waits for bytes, feeds the reader */
int rds_next_reply(struct rds *r, struct rds_reply **out); /* NULL: not whole yet */

/* flight.c.  Is an answer due that belongs to none of rds_transfer()'s requests? */
bool rds_flights_wait(const struct rds *r);
bool rds_flights_take(struct rds *r, struct rds_reply *reply); /* false: it is not theirs */
int rds_flights_leave(struct rds *r); /* sends all of them, and again those without a script */
void rds_flights_fail(struct rds *r, int rc);
void rds_flights_free(struct rds *r);
int rds_wait_ready(struct rds *r);

/* script.c */
int rds_script_load(struct rds *r);
void rds_script_format(struct rds *r, struct buf *out, const struct rds_arg *argv, size_t argc);
bool rds_is_unknown_script(const struct rds_reply *reply);

/* reply.c.  The errno of an error's text; *retry: refused for the moment, nothing was done. */
int rds_text_errno(const char *text, bool *retry);
const char *rds_reply_text(const struct rds_reply *r); /* of an error, else NULL */

/* url_option.c.  One name=value of a URL's query, both decoded; "db" too. */
int rds_url_option(struct rds_url *u, const char *name, const char *value, char *err,
                   size_t errlen);

#endif
