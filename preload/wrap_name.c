/*
 * wrap_name.c - calls that make, remove and move names.
 *
 * Two paths on different sides of the prefix are on different file systems: EXDEV, as between
 * mounts, upon which mv and ln copy or tell.
 */
#include "preload/preload.h"

#include <stdio.h>
#include <sys/stat.h>

static long unlinkat_flags(struct route *at, int flags)
{
    if ((flags & ~AT_REMOVEDIR) != 0)
        return -EINVAL;
    return flags != 0 ? vfs_rmdir(at->v, &at->loc) : vfs_unlink(at->v, &at->loc);
}

static long remove_any(struct route *at)
{
    long rc = vfs_unlink(at->v, &at->loc);

    return rc == -EISDIR ? vfs_rmdir(at->v, &at->loc) : rc;
}

/* clang-format off */
PATH_CALL(int, unlink, (const char *path), (path), vfs_unlink(at.v, &at.loc))
AT_CALL(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), unlinkat_flags(&at, flags))
PATH_CALL(int, rmdir, (const char *path), (path), vfs_rmdir(at.v, &at.loc))
PATH_CALL(int, remove, (const char *path), (path), remove_any(&at))

PATH_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), vfs_mkdir(at.v, &at.loc, mode))
AT_CALL(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), vfs_mkdir(at.v, &at.loc, mode))

PATH_CALL(int, mknod, (const char *path, mode_t mode, dev_t dev), (path, mode, dev), vfs_mknod(at.v, &at.loc, mode, dev))
AT_CALL(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev), (dir, path, mode, dev), vfs_mknod(at.v, &at.loc, mode, dev))
PATH_CALL(int, __xmknod, (int ver, const char *path, mode_t mode, dev_t *dev), (ver, path, mode, dev),
          ver == 0 ? vfs_mknod(at.v, &at.loc, mode, *dev) : -EINVAL)
AT_CALL(int, __xmknodat, (int ver, int dir, const char *path, mode_t mode, dev_t *dev), (ver, dir, path, mode, dev),
             ver == 0 ? vfs_mknod(at.v, &at.loc, mode, *dev) : -EINVAL)
PATH_CALL(int, mkfifo, (const char *path, mode_t mode), (path, mode), vfs_mknod(at.v, &at.loc, (mode & 07777) | S_IFIFO, 0))
AT_CALL(int, mkfifoat, (int dir, const char *path, mode_t mode), (dir, path, mode), vfs_mknod(at.v, &at.loc, (mode & 07777) | S_IFIFO, 0))

PATH_CALL(int, symlink, (const char *target, const char *path), (target, path), vfs_symlink(at.v, target, &at.loc))
AT_CALL(int, symlinkat, (const char *target, int dir, const char *path), (target, dir, path), vfs_symlink(at.v, target, &at.loc))
/* clang-format on */

/* --- rename ------------------------------------------------------------------------------------
 */

/* true: the path leaves the volume (through `..` or a symlink), loc->native says where to. */
static bool climbs(struct vfs *v, struct vfs_loc *loc)
{
    struct vfs_stat st;

    return vfs_stat(v, loc, true, &st) == VFS_ESCAPE;
}

SLOW long rename_ours(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    struct vfs_loc target;
    struct route at;
    bool to_ours = route_find(to_dir, to, &target), both_climb = false;

    if (!route_at(&at, from_dir, from))
        return -EXDEV;
    long rc = at.err;
    if (rc == 0)
        rc = to_ours ? vfs_rename(at.v, &at.loc, &target, flags) : -EXDEV;
    if (rc == VFS_ESCAPE)
        both_climb = climbs(at.v, &at.loc) && climbs(at.v, &target);
    if (!route_put(&at, rc))
        return rc;
    if (!both_climb)
        return -EXDEV;
    rc = REAL(renameat2)(AT_FDCWD, at.loc.native, AT_FDCWD, route_climb(&target), flags);
    return rc < 0 ? -errno : rc;
}

static bool both_native(int from_dir, const char *from, int to_dir, const char *to)
{
    return !route_is_ours(from_dir, from) && !route_is_ours(to_dir, to);
}

EXPORT int rename(const char *from, const char *to)
{
    if (both_native(AT_FDCWD, from, AT_FDCWD, to))
        return REAL(rename)(from, to);
    return (int)to_libc(ROOM(rename_ours, AT_FDCWD, from, AT_FDCWD, to, 0));
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (both_native(from_dir, from, to_dir, to))
        return REAL(renameat)(from_dir, from, to_dir, to);
    return (int)to_libc(ROOM(rename_ours, from_dir, from, to_dir, to, 0));
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (both_native(from_dir, from, to_dir, to))
        return REAL(renameat2)(from_dir, from, to_dir, to, flags);
    return (int)to_libc(ROOM(rename_ours, from_dir, from, to_dir, to, flags));
}

/* --- link --------------------------------------------------------------------------------------
 */

/* A file that is open here, by descriptor: linkat(fd, "", AT_EMPTY_PATH), or by the kernel's link
 * to it: linkat("/proc/self/fd/N", AT_SYMLINK_FOLLOW), the way to give an O_TMPFILE file a name. */
static int link_source_fd(int dir, const char *path, int flags)
{
    if ((flags & AT_EMPTY_PATH) != 0 && *path == '\0')
        return fdtab_may(dir) ? dir : -1;
    int fd = (flags & AT_SYMLINK_FOLLOW) != 0 && *path == '/' ? route_magic_fd(path) : -1;
    return fd >= 0 && fdtab_may(fd) ? fd : -1;
}

SLOW long linkat_ours(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int fd = link_source_fd(from_dir, from, flags);
    struct vfs_loc source;
    struct vfs_fd f;
    struct route at;
    bool from_ours = fd >= 0 ? fdtab_get(fd, &f) : route_find(from_dir, from, &source);
    bool both_climb = false;

    if (!route_at(&at, to_dir, to))
        return -EXDEV;
    long rc = at.err;
    if (rc == 0 && (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
        rc = -EINVAL;
    else if (rc == 0 && !from_ours)
        rc = -EXDEV;
    else if (rc == 0 && fd >= 0)
        rc = vfs_link_fd(at.v, fd, &f, &at.loc);
    else if (rc == 0)
        rc = vfs_link(at.v, &source, &at.loc, (flags & AT_SYMLINK_FOLLOW) != 0);
    if (rc == VFS_ESCAPE)
        both_climb = fd < 0 && climbs(at.v, &source) && climbs(at.v, &at.loc);
    if (!route_put(&at, rc))
        return rc;
    if (!both_climb)
        return -EXDEV;
    rc = REAL(linkat)(AT_FDCWD, route_climb(&source), AT_FDCWD, at.loc.native, flags);
    return rc < 0 ? -errno : rc;
}

EXPORT int link(const char *from, const char *to)
{
    if (both_native(AT_FDCWD, from, AT_FDCWD, to))
        return REAL(link)(from, to);
    return (int)to_libc(ROOM(linkat_ours, AT_FDCWD, from, AT_FDCWD, to, 0));
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    bool by_fd = atomic_load_explicit(&fdtab_any, memory_order_relaxed) && !guard_inside() &&
                 link_source_fd(from_dir, from, flags) >= 0;

    if (!by_fd && both_native(from_dir, from, to_dir, to))
        return REAL(linkat)(from_dir, from, to_dir, to, flags);
    return (int)to_libc(ROOM(linkat_ours, from_dir, from, to_dir, to, flags));
}
