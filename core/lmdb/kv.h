/*
 * kv - an LMDB environment in somebody else's process: opened when first used, one per process and
 * path, forgotten in a forked child, never left with an open transaction.
 *
 * The only folder that includes lmdb.h.  liblmdb is opened with dlopen() at first use (RTLD_LOCAL |
 * RTLD_DEEPBIND: its calls bypass the preload's exports; without DEEPBIND under a sanitizer), so a
 * process that never opens a volume of this kind never loads it.
 *
 * LMDB keeps one process-wide fcntl lock per environment: closing any descriptor of its lock file
 * in this process would drop it.  kv_fds() names the descriptors, so that the preload keeps the
 * program's close() away from them.
 *
 * Layer:   lmdb; uses base.  Used by meta's LMDB engine.
 * Threads: a caller serialises its calls on one environment.
 * Errors:  -errno: MDB_* codes stop in kv.c.  -ENOSPC: disk or map full (the map is grown first);
 *          -EIO: damaged; -EBUSY: no reader slot; -ENOTSUP: network or overlay file system, refused
 *          by name; kv_error() has one line that names the path.
 */
#ifndef JFSPRE_CORE_LMDB_KV_H
#define JFSPRE_CORE_LMDB_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_KEY_MAX 511 /* bytes, LMDB's limit */

struct kv;

struct kv_val {
    const void *data;
    size_t len;
};

/* Keeps the path; opens nothing.  create: the directory is made at the first write transaction. */
int kv_open(const char *dir, bool create, struct kv **out);
void kv_set_create(struct kv *kv);
void kv_close(struct kv *kv); /* NULL is fine */
/* Closes the environment; the next transaction opens it anew.  No transaction may be open. */
void kv_suspend(struct kv *kv);
/* In the child of a fork: forgets the parent's environment without touching it; the next
 * transaction opens anew.  No transaction may be open across fork. */
void kv_after_fork(struct kv *kv);
const char *kv_error(const struct kv *kv);
size_t kv_fds(const struct kv *kv, int *fds, size_t n);

/* One transaction at a time.  A read transaction sees one moment.  Write transactions of all
 * processes follow each other.  kv_begin grows the map when another process did. */
int kv_begin(struct kv *kv, bool write);
/* Ends it.  A commit that fails has changed nothing. */
int kv_commit(struct kv *kv, bool durable); /* durable: synced to disk before it returns */
void kv_abort(struct kv *kv);

/* Inside a transaction.  Values are borrowed until the next change or the end of it.
 * kv_get: -ENOENT when absent.  kv_del of something absent is -ENOENT.  A write that meets a full
 * map is -ENOSPC after which only kv_abort() is allowed; kv_grow() then makes room for a retry. */
int kv_get(struct kv *kv, struct kv_val key, struct kv_val *value);
int kv_put(struct kv *kv, struct kv_val key, struct kv_val value);
int kv_del(struct kv *kv, struct kv_val key);
/* Rewrites the value of a key that is there, found once: fn makes the new one, which it owns, from
 * the old.  -ENOENT: absent, fn was not called; else what fn returns below 0. */
typedef int (*kv_edit)(void *ctx, struct kv_val old, struct kv_val *fresh);
int kv_change(struct kv *kv, struct kv_val key, kv_edit fn, void *ctx);
bool kv_is_full(const struct kv *kv); /* the last -ENOSPC came from the map, not from the disk */
/* Outside a transaction: gives back what dead readers held, else makes the map larger. */
int kv_grow(struct kv *kv);
/* For tests: bytes of the map of environments opened from now on; 0: the usual. */
void kv_first_map(size_t bytes);

/* Visits keys >= from in order until visit returns non-zero, which is returned (0 at the end).
 * Keys and values are borrowed; visit must not change anything. */
typedef int (*kv_visit)(void *ctx, struct kv_val key, struct kv_val value);
int kv_scan(struct kv *kv, struct kv_val from, kv_visit visit, void *ctx);
/* First key >= from, last key < before: -ENOENT when there is none. */
int kv_seek(struct kv *kv, struct kv_val from, struct kv_val *key, struct kv_val *value);
int kv_before(struct kv *kv, struct kv_val before, struct kv_val *key, struct kv_val *value);

#endif
