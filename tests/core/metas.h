/*
 * metas - what the tests of core/meta share: one server with a database a test, and single calls.
 */
#ifndef JFSPRE_TESTS_CORE_METAS_H
#define JFSPRE_TESTS_CORE_METAS_H

#include "core/meta/meta_internal.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server *shared; /* each test has a database of its own */

#define SAYS(m, text) CU_ASSERT_PTR_NOT_NULL(strstr(meta_error(m), text))

enum { BUCKET_DAYS = 1 };

static inline struct setting usual(void)
{
    return volume_setting("/var/none/", BUCKET_DAYS);
}

/* A fresh volume in a database that no other test uses. */
static inline int fresh_db(struct server *s)
{
    static int next = 1;
    struct setting v = usual();

    volume_format(s, next, &v);
    return next++;
}

static inline long long in_db(struct server *s, int db, const char *what, const char *key)
{
    server_int(s, "SELECT %d", db);
    long long n = server_int(s, what, key);
    server_int(s, "SELECT 0");
    return n;
}

static inline struct op op_on(uint8_t kind, const char *path)
{
    return (struct op){.kind = kind, .base = INO_ROOT, .path = path, .mode = 0755};
}

static inline int lookup(struct meta *m, const char *path)
{
    struct op op = op_on(OP_LOOKUP, path);
    struct op_result res;

    int rc = meta_call(m, &op, 1, &res);
    if (rc == 0)
        rc = res.code;
    op_result_free(&res);
    return rc;
}

static inline int make_dir(struct meta *m, const char *path)
{
    struct op op = op_on(OP_MKDIR, path);
    struct op_result res;

    int rc = meta_new_inode(m, &op.ino);
    if (rc < 0)
        return rc;
    rc = meta_call(m, &op, 1, &res);
    if (rc == 0)
        rc = res.code;
    op_result_free(&res);
    return rc;
}

/* The field of a slice in sliceRef: the records that name it, less one. */
static inline void ref(int db, uint64_t id, int size, int value)
{
    server_int(shared, "SELECT %d", db);
    server_int(shared, "HSET sliceRef k%" PRIu64 "_%d %d", id, size, value);
    server_int(shared, "SELECT 0");
}

/* Runs one suite on a server of its own; what main() returns. */
static inline int metas_main(const char *suite, CU_TestInfo *tests)
{
    unsetenv("REDIS_PASSWORD");
    unsetenv("META_PASSWORD");
    unsetenv("META_PASSWORD_FILE");
    shared = server_start_with("--databases", "64");
    int rc = suite_run(suite, tests);
    server_free(shared);
    return rc;
}

#endif
