/*
 * init - the start of the library in a process, and the volume behind the prefix.
 *
 * The constructor binds libc, reads the prefix and, when a parent of ours said so in the
 * environment (JFSPRE_FDS, JFSPRE_CWD), looks which descriptors and directory were inherited.  The
 * volume is made by the first call that needs it.  In a setuid program nothing happens at all.
 */
#ifndef JFSPRE_PRELOAD_INIT_H
#define JFSPRE_PRELOAD_INIT_H

#include "core/vfs/vfs.h"

/* The volume, made now when it is not there yet.  NULL and *err = -errno (said once on stderr) when
 * it cannot be had.  Only inside a guard. */
struct vfs *volume(int *err);

/* The volume when it is there already, else NULL: one load, any context. */
struct vfs *volume_if_any(void);

/* The program has io_uring from now on, see vfs_unseen(). */
void volume_unseen(void);

/* Around a fork that does not run pthread_atfork handlers (_Fork, clone).  fork() itself needs
 * neither: the handlers are registered when the volume is made. */
void volume_before_fork(void);
void volume_after_fork(bool in_child);

#endif
