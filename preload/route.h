/*
 * route - (dirfd, path) -> the volume or libc; the only reader of a caller's path.
 *
 * Ours is: an absolute path with the prefix at its front, component by component; a relative path
 * where the current directory or dirfd is a directory of ours; a relative path that climbs or
 * descends from a native directory to the prefix; /proc/self/fd/N and its kin where N is ours.
 * `//`, `/./` and `..` before the prefix are taken lexically; everything after it is the volume's
 * to walk, also `..` and symlinks that leave it again (VFS_ESCAPE).
 */
#ifndef JFSPRE_PRELOAD_ROUTE_H
#define JFSPRE_PRELOAD_ROUTE_H

#include "core/vfs/vfs.h"
#include "preload/guard.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>

/* One call into the volume, from call_begin() or route_at() to call_end().  err: the volume cannot
 * be had, -errno. */
struct call {
    struct vfs *v;
    int err;
    struct guard guard;
};

void call_begin(struct call *c);
void call_end(struct call *c);

/* A path that is ours.  err != 0: the call fails with it. */
struct route {
    int err;
    struct vfs *v;
    struct vfs_loc loc;
    struct call call;
};

/* Process-wide facts that the fast path reads. */
extern struct route_facts {
    bool on;                  /* a prefix is served in this process */
    char lead;                /* first byte of the prefix's first component */
    _Atomic uint64_t cwd_ino; /* directory of ours that is the current one; 0: native */
} route_facts;

/* Plainly libc's?  No lock, no allocation, no system call.  false: ask route_at(). */
bool route_native(int dir, const char *path);

/* true: ours, *r is set and the thread is inside the guard until route_put().
 * false: libc's, nothing to undo. */
bool route_at(struct route *r, int dir, const char *path);

/* The same for a second path while the first is held: fills loc only.  1 ours, 0 libc's. */
int route_second(struct route *r, int dir, const char *path, struct vfs_loc *loc);

/* Leaves the guard.  true when rc is VFS_ESCAPE: the caller makes the libc call on r->loc.native
 * with AT_FDCWD instead. */
bool route_put(struct route *r, long rc);

/* Is (dir, path) an object of ours?  For callers that only refuse. */
bool route_is_ours(int dir, const char *path);

/* --- prefix and current directory, for init.c and wrap_cwd.c ------------------------------------
 */

/* prefix: absolute, normalised; copied.  "/" or "" turns routing off. */
void route_set_prefix(const char *prefix);
const char *route_prefix(void);
void route_cwd_ours(uint64_t ino);
void route_cwd_native(void); /* changed to some native directory: its path is asked when needed */

#endif
