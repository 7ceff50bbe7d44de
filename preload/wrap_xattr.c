/*
 * wrap_xattr.c - extended attributes.  By descriptor they are those of the inode that is open.
 */
#include "preload/preload.h"

#include <sys/xattr.h>

/* A descriptor made with O_PATH only names the file: -EBADF. */
static int loc_of(const struct vfs_fd *f, struct vfs_loc *loc)
{
    loc->base = f->ino;
    loc->path = "";
    return f->kind == VFS_PATH ? -EBADF : 0;
}

#define BY_FD(call)                                                                                \
    struct vfs_loc loc;                                                                            \
    long rc = loc_of(f, &loc);                                                                     \
    return rc != 0 ? rc : (call)

static long get_fd(struct vfs *v, const struct vfs_fd *f, const char *name, void *out, size_t len)
{
    BY_FD(vfs_getxattr(v, &loc, true, name, out, len));
}

static long list_fd(struct vfs *v, const struct vfs_fd *f, char *out, size_t len)
{
    BY_FD(vfs_listxattr(v, &loc, true, out, len));
}

static long set_fd(struct vfs *v, const struct vfs_fd *f, const char *name, const void *value,
                   size_t len, int flags)
{
    BY_FD(vfs_setxattr(v, &loc, true, name, value, len, flags));
}

static long remove_fd(struct vfs *v, const struct vfs_fd *f, const char *name)
{
    BY_FD(vfs_removexattr(v, &loc, true, name));
}

/* clang-format off */
FOLLOW_CALL(ssize_t, getxattr, (const char *path, const char *name, void *out, size_t len), (path, name, out, len),
            vfs_getxattr(at.v, &at.loc, false, name, out, len))
PATH_CALL(ssize_t, lgetxattr, (const char *path, const char *name, void *out, size_t len), (path, name, out, len),
          vfs_getxattr(at.v, &at.loc, true, name, out, len))
FD_CALL(ssize_t, fgetxattr, (int fd, const char *name, void *out, size_t len), (fd, name, out, len),
        get_fd(c.v, &f, name, out, len))

FOLLOW_CALL(ssize_t, listxattr, (const char *path, char *out, size_t len), (path, out, len),
            vfs_listxattr(at.v, &at.loc, false, out, len))
PATH_CALL(ssize_t, llistxattr, (const char *path, char *out, size_t len), (path, out, len),
          vfs_listxattr(at.v, &at.loc, true, out, len))
FD_CALL(ssize_t, flistxattr, (int fd, char *out, size_t len), (fd, out, len),
        list_fd(c.v, &f, out, len))

FOLLOW_CALL(int, setxattr, (const char *path, const char *name, const void *value, size_t len, int flags),
            (path, name, value, len, flags), vfs_setxattr(at.v, &at.loc, false, name, value, len, flags))
PATH_CALL(int, lsetxattr, (const char *path, const char *name, const void *value, size_t len, int flags),
          (path, name, value, len, flags), vfs_setxattr(at.v, &at.loc, true, name, value, len, flags))
FD_CALL(int, fsetxattr, (int fd, const char *name, const void *value, size_t len, int flags),
        (fd, name, value, len, flags), set_fd(c.v, &f, name, value, len, flags))

FOLLOW_CALL(int, removexattr, (const char *path, const char *name), (path, name),
            vfs_removexattr(at.v, &at.loc, false, name))
PATH_CALL(int, lremovexattr, (const char *path, const char *name), (path, name),
          vfs_removexattr(at.v, &at.loc, true, name))
FD_CALL(int, fremovexattr, (int fd, const char *name), (fd, name),
        remove_fd(c.v, &f, name))
/* clang-format on */
