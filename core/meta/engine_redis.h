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
};

static inline struct rds *engine_rds(const struct engine *e)
{
    return ((const struct redis_engine *)e)->rds;
}

/* engine_redis_batch.c */
void engine_redis_submit(struct engine *e, struct engine_request *rq);
struct engine_request *engine_redis_complete(struct engine *e);
void engine_redis_forget(struct redis_engine *re); /* what is on its way, once the rds forgot it */

/* engine_redis.c.  "" or, on an error, whatever stands for nothing. */
int answer_bytes(const struct rds_reply *r, const char **data, size_t *len);
int answer_decode(const struct rds_reply *r, struct op_result *out);

/* engine_redis_info.c */
int engine_redis_describe(struct engine *e, struct buf *out);

/* engine_redis_scan.c */
int engine_redis_scan(struct engine *e, const char *pattern, engine_visit visit, void *ctx);

#endif
