/*
 * preload.h - what every wrap_*.c includes, and the two shapes of a wrapper.
 *
 * Three names per call: ours vfs_x, libc's REAL(x), exported x.  An exported function is a thin
 * shell: plainly not ours -> tail call to libc.  The rest is in a function of its own, x_ours, so
 * that the big frame (struct route holds a path) is only paid for by paths of ours.
 *
 * PATH_CALL:   by path.  The parameter must be named `path`; `args` repeats the call.  `ours` sees
 *              at.v and at.loc and gives >= 0 or -errno.
 * FOLLOW_CALL: the same for calls that follow a symlink at the end of path.
 * AT_CALL:     by (dir, path).
 * FLAGS_CALL:  by (dir, path, flags) with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH; at.fd >= 0 when
 *              the object is that descriptor.
 * FD_CALL:     by descriptor.  The parameter must be named `fd`.  `ours` sees c.v, f and fd.  One
 *              of the volume's own is EBADF.
 * IN_CALL, OUT_CALL: the same for calls that bring bytes in or send them out (tell.h).
 *
 * A call that differs in a step is written out by hand; the macros never grow a flag.
 */
#ifndef JFSPRE_PRELOAD_PRELOAD_H
#define JFSPRE_PRELOAD_PRELOAD_H

#include "core/vfs/vfs.h"
#include "preload/fdtab.h"
#include "preload/guard.h"
#include "preload/init.h"
#include "preload/libc_old.h"
#include "preload/real.h"
#include "preload/room.h"
#include "preload/route.h"
#include "preload/tell.h"
#include "preload/to_libc.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ROOM_LIST(...) __VA_ARGS__ /* what parentheses hold */

#define EXPORT __attribute__((visibility("default")))
#define SLOW   static __attribute__((noinline))

/* One of the volume's own descriptors, which do not exist for the program. */
static inline bool is_hidden(int fd)
{
    return volume_if_any() != NULL && !guard_inside() && fdtab_is_own(fd);
}

/* clang-format off */
#define PATH_CALL_(is_libcs, router, ret, name, params, args, climb, ours) \
    SLOW ret name##_ours params                                       \
    {                                                                 \
        struct route at;                                              \
        for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {       \
            if (!(router))                                            \
                return REAL(name) args;                               \
            long rc = at.err ? at.err : (long)(ours);                 \
            if (!route_put(&at, rc))                                  \
                return (ret)to_libc(rc);                              \
            climb;                                                    \
            path = at.loc.native;                                     \
        }                                                             \
        return (ret)to_libc(-ELOOP);                                  \
    }                                                                 \
    EXPORT ret name params                                            \
    {                                                                 \
        if (is_libcs)                                                 \
            return REAL(name) args;                                   \
        return ROOM(name##_ours, ROOM_LIST args);                     \
    }
#define PATH_CALL(ret, name, params, args, ours) \
    PATH_CALL_(route_native(AT_FDCWD, path), route_at(&at, AT_FDCWD, path), ret, name, params, args, , ours)
#define FOLLOW_CALL(ret, name, params, args, ours) \
    PATH_CALL_(route_native(AT_FDCWD, path), route_follow(&at, AT_FDCWD, path), ret, name, params, args, , ours)
#define AT_CALL(ret, name, params, args, ours) \
    PATH_CALL_(route_native(dir, path), route_at(&at, dir, path), ret, name, params, args, dir = AT_FDCWD, ours)
#define FLAGS_CALL(ret, name, params, args, ours) \
    PATH_CALL_(route_native_flags(dir, path, flags), route_flags(&at, dir, path, flags), ret, name, params, args, \
               dir = AT_FDCWD, ours)

#define FD_CALL_(ret, name, params, args, ours, native)               \
    SLOW ret name##_ours params                                       \
    {                                                                 \
        struct vfs_fd f;                                              \
        struct call c;                                                \
        if (guard_inside() || !fdtab_get(fd, &f))                     \
            return REAL(name) args;                                   \
        call_begin(&c);                                               \
        long rc = c.err ? c.err : (long)(ours);                       \
        call_end(&c);                                                 \
        return (ret)to_libc(rc);                                      \
    }                                                                 \
    EXPORT ret name params                                            \
    {                                                                 \
        if (fdtab_may(fd))                                            \
            return ROOM(name##_ours, ROOM_LIST args);                 \
        if (is_hidden(fd))                                            \
            return (ret)to_libc(-EBADF);                              \
        return native;                                                \
    }
#define FD_CALL(ret, name, params, args, ours) FD_CALL_(ret, name, params, args, ours, REAL(name) args)
#define IN_CALL(ret, name, params, args, ours) \
    FD_CALL_(ret, name, params, args, ours, heard_from(fd, REAL(name) args))
#define OUT_CALL(ret, name, params, args, ours) \
    FD_CALL_(ret, name, params, args, ours, (tell_through(fd), REAL(name) args))
/* clang-format on */

#endif
