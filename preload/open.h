/*
 * open - opening a file from inside the preload, for wrappers that open one themselves.
 */
#ifndef JFSPRE_PRELOAD_OPEN_H
#define JFSPRE_PRELOAD_OPEN_H

#include "core/vfs/vfs.h"

/* vfs_open() and the entry in fdtab.  Descriptor, -errno or VFS_ESCAPE; out may be NULL.  Inside a
 * guard. */
long open_volume(struct vfs *v, struct vfs_loc *loc, int flags, mode_t mode, struct vfs_fd *out);

/* libc's openat; a result that is ours (/proc/self/fd/N) is entered in fdtab. */
int open_native(int dir, const char *path, int flags, mode_t mode);

#endif
