/*
 * to_libc.c - see to_libc.h.
 */
#include "preload/to_libc.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#define BLOCK_BYTES 65536 /* preferred size of a transfer, as a stock mount says */

static struct timespec to_timespec(struct moment m)
{
    return (struct timespec){.tv_sec = m.sec, .tv_nsec = m.nsec};
}

/* In units of 512.  Holes are not known per file: programs that compare with the size see none. */
static uint64_t blocks_of(const struct attr *a)
{
    return (a->length + 511) / 512;
}

void stat_to_libc(const struct vfs_stat *s, struct stat *out)
{
    const struct attr *a = &s->attr;

    memset(out, 0, sizeof(*out));
    out->st_dev = s->dev;
    out->st_ino = s->ino;
    out->st_mode = attr_st_mode(a);
    out->st_nlink = a->nlink;
    out->st_uid = a->uid;
    out->st_gid = a->gid;
    out->st_rdev = a->rdev;
    out->st_size = (off_t)a->length;
    out->st_blksize = BLOCK_BYTES;
    out->st_blocks = (blkcnt_t)blocks_of(a);
    out->st_atim = to_timespec(a->atime);
    out->st_mtim = to_timespec(a->mtime);
    out->st_ctim = to_timespec(a->ctime);
}

static struct statx_timestamp to_statx_time(struct moment m)
{
    return (struct statx_timestamp){.tv_sec = m.sec, .tv_nsec = m.nsec};
}

/* "The kernel may return fields that weren't requested", so all that we have are given; the volume
 * keeps no birth time. */
void statx_to_libc(const struct vfs_stat *s, struct statx *out)
{
    const struct attr *a = &s->attr;

    memset(out, 0, sizeof(*out));
    out->stx_mask = STATX_BASIC_STATS;
    out->stx_blksize = BLOCK_BYTES;
    out->stx_attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
    if (a->flags & ATTR_IMMUTABLE)
        out->stx_attributes |= STATX_ATTR_IMMUTABLE;
    if (a->flags & ATTR_APPEND)
        out->stx_attributes |= STATX_ATTR_APPEND;
    out->stx_nlink = a->nlink;
    out->stx_uid = a->uid;
    out->stx_gid = a->gid;
    out->stx_mode = (uint16_t)attr_st_mode(a);
    out->stx_ino = s->ino;
    out->stx_size = a->length;
    out->stx_blocks = blocks_of(a);
    out->stx_atime = to_statx_time(a->atime);
    out->stx_mtime = to_statx_time(a->mtime);
    out->stx_ctime = to_statx_time(a->ctime);
    out->stx_rdev_major = major(a->rdev);
    out->stx_rdev_minor = minor(a->rdev);
    out->stx_dev_major = major(s->dev);
    out->stx_dev_minor = minor(s->dev);
}

/* The type of a FUSE file system: what programs that look at it see on a stock mount. */
void statfs_to_libc(const struct vfs_statfs *s, struct statfs *out)
{
    memset(out, 0, sizeof(*out));
    out->f_type = FUSE_SUPER_MAGIC;
    out->f_bsize = (__fsword_t)s->block_bytes;
    out->f_frsize = (__fsword_t)s->block_bytes;
    out->f_blocks = s->blocks;
    out->f_bfree = s->blocks_free;
    out->f_bavail = s->blocks_free;
    out->f_files = s->files;
    out->f_ffree = s->files_free;
    out->f_namelen = NAME_LEN_MAX;
    memcpy(&out->f_fsid, &s->fsid, sizeof(out->f_fsid));
}

void statvfs_to_libc(const struct vfs_statfs *s, struct statvfs *out)
{
    memset(out, 0, sizeof(*out));
    out->f_bsize = s->block_bytes;
    out->f_frsize = s->block_bytes;
    out->f_blocks = s->blocks;
    out->f_bfree = s->blocks_free;
    out->f_bavail = s->blocks_free;
    out->f_files = s->files;
    out->f_ffree = s->files_free;
    out->f_favail = s->files_free;
    out->f_fsid = s->fsid;
    out->f_namemax = NAME_LEN_MAX;
}
