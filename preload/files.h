/*
 * files - all open files of ours at once: what exec, exit, sync and redirections have in common.
 *
 * Every call is made inside a guard, with the volume.
 */
#ifndef JFSPRE_PRELOAD_FILES_H
#define JFSPRE_PRELOAD_FILES_H

#include "core/vfs/vfs.h"

#include <stdbool.h>

/* Commits what was written through any descriptor and any mapping; the first error, after trying
 * all of them.  Clean files cost one open and fstat each, no connection. */
int files_commit_all(struct vfs *v);

/* What this process's own descriptors wrote, where no call can return the error (exec, exit): it is
 * said on stderr.  What is borrowed is left to who lent it. */
void files_commit_own(struct vfs *v);

/* The end of the process: all are committed and closed, see vfs_leave(). */
void files_leave(struct vfs *v);

/* Descriptors that the program executed next gets: their bytes are put in place, since it may be
 * one that cannot be preloaded.  true when there is one. */
bool files_inherit(struct vfs *v);

/* `from` was duplicated to the number `to`: the table follows.  0, 1 and 2 are used by stdio behind
 * our back, so their bytes are put in place. */
void files_landed(struct vfs *v, int from, int to);

/* Closes fd, which the program never closed by name: an error is said on stderr. */
void files_close(struct vfs *v, int fd);

/* Does a descriptor here lead to the same staging file? */
bool files_is_open(const struct vfs_fd *f);

/* What was written to f is not in the volume, and no call can return the error: says so. */
void files_lost(const struct vfs_fd *f, long rc);

#endif
