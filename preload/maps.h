/*
 * maps - shared mappings through which files of ours may be written.
 *
 * The kernel tells nobody of such stores, and a mapping outlives its descriptor: the file behind it
 * is committed when the mapping goes and at msync, exec and exit.
 *
 * Allocators call munmap and mremap, so nothing here allocates; without such a mapping both cost
 * one load.  maps_add, maps_remove and maps_move are called inside a guard.
 */
#ifndef JFSPRE_PRELOAD_MAPS_H
#define JFSPRE_PRELOAD_MAPS_H

#include "core/vfs/vfs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

extern _Atomic int maps_count; /* 0: no such mapping in this process */

/* false: no room to remember it. */
bool maps_add(void *addr, size_t len, const struct vfs_fd *f);
/* The range is not mapped any more: files without another mapping are committed and released. */
void maps_remove(struct vfs *v, void *addr, size_t len);
void maps_move(void *old, size_t old_len, void *fresh, size_t len);
/* msync: commits the files that are mapped in the range. */
int maps_commit(struct vfs *v, void *addr, size_t len);
int maps_commit_all(struct vfs *v);

#endif
