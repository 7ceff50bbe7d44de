/*
 * setting - the volume's `setting` key: JSON as stock writes it (juicefs-format.md 1).
 *
 * It is read, obeyed and never rewritten; only `jfspre format` makes one.
 *
 * Layer: format; uses base.
 */
#ifndef JFSPRE_CORE_FORMAT_SETTING_H
#define JFSPRE_CORE_FORMAT_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The stock client whose rules are followed; Min/MaxClientVersion are compared with it. */
#define EMULATED_VERSION "1.4.0"

struct setting {
    char name[64];
    char uuid[64];
    char storage[32]; /* as written */
    char bucket[4096];
    char compression[16]; /* "" or none, lz4, zstd */
    uint32_t block_kib;
    uint32_t shards;
    bool hash_prefix, dir_stats, acl, user_group_quota, changelog, encrypted;
    uint64_t capacity_bytes; /* 0: no limit */
    uint64_t inodes;         /* 0: no limit */
    int32_t trash_days;
    int32_t meta_version;
    char min_client[32], max_client[32];
};

/* Unknown fields are ignored.  0, or -EINVAL with one line in err naming what is wrong: not JSON, a
 * field of another type or too long, no Name, UUID or BlockSize, or ones that could not be part of
 * a file's name.  *out is zeroed first. */
int setting_parse(const char *json, size_t len, struct setting *out, char *err, size_t errlen);

/* May this build use the volume read-write?  0, or -ENOTSUP with one line naming the field. */
int setting_supported(const struct setting *s, char *err, size_t errlen);
/* The part of it that decides whether its blocks can be read and written. */
int setting_store_supported(const struct setting *s, char *err, size_t errlen);

/* Field values a user may give to `jfspre format`: 0 or -EINVAL with one line. */
int setting_check_new(const struct setting *s, char *err, size_t errlen);

/* The JSON that `juicefs format` writes for these values, byte for byte.  An empty min_client is
 * the one that format gives.  Appends to out, the caller's buf.  0 or -ENOMEM. */
struct buf;
int setting_print(const struct setting *s, struct buf *out);

/* <0, 0, >0 as a is older, equal, newer than b (format 1.1, last paragraph).  What is not a version
 * is older than any. */
int version_compare(const char *a, const char *b);
bool version_valid(const char *text);

#endif
