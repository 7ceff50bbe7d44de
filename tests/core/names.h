/*
 * names - what the tests of names share: a fresh volume a test on one server, the engine with the
 * env and the clock that a test wants, and short forms of the ops.
 */
#ifndef JFSPRE_TESTS_CORE_NAMES_H
#define JFSPRE_TESTS_CORE_NAMES_H

#include "core/format/record.h"
#include "core/meta/meta.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAYBE __attribute__((unused)) static
#define ME    1000

static struct server *server;
static struct engine *engine;
static struct op_env env;
static struct moment now;     /* of every op; tests move it */
static uint64_t next_ino;     /* of the next new inode */
static struct op_result last; /* of the last op */

/* One command: as server_int(), and as the text of the answer, "" for none; one buffer. */
#define redis(...) server_int(server, __VA_ARGS__)
static char text_buf[1024];
static long long text_len;
#define text(...)                                                                                  \
    (text_len = server_text(server, text_buf, sizeof(text_buf), __VA_ARGS__),                      \
     text_len < 0 ? "" : (const char *)text_buf)

MAYBE void begin(int trash_days)
{
    struct setting v = volume_setting("/var/none/", trash_days);
    char err[512];

    redis("FLUSHALL");
    volume_format(server, 0, &v);
    if (engine_open(server_url(server, 0), &engine, err, sizeof(err)) < 0)
        exit(99);
    env = (struct op_env){.flags = ENV_DIR_STATS | (trash_days > 0 ? ENV_TRASH : 0),
                          .skip_dir_mtime_ms = 100,
                          .mount = "/jfs"};
    now = (struct moment){1754000000, 500};
    next_ino = 100;
}

MAYBE void end(void)
{
    op_result_free(&last);
    engine->ops->close(engine);
}

/* Runs one op; its code, its answer is in `last`. */
MAYBE int run(struct op op)
{
    op_result_free(&last);
    memset(&last, 0, sizeof(last));
    if (op.now.sec == 0)
        op.now = now;
    if (op.base == 0)
        op.base = INO_ROOT;
    if (op.base2 == 0)
        op.base2 = INO_ROOT;
    bool takes = op.kind == OP_UNLINK || op.kind == OP_RMDIR || op.kind == OP_RENAME;
    if (op.ino == 0 && !takes) /* there it is what the name is expected to be */
        op.ino = next_ino;
    int rc = engine->ops->call(engine, &env, &op, 1, &last);
    if (rc < 0)
        return rc;
    if (last.code == 0 && last.ino == next_ino)
        next_ino++;
    return last.code;
}

/* One op by its kind and path; further fields as designated initialisers. */
#define RUN(k, p, ...)       run((struct op){.kind = (k), .path = (p), ##__VA_ARGS__})
#define MKDIR(p, ...)        RUN(OP_MKDIR, p, .mode = 0755, ##__VA_ARGS__)
#define MKNOD(p, ...)        RUN(OP_MKNOD, p, .mode = TYPE_FILE << 12 | 0644, ##__VA_ARGS__)
#define LOOKUP(p, ...)       RUN(OP_LOOKUP, p, ##__VA_ARGS__)
#define RMDIR(p, ...)        RUN(OP_RMDIR, p, ##__VA_ARGS__)
#define UNLINK(p, ...)       RUN(OP_UNLINK, p, ##__VA_ARGS__)
#define RENAME(p, q, ...)    RUN(OP_RENAME, p, .path2 = (q), ##__VA_ARGS__)
#define LINK(p, q, ...)      RUN(OP_LINK, p, .path2 = (q), ##__VA_ARGS__)
#define BY_ME                .cred = {.uid = ME, .gid = ME}
#define OK(call)             CU_ASSERT_EQUAL(call, 0)
#define REFUSED(call, errno) CU_ASSERT_EQUAL(call, -(errno))

/* Everything in the database as a number, to see that nothing was written. */
MAYBE const char *digest(void)
{
    return text("DEBUG DIGEST");
}

/* Sets a flag of Attr.Flags. */
MAYBE void set_flags(uint64_t ino, unsigned flags)
{
    redis("SETRANGE i%llu 0 %b", (unsigned long long)ino, &(uint8_t){(uint8_t)flags}, (size_t)1);
}

MAYBE int names_init(void)
{
    server = server_start_with("--enable-debug-command", "yes", NULL);
    return 0;
}

MAYBE int names_clean(void)
{
    server_free(server);
    return 0;
}

MAYBE int names_main(const char *suite, CU_TestInfo *tests)
{
    return suite_run_with(suite, names_init, names_clean, tests);
}

#endif
