/*
 * kv_lib - liblmdb's functions, found at first use.
 *
 * Layer: lmdb, internal.
 */
#ifndef JFSPRE_CORE_LMDB_KV_LIB_H
#define JFSPRE_CORE_LMDB_KV_LIB_H

#include <lmdb.h>
#include <stddef.h>

#define KV_LIB_FUNCTIONS(X)                                                                        \
    X(mdb_env_create)                                                                              \
    X(mdb_env_set_mapsize)                                                                         \
    X(mdb_env_set_maxreaders)                                                                      \
    X(mdb_env_open)                                                                                \
    X(mdb_env_close)                                                                               \
    X(mdb_env_info)                                                                                \
    X(mdb_env_sync)                                                                                \
    X(mdb_reader_check)                                                                            \
    X(mdb_dbi_open)                                                                                \
    X(mdb_txn_begin)                                                                               \
    X(mdb_txn_commit)                                                                              \
    X(mdb_txn_abort)                                                                               \
    X(mdb_get)                                                                                     \
    X(mdb_put)                                                                                     \
    X(mdb_del)                                                                                     \
    X(mdb_cursor_open)                                                                             \
    X(mdb_cursor_get)                                                                              \
    X(mdb_cursor_put)                                                                              \
    X(mdb_cursor_close)                                                                            \
    X(mdb_strerror)

struct kv_lib {
#define X(name) __typeof__(name) *name;
    KV_LIB_FUNCTIONS(X)
#undef X
};

/* NULL when there is no usable liblmdb: why then has one line. */
const struct kv_lib *kv_lib(char *why, size_t len);

#endif
