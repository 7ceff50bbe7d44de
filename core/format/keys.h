/*
 * keys - names of the volume's Redis keys (juicefs-format.md 3.1), with the prefix that a cluster
 * needs ("{N}", else "").
 *
 * Layer: format.
 */
#ifndef JFSPRE_CORE_FORMAT_KEYS_H
#define JFSPRE_CORE_FORMAT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define KEY_MAX 128

struct keys {
    char prefix[16];
};

/* Each writes a NUL-terminated name into out and returns its length. */
size_t key_plain(const struct keys *k, const char *name, char out[KEY_MAX]); /* setting, sliceRef */
size_t key_inode(const struct keys *k, uint64_t ino, char out[KEY_MAX]);     /* i */
size_t key_dir(const struct keys *k, uint64_t ino, char out[KEY_MAX]);       /* d */
size_t key_parents(const struct keys *k, uint64_t ino, char out[KEY_MAX]);   /* p */
size_t key_chunk(const struct keys *k, uint64_t ino, uint32_t idx, char out[KEY_MAX]); /* c */
size_t key_symlink(const struct keys *k, uint64_t ino, char out[KEY_MAX]);             /* s */
size_t key_xattr(const struct keys *k, uint64_t ino, char out[KEY_MAX]);               /* x */
/* Field of sliceRef: k{id}_{size}. */
size_t key_slice_field(uint64_t id, uint32_t size, char out[KEY_MAX]);

#endif
