/*
 * cwd - the current directory: the kernel's, which for a directory of ours is its skeleton.
 */
#ifndef JFSPRE_PRELOAD_CWD_H
#define JFSPRE_PRELOAD_CWD_H

#include "core/vfs/vfs.h"

/* Takes the directory over that a parent left us in. */
void cwd_inherit(struct vfs *v);

/* "prefix/path" of the current directory of ours.  0 or -errno; -ENOENT: it is removed. */
int cwd_path(struct vfs *v, char *out, size_t len);

#endif
