/*
 * Batching parameters: what a URL's query sets, what is refused and in which words, and what is
 * left of the URL for the engine.
 */
#include "core/meta/engine.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct batch_params p;
static char err[512];
static char *rest;

static int take(const char *query)
{
    char url[1024];

    free(rest);
    memset(err, 0, sizeof err);
    memset(&p, 0xee, sizeof p);
    snprintf(url, sizeof url, "redis://h/1%s", query);
    return batch_params_take(url, &p, &rest, err, sizeof err);
}

static void test_defaults(void)
{
    CU_ASSERT_EQUAL(take(""), 0);
    CU_ASSERT_STRING_EQUAL(rest, "redis://h/1");
    CU_ASSERT(p.batchwrite && p.metaprime && p.pack);
    CU_ASSERT(!p.unsafe_batch && !p.sync_close && !p.excl_strict);
    CU_ASSERT_EQUAL(p.batch_size, 512);
    CU_ASSERT_EQUAL(p.batch_size_max, 2048);
    CU_ASSERT_EQUAL(p.high_watermark, 2048);
    CU_ASSERT_EQUAL(p.low_watermark, 512);
    CU_ASSERT_EQUAL(p.batch_bytes, 256 << 10);
    CU_ASSERT_EQUAL(p.batch_interval_ms, 10);
    CU_ASSERT_EQUAL(p.max_pending, 100000);
    CU_ASSERT_EQUAL(p.max_pending_bytes, 64 << 20);
    CU_ASSERT_EQUAL(p.inode_batch, 0);
    CU_ASSERT_EQUAL(p.chunk_batch, 0);
    CU_ASSERT_EQUAL(p.inode_low_watermark, 0);
    CU_ASSERT_EQUAL(p.chunk_low_watermark, 0);
    CU_ASSERT_EQUAL(p.pack_max, 512 << 10);
}

static void test_given(void)
{
    CU_ASSERT_EQUAL(take("?batchwrite=0&pack=false&metaprime=0&unsafe-batch=0&fast-meta=0"), 0);
    CU_ASSERT(!p.batchwrite && !p.pack && !p.metaprime && !p.unsafe_batch);
    CU_ASSERT_EQUAL(take("?batchwrite=true&sync=close&excl=strict"), 0);
    CU_ASSERT(p.batchwrite && p.sync_close && p.excl_strict);
    CU_ASSERT_EQUAL(take("?batch-size=1&batch_size_max=4096&high_watermark=9&low-watermark=8"), 0);
    CU_ASSERT_EQUAL(p.batch_size, 1);
    CU_ASSERT_EQUAL(p.batch_size_max, 4096);
    CU_ASSERT_EQUAL(p.high_watermark, 9);
    CU_ASSERT_EQUAL(p.low_watermark, 8);
    CU_ASSERT_EQUAL(take("?batch_bytes=4k&max_pending_bytes=1G&pack_max=1M&max_pending=7"), 0);
    CU_ASSERT_EQUAL(p.batch_bytes, 4096);
    CU_ASSERT_EQUAL(p.max_pending_bytes, 1u << 30);
    CU_ASSERT_EQUAL(p.pack_max, 1 << 20);
    CU_ASSERT_EQUAL(p.max_pending, 7);
    CU_ASSERT_EQUAL(take("?batch_bytes=5000&batch_interval=2s"), 0);
    CU_ASSERT_EQUAL(p.batch_bytes, 5000);
    CU_ASSERT_EQUAL(p.batch_interval_ms, 2000);
    CU_ASSERT_EQUAL(take("?batch_interval=25"), 0);
    CU_ASSERT_EQUAL(p.batch_interval_ms, 25);
    CU_ASSERT_EQUAL(take("?batch_interval=2%35m%73"), 0);
    CU_ASSERT_EQUAL(p.batch_interval_ms, 25);
    CU_ASSERT_EQUAL(take("?inode_batch=10&inode_low_watermark=9&chunk-batch=65536"), 0);
    CU_ASSERT_EQUAL(p.inode_batch, 10);
    CU_ASSERT_EQUAL(p.inode_low_watermark, 9);
    CU_ASSERT_EQUAL(p.chunk_batch, 65536);
    CU_ASSERT_EQUAL(take("?chunk_low_watermark=65535"), 0);
    CU_ASSERT_EQUAL(p.chunk_low_watermark, 65535);
}

/* One that is given takes the other along where that was not. */
static void test_together(void)
{
    CU_ASSERT_EQUAL(take("?batch_size=4096"), 0);
    CU_ASSERT_EQUAL(p.batch_size_max, 4096);
    CU_ASSERT_EQUAL(take("?high_watermark=100"), 0);
    CU_ASSERT_EQUAL(p.low_watermark, 99);
}

static void test_rest(void)
{
    static const char *const pairs[][2] = {
        {"?db=4", "?db=4"},
        {"?batch_size=9", ""},
        {"?", ""},
        {"?batch_size=9&db=4", "?db=4"},
        {"?db=4&batch_size=9", "?db=4"},
        {"?db=4&batch_size=9&read-timeout=1s", "?db=4&read-timeout=1s"},
        {"?what&batch_size=9&x=%20", "?what&x=%20"},
        {"?batch_sizes=9", "?batch_sizes=9"},
        {"?batch_siz=9", "?batch_siz=9"},
        {"?batchsize=9", "?batchsize=9"},
        {"?a_very_long_parameter_name_that_is_not_ours=1", NULL},
        {"?%zz=1", NULL},
        {"?batch_size=pass@word", NULL}, /* the engine speaks of a password that is not encoded */
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char want[256];
        snprintf(want, sizeof want, "redis://h/1%s", pairs[i][1] ? pairs[i][1] : pairs[i][0]);
        CU_ASSERT_EQUAL(take(pairs[i][0]), 0);
        CU_ASSERT_STRING_EQUAL(rest, want);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *query;
        int rc;
        const char *line;
    } all[] = {
        {"batch_size=0", -EINVAL, "batch_size=0: want a number from 1 to 4096"},
        {"batch_size=4097", -EINVAL, "batch_size=4097: want a number from 1 to 4096"},
        {"batch-size=1k", -EINVAL, "batch_size=1k: want a number from 1 to 4096"},
        {"batch_size=", -EINVAL, "batch_size=: want a number from 1 to 4096"},
        {"batch_size", -EINVAL, "batch_size=: want a number from 1 to 4096"},
        {"batch_size=-1", -EINVAL, "batch_size=-1: want a number from 1 to 4096"},
        {"batch_size=1.5", -EINVAL, "batch_size=1.5: want a number from 1 to 4096"},
        {"batch_size=18446744073709551617", -EINVAL,
         "batch_size=18446744073709551617: want a number from 1 to 4096"},
        {"batch_size=%zz", -EINVAL, "batch_size=(malformed): want a number from 1 to 4096"},
        {"batch_bytes=1k", -EINVAL, "batch_bytes=1k: want a size from 4k to 16m"},
        {"batch_bytes=17m", -EINVAL, "batch_bytes=17m: want a size from 4k to 16m"},
        {"batch_bytes=8kb", -EINVAL, "batch_bytes=8kb: want a size from 4k to 16m"},
        {"max_pending_bytes=4194304g", -EINVAL,
         "max_pending_bytes=4194304g: want a size from 64k to 1g"},
        {"batch_interval=0", -EINVAL, "batch_interval=0: want a duration from 1ms to 60s"},
        {"batch_interval=61s", -EINVAL, "batch_interval=61s: want a duration from 1ms to 60s"},
        {"batch_interval=1m", -EINVAL, "batch_interval=1m: want a duration from 1ms to 60s"},
        {"batchwrite=2", -EINVAL, "batchwrite=2: want 0 or 1"},
        {"batchwrite", -EINVAL, "batchwrite=: want 0 or 1"},
        {"sync=always", -EINVAL, "sync=always: want sync=close"},
        {"excl=1", -EINVAL, "excl=1: want excl=strict"},
        {"pack_max=5m", -EINVAL, "pack_max=5m: want a size from 1 to 4m"},
        {"inode_batch=65537", -EINVAL, "inode_batch=65537: want a number from 1 to 65536"},
        {"batch_size=9&batch_size_max=8", -EINVAL,
         "batch_size=9: at most 8 with the other parameters"},
        {"high_watermark=5&low_watermark=5", -EINVAL,
         "low_watermark=5: at most 4 with the other parameters"},
        {"inode_batch=5&inode_low_watermark=5", -EINVAL,
         "inode_low_watermark=5: at most 4 with the other parameters"},
        {"chunk_batch=1&chunk_low_watermark=1", -EINVAL,
         "chunk_low_watermark=1: at most 0 with the other parameters"},
        {"unsafe_batch=2", -EINVAL, "unsafe_batch=2: want 0 or 1"},
        {"fast-meta=1", -ENOTSUP, "fast_meta is not built in yet"},
        {"ttl=1s", -ENOTSUP, "ttl is not built in yet"},
        {"open-ttl=0", -ENOTSUP, "open_ttl is not built in yet"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char query[128], want[256];
        snprintf(query, sizeof query, "?%s", all[i].query);
        snprintf(want, sizeof want, "metadata URL: %s", all[i].line);
        CU_ASSERT_EQUAL(take(query), all[i].rc);
        CU_ASSERT_STRING_EQUAL(err, want);
        CU_ASSERT_PTR_NULL(rest);
        if (strcmp(err, want) != 0)
            fprintf(stderr, "  %s: %s\n", query, err);
    }
}

static void test_engine(void)
{
    static const char *const urls[] = {"redis://h/1?", "unix:///s?db=3&", "lmdb:///no/dir?", "h?"};
    struct engine *e;
    char url[128];

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        snprintf(url, sizeof url, "%sbatch_size=77&inode_batch=5", urls[i]);
        CU_ASSERT_EQUAL_FATAL(engine_open(url, &e, err, sizeof err), 0);
        CU_ASSERT_EQUAL(e->params.batch_size, 77);
        CU_ASSERT_EQUAL(e->params.batch_bytes, 256 << 10);
        CU_ASSERT_EQUAL(e->id_batch[ID_INODE], 5);
        CU_ASSERT(e->id_batch[ID_SLICE] > 5);
        CU_ASSERT_PTR_NULL(strstr(e->ops->name(e), "batch"));
        CU_ASSERT_FALSE(e->params.unsafe_batch);
        e->ops->close(e);
    }
    CU_ASSERT_EQUAL_FATAL(engine_open("redis://h/1?unsafe-batch=1", &e, err, sizeof err), 0);
    CU_ASSERT_TRUE(e->params.unsafe_batch);
    e->ops->close(e);
    CU_ASSERT_EQUAL(engine_open("lmdb:///no/dir?unsafe_batch=1", &e, err, sizeof err), -ENOTSUP);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "unsafe_batch"));
    CU_ASSERT_PTR_NULL(e);
}

/* clang-format off */
#define CASES(X) \
    X(defaults) X(given) X(together) X(rest) X(refused) X(engine)
/* clang-format on */

int main(void)
{
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    int rc = suite_run("params", tests);
    free(rest);
    return rc;
}
