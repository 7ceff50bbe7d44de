/*
 * engine_redis - what the two files of the Redis engine share.
 */
#ifndef JFSPRE_CORE_META_ENGINE_REDIS_H
#define JFSPRE_CORE_META_ENGINE_REDIS_H

#include "core/meta/engine.h"
#include "core/redis/rds.h"

struct redis_engine {
    struct engine base;
    struct rds *rds;
    struct buf args; /* encodings of the request being built */
};

static inline struct rds *engine_rds(const struct engine *e)
{
    return ((const struct redis_engine *)e)->rds;
}

int engine_redis_scan(struct engine *e, const char *pattern, engine_visit visit, void *ctx);

#endif
