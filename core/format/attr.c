/*
 * attr.c - an inode's attributes and a directory entry, to and from bytes.
 *
 * The first 63 bytes are fixed.  What follows grew over the years: parent (8), two ACL ids (8),
 * tier (1); a reader takes what is there.  Stock sizes its output one byte too large, and readers
 * since 1.4 take the byte behind a plain attr for the tier, so exactly one zero byte ends each.
 */
#include "core/format/attr.h"

#include "core/base/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum {
    AT_FLAGS = 0,
    AT_TYPE_MODE = 1,
    AT_UID = 3,
    AT_GID = 7,
    AT_ATIME = 11,
    AT_MTIME = 23,
    AT_CTIME = 35,
    AT_NLINK = 47,
    AT_LENGTH = 51,
    AT_RDEV = 59,
    AT_PARENT = 63,
    AT_TAIL = 71,
};

/* st_mode's type by the volume's. */
static const uint32_t st_types[] = {
    [TYPE_FILE] = S_IFREG,    [TYPE_DIRECTORY] = S_IFDIR, [TYPE_SYMLINK] = S_IFLNK,
    [TYPE_FIFO] = S_IFIFO,    [TYPE_BLOCKDEV] = S_IFBLK,  [TYPE_CHARDEV] = S_IFCHR,
    [TYPE_SOCKET] = S_IFSOCK,
};

static bool known_type(uint8_t type)
{
    return type >= TYPE_FILE && type <= TYPE_SOCKET;
}

static struct moment get_moment(const uint8_t *p)
{
    return (struct moment){.sec = (int64_t)get_be64(p), .nsec = get_be32(p + 8)};
}

static void put_moment(uint8_t *p, const struct moment *m)
{
    put_be64(p, (uint64_t)m->sec);
    put_be32(p + 8, m->nsec);
}

int attr_decode(const void *data, size_t len, struct attr *out)
{
    const uint8_t *p = data;
    uint16_t type_mode;

    if (len < ATTR_BYTES_MIN)
        return -EIO;
    type_mode = get_be16(p + AT_TYPE_MODE);
    if (!known_type((uint8_t)(type_mode >> 12)))
        return -EIO;
    *out = (struct attr){
        .flags = p[AT_FLAGS],
        .type = (uint8_t)(type_mode >> 12),
        .mode = type_mode & 07777,
        .uid = get_be32(p + AT_UID),
        .gid = get_be32(p + AT_GID),
        .atime = get_moment(p + AT_ATIME),
        .mtime = get_moment(p + AT_MTIME),
        .ctime = get_moment(p + AT_CTIME),
        .nlink = get_be32(p + AT_NLINK),
        .length = get_be64(p + AT_LENGTH),
        .rdev = get_be32(p + AT_RDEV),
    };
    if (len < AT_PARENT + 8)
        return 0;
    out->parent = get_be64(p + AT_PARENT);
    p += AT_TAIL;
    len -= AT_TAIL;
    if (len >= 8) {
        out->access_acl = get_be32(p);
        out->default_acl = get_be32(p + 4);
        p += 8;
        len -= 8;
    }
    if (len >= 1)
        out->tier = *p;
    return 0;
}

size_t attr_encode(const struct attr *a, uint8_t out[ATTR_BYTES_MAX])
{
    uint8_t *p = out + AT_TAIL;

    out[AT_FLAGS] = a->flags;
    put_be16(out + AT_TYPE_MODE, (uint16_t)((a->type << 12) | (a->mode & 07777)));
    put_be32(out + AT_UID, a->uid);
    put_be32(out + AT_GID, a->gid);
    put_moment(out + AT_ATIME, &a->atime);
    put_moment(out + AT_MTIME, &a->mtime);
    put_moment(out + AT_CTIME, &a->ctime);
    put_be32(out + AT_NLINK, a->nlink);
    put_be64(out + AT_LENGTH, a->length);
    put_be32(out + AT_RDEV, a->rdev);
    put_be64(out + AT_PARENT, a->parent);
    if (a->access_acl != 0 || a->default_acl != 0) {
        put_be32(p, a->access_acl);
        put_be32(p + 4, a->default_acl);
        p += 8;
    }
    if (a->tier != 0)
        *p++ = a->tier;
    *p++ = 0;
    return (size_t)(p - out);
}

void entry_encode(uint8_t type, uint64_t ino, uint8_t out[ENTRY_BYTES])
{
    out[0] = type;
    put_be64(out + 1, ino);
}

int entry_decode(const void *data, size_t len, uint8_t *type, uint64_t *ino)
{
    const uint8_t *p = data;

    if (len != ENTRY_BYTES || !known_type(p[0]))
        return -EIO;
    *type = p[0];
    *ino = get_be64(p + 1);
    return 0;
}

uint32_t attr_st_mode(const struct attr *a)
{
    return (known_type(a->type) ? st_types[a->type] : 0) | (a->mode & 07777U);
}

uint8_t type_of_st_mode(uint32_t st_mode)
{
    for (uint8_t type = TYPE_FILE; type <= TYPE_SOCKET; type++) {
        if (st_types[type] == (st_mode & S_IFMT))
            return type;
    }
    return 0;
}
