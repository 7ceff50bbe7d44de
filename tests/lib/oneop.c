/*
 * oneop.c - one op at a time, for core tests.
 */
#include "tests/lib/oneop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATABASES 64

struct server *oneop_server;
struct meta *oneop_meta;
struct op_result oneop_last;
static int db;

static void fatal(const char *what)
{
    fprintf(stderr, "one op: %s: %s\n", what, meta_error(oneop_meta));
    exit(99);
}

void oneop_begin(const struct setting *v)
{
    struct setting usual = volume_setting("/var/none/", 0);

    if (!oneop_server)
        oneop_server =
            server_start_with("--databases", "64", "--enable-debug-command", "yes", NULL);
    if (++db == DATABASES)
        fatal("too many tests");
    volume_format(oneop_server, db, v ? v : &usual);
    oneop_meta = volume_open(oneop_server, db, "");
    redis_int("SELECT %d", db);
}

void oneop_end(void)
{
    op_result_free(&oneop_last);
    memset(&oneop_last, 0, sizeof(oneop_last));
    meta_close(oneop_meta);
    redis_int("SELECT 0");
}

int run(struct op op)
{
    op_result_free(&oneop_last);
    if (op.base == 0)
        op.base = INO_ROOT;
    if (meta_call(oneop_meta, &op, 1, &oneop_last) < 0)
        fatal(op_kind_name(op.kind));
    return oneop_last.code;
}

uint64_t make_file(const char *path, uint32_t mode)
{
    struct op op = {.kind = OP_OPEN, .path = path, .flags = OPF_CREATE, .valid = 6, .mode = mode};

    if (meta_new_inode(oneop_meta, &op.ino) < 0 || run(op) != 0)
        fatal(path);
    return oneop_last.ino;
}

uint64_t make_dir(const char *path)
{
    struct op op = {.kind = OP_MKDIR, .path = path, .mode = 0755};

    if (meta_new_inode(oneop_meta, &op.ino) < 0 || run(op) != 0)
        fatal(path);
    return oneop_last.ino;
}

struct attr attr_of(const char *path)
{
    if (run((struct op){.kind = OP_LOOKUP, .path = path, .flags = OPF_NOFOLLOW}) != 0)
        fatal(path);
    return oneop_last.attr;
}

int commit(uint64_t ino, const struct piece *p, size_t n)
{
    struct op op = {.kind = OP_WRITE, .base = ino, .mtime = {2000, 0}};
    struct buf b = {0};
    uint8_t bytes[RECORD_BYTES];

    for (size_t i = 0; i < n; i++) {
        record_encode(&p[i].r, bytes);
        buf_add_be32(&b, p[i].index);
        buf_add(&b, bytes, sizeof(bytes));
    }
    op.data = b.data;
    op.data_len = (uint32_t)b.len;
    int rc = run(op);
    buf_free(&b);
    return rc;
}

int write_at(uint64_t ino, uint64_t off, uint32_t len, uint64_t slice)
{
    const struct piece p = {
        .index = (uint32_t)(off / CHUNK_BYTES),
        .r = {.pos = (uint32_t)(off % CHUNK_BYTES), .id = slice, .size = len, .len = len}};

    return commit(ino, &p, 1);
}

const char *digest(void)
{
    static char text[2][64];
    static int turn;

    turn = !turn;
    if (server_text(oneop_server, text[turn], sizeof(text[turn]), "DEBUG DIGEST") < 0)
        fatal("DEBUG DIGEST");
    return text[turn];
}
