/*
 * to_libc - answers of core in libc's form: -errno to errno, attributes to stat and statx.
 */
#ifndef JFSPRE_PRELOAD_TO_LIBC_H
#define JFSPRE_PRELOAD_TO_LIBC_H

#include "core/vfs/vfs.h"

#include <errno.h>
#include <sys/stat.h>

struct statx;
struct statfs;
struct statvfs;

/* rc >= 0 as it is, errno untouched; else -1 and errno.  The only place that sets errno. */
static inline long to_libc(long rc)
{
    if (__builtin_expect(rc >= 0, 1))
        return rc;
    errno = (int)-rc;
    return -1;
}

/* The same for calls that return a pointer. */
static inline void *to_libc_null(long rc)
{
    errno = (int)-rc;
    return 0;
}

void stat_to_libc(const struct vfs_stat *s, struct stat *out);
void statx_to_libc(const struct vfs_stat *s, struct statx *out);
void statfs_to_libc(const struct vfs_statfs *s, struct statfs *out);
void statvfs_to_libc(const struct vfs_statfs *s, struct statvfs *out);

#endif
