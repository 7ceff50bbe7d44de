/*
 * engine_redis - what the files of the Redis engine share.
 */
#ifndef JFSPRE_CORE_META_ENGINE_REDIS_H
#define JFSPRE_CORE_META_ENGINE_REDIS_H

#include "core/meta/engine.h"
#include "core/meta/group.h"
#include "core/redis/rds.h"

struct redis_engine {
    struct engine base;
    struct rds *rds;
    struct buf args;                        /* encodings of the request being built */
    struct engine_request *oldest, *newest; /* on their way */
    struct group_room *room;                /* NULL until a request needs it */
    struct plain *plain;                    /* engine_redis_plain.c: NULL without unsafe_batch */
};

static inline struct rds *engine_rds(const struct engine *e)
{
    return ((const struct redis_engine *)e)->rds;
}

/* engine_redis_batch.c */
void engine_redis_submit(struct engine *e, struct engine_request *rq);
struct engine_request *engine_redis_complete(struct engine *e);
void engine_redis_forget(struct redis_engine *re); /* what is on its way, once the rds forgot it */

/* engine_redis_plain.c: unsafe_batch=1, else all of these do nothing.  plain_begin(): the first op
 * from which a request goes as plain commands, rq->n: none.  plain_send() sends them (NULL: *rc);
 * plain_results() sets what they answer.  plain_answered(): a request is done that was sent over
 * the connection `epoch`.  plain_learn() is told of each op that the script has answered. */
size_t plain_begin(struct redis_engine *re, const struct engine_request *rq);
struct rds_flight *plain_send(struct redis_engine *re, const struct engine_request *rq, size_t from,
                              int *rc);
void plain_results(const struct engine_request *rq, size_t from);
void plain_answered(struct redis_engine *re, const struct engine_request *rq, uint32_t epoch);
void plain_learn(struct redis_engine *re, const struct op *op, const struct op_result *res);

/* engine_redis.c.  "" or, on an error, whatever stands for nothing. */
int answer_bytes(const struct rds_reply *r, const char **data, size_t *len);
int answer_decode(const struct rds_reply *r, struct op_result *out);

/* engine_redis_info.c */
int engine_redis_describe(struct engine *e, struct buf *out);

/* engine_redis_scan.c */
int engine_redis_scan(struct engine *e, const char *pattern, engine_visit visit, void *ctx);

#endif
