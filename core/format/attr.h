/*
 * attr - the value of `i{inode}`: encoding of an inode's attributes (juicefs-format.md 3.2), the
 * 9-byte directory entry (3.3) and inode numbers with a meaning (3.7).
 *
 * Layer: format; uses base.
 */
#ifndef JFSPRE_CORE_FORMAT_ATTR_H
#define JFSPRE_CORE_FORMAT_ATTR_H

#include "core/base/clock.h"

#include <stddef.h>
#include <stdint.h>

#define INO_ROOT       UINT64_C(1)
#define INO_TRASH      UINT64_C(0x7FFFFFFF10000000)
#define NAME_LEN_MAX   255
#define PATH_LEN_MAX   4095 /* bytes without the NUL */
#define ENTRY_BYTES    9
#define ATTR_BYTES     72 /* without ACL and tier */
#define ATTR_BYTES_MAX 81
#define ATTR_BYTES_MIN 63

/* Types as the volume numbers them. */
enum inode_type {
    TYPE_FILE = 1,
    TYPE_DIRECTORY,
    TYPE_SYMLINK,
    TYPE_FIFO,
    TYPE_BLOCKDEV,
    TYPE_CHARDEV,
    TYPE_SOCKET,
};

enum attr_flag {
    ATTR_IMMUTABLE = 1,
    ATTR_APPEND = 2,
    ATTR_SKIP_TRASH = 32,
};

struct attr {
    uint8_t flags; /* enum attr_flag and bits that are only kept */
    uint8_t type;  /* enum inode_type */
    uint8_t tier;
    uint16_t mode; /* 07777 */
    uint32_t uid, gid;
    struct moment atime, mtime, ctime;
    uint32_t nlink;
    uint64_t length; /* bytes; a directory has 4096 */
    uint32_t rdev;
    uint64_t parent; /* 0: several, see `p{inode}` */
    uint32_t access_acl, default_acl;
};

/* 0, or -EIO when there are fewer than ATTR_BYTES_MIN bytes or the type is unknown. */
int attr_decode(const void *data, size_t len, struct attr *out);

/* Returns the number of bytes written, always a length that stock writes (72, 73, 80, 81). */
size_t attr_encode(const struct attr *a, uint8_t out[ATTR_BYTES_MAX]);

void entry_encode(uint8_t type, uint64_t ino, uint8_t out[ENTRY_BYTES]);
int entry_decode(const void *data, size_t len, uint8_t *type, uint64_t *ino); /* 0 or -EIO */

/* type and mode of the volume <-> st_mode of libc */
uint32_t attr_st_mode(const struct attr *a);
uint8_t type_of_st_mode(uint32_t st_mode); /* 0: none of ours */

/* Usage of a length: rounded up to 4 KiB, at least 4 KiB (the format's 4K(n)). */
static inline uint64_t usage_of_length(uint64_t length)
{
    return length == 0 ? 4096 : (length + 4095) & ~UINT64_C(4095);
}

#endif
