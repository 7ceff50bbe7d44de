/*
 * engine.c - which store a metadata URL names.
 */
#include "core/meta/engine.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef int (*open_fn)(const char *url, struct engine **out, char *err, size_t errlen);

/* Engines of stock that are not ours are listed, so that a URL copied from it gets an answer that
 * says what is missing rather than that it is malformed.  NULL: not built in. */
static const struct {
    const char *scheme;
    open_fn open;
} schemes[] = {
    {"redis", engine_redis_open},
    {"rediss", engine_redis_open},
    {"unix", engine_redis_open},
    {"rueidis", engine_redis_open},
    {"lmdb", engine_lmdb_open},
    {"mysql", NULL},
    {"postgres", NULL},
    {"sqlite3", NULL},
    {"tikv", NULL},
    {"etcd", NULL},
    {"fdb", NULL},
    {"badger", NULL},
    {"memkv", NULL},
};

static int open_scheme(const char *url, struct engine **out, char *err, size_t errlen)
{
    const char *sep = strstr(url, "://");
    size_t len = sep ? (size_t)(sep - url) : 0;

    if (!sep) /* stock puts redis:// in front */
        return engine_redis_open(url, out, err, errlen);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strlen(schemes[i].scheme) != len || strncasecmp(schemes[i].scheme, url, len))
            continue;
        if (schemes[i].open)
            return schemes[i].open(url, out, err, errlen);
        snprintf(err, errlen,
                 "metadata URL: %s:// is not built in: redis://, unix:// and lmdb:// are",
                 schemes[i].scheme);
        return -ENOTSUP;
    }
    snprintf(err, errlen, "metadata URL: unknown scheme, want redis://, unix:// or lmdb://");
    return -EINVAL;
}

int engine_open(const char *url, struct engine **out, char *err, size_t errlen)
{
    struct batch_params params;
    char *rest;

    *out = NULL;
    int rc = batch_params_take(url, &params, &rest, err, errlen);
    if (rc < 0)
        return rc;
    if (params.unsafe_batch && strncasecmp(rest, "lmdb:", 5) == 0) {
        snprintf(err, errlen, "metadata URL: unsafe_batch: lmdb:// has no such thing, only Redis");
        rc = -ENOTSUP;
    } else {
        rc = open_scheme(rest, out, err, errlen);
    }
    free(rest);
    if (rc < 0)
        return rc;
    if (params.unsafe_batch)
        log_once(LOG_ERROR,
                 "unsafe_batch=1: whoever else changes the volume now corrupts it, and so does a "
                 "connection that breaks; for measuring only");
    (*out)->params = params;
    if (params.inode_batch > 0)
        (*out)->id_batch[ID_INODE] = params.inode_batch;
    if (params.chunk_batch > 0)
        (*out)->id_batch[ID_SLICE] = params.chunk_batch;
    return 0;
}
