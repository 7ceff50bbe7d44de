/*
 * types - Redis's data types over LMDB keys: the one place that says how.
 *
 *   type            LMDB key                       LMDB value
 *   string  K       K                              the bytes
 *   hash    K, F    K 00 F                         the field's value
 *   list    K       K 00 u64 index, big-endian     the element; indexes ascend from head to tail
 *   set     K, M    K 00 M                         empty
 *   zset    K, M    K 00 M                         the score, decimal
 *
 * K never has a NUL, so no string is in the way of a hash.  Which type a key has is decided by its
 * name (juicefs-format.md 3.1; type_of_key()).  Values are Redis's, byte for byte, so a dump of
 * both can be compared.
 *
 * Layer:  lmdb; uses base.
 * Errors: -errno of kv; a read of something absent is 0 with *found == false or a length of 0.
 *         Values that are read are borrowed until the next change.
 */
#ifndef JFSPRE_CORE_LMDB_TYPES_H
#define JFSPRE_CORE_LMDB_TYPES_H

#include "core/lmdb/kv.h"

/* 's' string, 'h' hash, 'l' list, 'S' set, 'z' zset, as struct engine_item has them. */
char type_of_key(const char *key, size_t len);

int string_get(struct kv *kv, const char *key, struct kv_val *out, bool *found);
int string_set(struct kv *kv, const char *key, const void *data, size_t len);
int string_del(struct kv *kv, const char *key);
/* INCRBY: decimal text; absent counts as 0. */
int string_incr(struct kv *kv, const char *key, int64_t delta, int64_t *now);

int hash_get(struct kv *kv, const char *key, const void *field, size_t flen, struct kv_val *out,
             bool *found);
int hash_set(struct kv *kv, const char *key, const void *field, size_t flen, const void *data,
             size_t len);
int hash_del(struct kv *kv, const char *key, const void *field, size_t flen, bool *was_there);
int hash_incr(struct kv *kv, const char *key, const void *field, size_t flen, int64_t delta,
              int64_t *now);
/* The same only where the field is there: HEXISTS and HINCRBY. */
int hash_incr_if_there(struct kv *kv, const char *key, const void *field, size_t flen,
                       int64_t delta);
/* Is there any field (hash, set, zset) or element? */
int any_of(struct kv *kv, const char *key, bool *found);
/* Visits fields (members) in byte order, those after `after` (NULL: all), until visit returns
 * non-zero, which is returned.  visit must not change anything. */
int hash_scan(struct kv *kv, const char *key, const void *after, size_t alen, kv_visit visit,
              void *ctx); /* kv_visit's key: the field alone */
/* DEL of a whole hash, list, set or zset. */
int clear_all(struct kv *kv, const char *key);

int list_push(struct kv *kv, const char *key, const void *data, size_t len); /* RPUSH */
int list_len(struct kv *kv, const char *key, uint64_t *n);
int list_scan(struct kv *kv, const char *key, kv_visit visit, void *ctx); /* head to tail */
/* Visits the last n elements, tail first. */
int list_scan_tail(struct kv *kv, const char *key, size_t n, kv_visit visit, void *ctx);
/* LSET of the first element that is exactly old. */
int list_replace(struct kv *kv, const char *key, struct kv_val old, struct kv_val fresh,
                 bool *found);

/* Sets and zsets are hashes with an empty value, or the score. */

#endif
