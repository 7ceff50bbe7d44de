/*
 * oneop - one op at a time on a fresh volume, and a look at the keys it left.
 *
 * A test calls oneop_begin() and oneop_end(); all tests of a program share one server.
 */
#ifndef JFSPRE_TESTS_LIB_ONEOP_H
#define JFSPRE_TESTS_LIB_ONEOP_H

#include "core/format/record.h"
#include "tests/lib/volume.h"

#include <errno.h>
#include <string.h>

#define ME 1000 /* uid and gid of somebody */

extern struct server *oneop_server;
extern struct meta *oneop_meta;
extern struct op_result oneop_last; /* of the latest run() */

void oneop_begin(const struct setting *v); /* NULL: the usual, without trash */
void oneop_end(void);

/* Runs one op by root (cred as given otherwise); its code. */
int run(struct op op);
/* Makes an empty file by path; its inode. */
uint64_t make_file(const char *path, uint32_t mode);
uint64_t make_dir(const char *path);
struct attr attr_of(const char *path);

/* A record of a chunk in OP_WRITE's data. */
struct piece {
    uint32_t index;
    struct record r;
};
int commit(uint64_t ino, const struct piece *p, size_t n);
/* One piece: bytes [off, off+len) of the file are all of a new slice. */
int write_at(uint64_t ino, uint64_t off, uint32_t len, uint64_t slice);

/* Everything in the database as one text. */
const char *digest(void);
/* server_int() in the test's database. */
#define redis_int(...) server_int(oneop_server, __VA_ARGS__)

#endif
