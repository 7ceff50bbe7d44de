/*
 * requests - what the tests of requests on their way share: a fresh volume a test on one server, or
 * on the embedded engine, and requests of mkdirs.
 */
#ifndef JFSPRE_TESTS_CORE_REQUESTS_H
#define JFSPRE_TESTS_CORE_REQUESTS_H

#include "core/format/record.h"
#include "core/meta/engine.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOARD "00c0ffee00c0ffee"
#define MANY  20

static struct server *server;
static struct engine *engine;
static bool is_lmdb;
static uint64_t next_ino;
static struct op_env env = {.flags = ENV_DIR_STATS, .skip_dir_mtime_ms = 100, .mount = "/jfs"};

static inline void begin(void)
{
    struct setting v = volume_setting("/var/none/", 0);
    struct buf json = {0};
    char url[300], err[300];

    server_int(server, "FLUSHALL");
    if (is_lmdb)
        snprintf(url, sizeof(url), "lmdb://%s/meta%u", server_dir(server), (unsigned)rand());
    else
        snprintf(url, sizeof(url), "%s&max-retry-backoff=100ms", server_url(server, 0));
    if (engine_open(url, &engine, err, sizeof(err)) < 0 || setting_print(&v, &json) < 0 ||
        engine->ops->format(engine, &json, false) < 0) {
        fprintf(stderr, "cannot begin\n");
        exit(99);
    }
    buf_free(&json);
    next_ino = 100;
}

static inline void end(void)
{
    CU_ASSERT_PTR_NULL(engine->ops->complete(engine));
    engine->ops->close(engine);
}

/* A request of mkdirs, one a name. */
struct mine {
    struct engine_request rq;
    struct op ops[MANY];
    struct op_result res[MANY];
    char name[MANY][16];
};

static inline struct mine *mine(const char *board, uint64_t seq, size_t n, const char *stem)
{
    struct mine *m = calloc(1, sizeof(*m));

    for (size_t i = 0; i < n; i++) {
        snprintf(m->name[i], sizeof(m->name[i]), n == 1 ? "%s" : "%s%zu", stem, i);
        m->ops[i] = (struct op){.kind = OP_MKDIR,
                                .base = INO_ROOT,
                                .now = {1754000000, 5},
                                .path = m->name[i],
                                .mode = 0755,
                                .ino = next_ino++};
    }
    m->rq = (struct engine_request){
        .env = &env, .ops = m->ops, .n = n, .res = m->res, .board = board, .seq = seq};
    return m;
}

static inline void release(struct mine *m)
{
    for (size_t i = 0; i < m->rq.n; i++)
        op_result_free(&m->res[i]);
    free(m);
}

static inline void submit(struct mine *m)
{
    engine->ops->submit(engine, &m->rq);
}

/* The next one that completes, which must be this one. */
static inline void wait_for(struct mine *m)
{
    CU_ASSERT_PTR_EQUAL_FATAL(engine->ops->complete(engine), &m->rq);
}

/* Outcome of one batch of one mkdir, -errno of the request, or 100 + errno of the op. */
static inline int send_one(uint64_t seq, bool force, const char *name, uint64_t *last)
{
    struct mine *m = mine(BOARD, seq, 1, name);

    m->rq.force = force;
    submit(m);
    wait_for(m);
    int out = m->rq.rc < 0 ? m->rq.rc : (int)m->rq.outcome;
    if (out >= 0 && m->res[0].code < 0)
        out = 100 - m->res[0].code;
    *last = m->rq.last;
    release(m);
    return out;
}

static inline bool exists(const char *name)
{
    struct op op = {.kind = OP_LOOKUP, .base = INO_ROOT, .path = name, .now = {1754000000, 5}};
    struct op_result res;
    int rc = engine->ops->call(engine, &env, &op, 1, &res);

    CU_ASSERT_EQUAL(rc, 0);
    rc = res.code;
    op_result_free(&res);
    return rc == 0;
}

#endif
