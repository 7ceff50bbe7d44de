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
    int fd; /* the descriptor of ours that is meant (AT_EMPTY_PATH, /proc/self/fd/N), else -1 */
    struct vfs_fd f; /* what fd is */
    struct vfs_loc loc;
    struct call call;
};

/* Inode of the current directory when it is one of ours; 0: native. */
extern _Atomic uint64_t route_cwd;

/* Plainly libc's?  No lock, no allocation, no system call.  false: ask route_at(). */
bool route_native(int dir, const char *path);

/* true: ours, *r is set and the thread is inside the guard until route_put().
 * false: libc's, nothing to undo. */
bool route_at(struct route *r, int dir, const char *path);

/* The same for calls that follow a last component that is a symlink: /proc/self/fd/N and /dev/fd/N
 * themselves are then the open object, not a link of the kernel's. */
bool route_follow(struct route *r, int dir, const char *path);

/* As the *at calls with flags have it: AT_SYMLINK_NOFOLLOW, and AT_EMPTY_PATH with an empty path
 * (or NULL) for dir itself.  loc is set in any case, fd too where dir is a descriptor of ours. */
bool route_flags(struct route *r, int dir, const char *path, int flags);
bool route_native_flags(int dir, const char *path, int flags);

/* The object that dir is itself: a descriptor of ours, or AT_FDCWD in a directory of ours. */
bool route_base(struct route *r, int dir);

/* Only finds out: fills loc, takes nothing.  For the second path of a call. */
bool route_find(int dir, const char *path, struct vfs_loc *loc);

/* Leaves the guard.  true when rc is VFS_ESCAPE: the caller goes on with r->loc.native, an absolute
 * path, as if it had been given that: it may even be ours again.  At most ROUTE_CLIMBS times. */
#define ROUTE_CLIMBS 8
bool route_put(struct route *r, long rc);

/* The native path behind VFS_ESCAPE, as the kernel can walk it.  For a second path. */
const char *route_climb(struct vfs_loc *loc);

/* Does the absolute path lead below the prefix, by its text alone?  Also inside a guard. */
bool route_below(const char *path, struct vfs_loc *loc);

/* For callers that only refuse, or choose between two ways. */
bool route_is_ours(int dir, const char *path);

/* N when path is /proc/self/fd/N, /dev/fd/N or a kin of them, else -1. */
int route_magic_fd(const char *path);

/* --- prefix and current directory, for init.c and wrap_cwd.c ------------------------------------
 */

/* An absolute path that is not "/"; copied and normalised.  false: not fit, nothing is served. */
bool route_set_prefix(const char *path);
const char *route_prefix(void); /* normalised; "" when nothing is served */

#endif
