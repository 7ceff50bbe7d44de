/*
 * wrap_dir.c - directory streams and getdents.
 *
 * Whether a DIR is ours is seen from its descriptor first: a process that lists native directories
 * takes no lock for them.
 */
#include "preload/preload.h"

#include "preload/listing.h"
#include "preload/open.h"

#include <dirent.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool may_be_ours(DIR *dir)
{
    return dir != NULL && fdtab_may(dirfd(dir)) && !guard_inside();
}

/* --- open and close ------------------------------------------------------------------------------
 */

/* libc's stream on a descriptor of ours, and the listing for it.  fd stays open on failure. */
static long attach(struct vfs *v, int fd, const struct vfs_fd *f, DIR **out)
{
    struct listing *s;
    int rc = listing_make(v, fd, f->ino, &s);

    *out = NULL;
    if (rc < 0)
        return rc;
    *out = REAL(fdopendir)(fd);
    if (*out == NULL) {
        rc = -errno;
        listing_drop(s);
        return rc;
    }
    listing_publish(s, *out);
    return 0;
}

static long open_stream(struct route *at, DIR **out)
{
    struct vfs_fd f;
    long fd = open_volume(at->v, &at->loc, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, &f);

    if (fd < 0)
        return fd;
    long rc = attach(at->v, (int)fd, &f, out);
    if (rc < 0) {
        fdtab_take((int)fd, NULL);
        vfs_close(at->v, (int)fd, &f);
    }
    return rc;
}

SLOW DIR *opendir_ours(const char *path)
{
    struct route at;
    DIR *out = NULL;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_follow(&at, AT_FDCWD, path))
            return REAL(opendir)(path);
        long rc = at.err ? at.err : open_stream(&at, &out);
        if (!route_put(&at, rc))
            return rc < 0 ? to_libc_null(rc) : out;
        path = at.loc.native;
    }
    return to_libc_null(-ELOOP);
}

EXPORT DIR *opendir(const char *path)
{
    if (route_native(AT_FDCWD, path))
        return REAL(opendir)(path);
    return ROOM(opendir_ours, path);
}

SLOW DIR *fdopendir_ours(int fd)
{
    struct vfs_fd f;
    struct call c;
    DIR *out;

    if (guard_inside() || !fdtab_may(fd) || !fdtab_get(fd, &f) || f.kind != VFS_DIR)
        return REAL(fdopendir)(fd);
    call_begin(&c);
    long rc = c.err ? c.err : attach(c.v, fd, &f, &out);
    call_end(&c);
    return rc < 0 ? to_libc_null(rc) : out;
}

EXPORT DIR *fdopendir(int fd)
{
    return ROOM(fdopendir_ours, fd);
}

SLOW int closedir_ours(DIR *dir)
{
    struct vfs_fd f;
    struct call c;

    if (!may_be_ours(dir))
        return REAL(closedir)(dir);
    call_begin(&c);
    listing_remove(dir);
    bool ours = fdtab_take(dirfd(dir), &f);
    int rc = REAL(closedir)(dir);
    if (rc < 0)
        rc = -errno;
    if (ours && c.v != NULL)
        vfs_release(c.v, &f);
    call_end(&c);
    return (int)to_libc(rc);
}

EXPORT int closedir(DIR *dir)
{
    return ROOM(closedir_ours, dir);
}

/* --- read and seek -------------------------------------------------------------------------------
 */

/* The stream of dir, locked inside a guard until leave(); NULL, with nothing to undo, when it is
 * libc's. */
static struct listing *enter(DIR *dir, struct call *c)
{
    if (!may_be_ours(dir))
        return NULL;
    call_begin(c);
    struct listing *s = c->v != NULL ? listing_get(dir) : NULL;
    if (s == NULL)
        call_end(c);
    return s;
}

static void leave(struct listing *s, struct call *c)
{
    listing_put(s);
    call_end(c);
}

SLOW struct dirent *readdir_ours(DIR *dir)
{
    struct call c;
    struct listing *s = enter(dir, &c);

    if (s == NULL)
        return REAL(readdir)(dir);
    int rc = listing_read(s, s->pos, &s->entry);
    s->pos += rc > 0;
    leave(s, &c);
    if (rc < 0)
        return to_libc_null(rc);
    return rc > 0 ? &s->entry : NULL;
}

EXPORT struct dirent *readdir(DIR *dir)
{
    return ROOM(readdir_ours, dir);
}

/* readdir_r and readdir64_r are deprecated for their callers, not for us. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

SLOW int readdir_r_ours(DIR *dir, struct dirent *entry, struct dirent **out)
{
    struct call c;
    struct listing *s = enter(dir, &c);

    if (s == NULL)
        return REAL(readdir_r)(dir, entry, out);
    int rc = listing_read(s, s->pos, entry);
    s->pos += rc > 0;
    leave(s, &c);
    *out = rc > 0 ? entry : NULL;
    return rc < 0 ? -rc : 0;
}

EXPORT int readdir_r(DIR *dir, struct dirent *entry, struct dirent **out)
{
    return ROOM(readdir_r_ours, dir, entry, out);
}

SLOW void rewinddir_ours(DIR *dir)
{
    struct call c;
    struct listing *s = enter(dir, &c);

    if (s == NULL) {
        REAL(rewinddir)(dir);
        return;
    }
    s->pos = 0;
    vfs_dir_rewind(s->dir);
    leave(s, &c);
}

EXPORT void rewinddir(DIR *dir)
{
    ROOM(rewinddir_ours, dir);
}

SLOW void seekdir_ours(DIR *dir, long pos)
{
    struct call c;
    struct listing *s = enter(dir, &c);

    if (s == NULL) {
        REAL(seekdir)(dir, pos);
        return;
    }
    s->pos = pos > 0 ? (size_t)pos : 0;
    leave(s, &c);
}

EXPORT void seekdir(DIR *dir, long pos)
{
    ROOM(seekdir_ours, dir, pos);
}

SLOW long telldir_ours(DIR *dir)
{
    struct call c;
    struct listing *s = enter(dir, &c);

    if (s == NULL)
        return REAL(telldir)(dir);
    long pos = (long)s->pos;
    leave(s, &c);
    return pos;
}

EXPORT long telldir(DIR *dir)
{
    return ROOM(telldir_ours, dir);
}

/* --- by descriptor -------------------------------------------------------------------------------
 */

/* As many entries as fit.  A first one that does not fit is -EINVAL, as the kernel has it. */
static long fill(struct listing *s, size_t *pos, char *buf, size_t len)
{
    struct dirent e;
    size_t used = 0;
    int rc;

    while ((rc = listing_read(s, *pos, &e)) > 0) {
        if (e.d_reclen > len - used)
            break;
        memcpy(buf + used, &e, e.d_reclen);
        used += e.d_reclen;
        ++*pos;
    }
    if (used > 0)
        return (long)used;
    return rc > 0 ? -EINVAL : rc;
}

static long getdents(struct vfs *v, int fd, const struct vfs_fd *f, char *buf, size_t len,
                     off_t *from)
{
    struct listing *s;
    int err;

    if (f->kind != VFS_DIR)
        return -ENOTDIR;
    off_t at = REAL(lseek)(fd, 0, SEEK_CUR);
    if (at < 0)
        return -errno; /* O_PATH: EBADF */
    if ((s = listing_of_fd(v, fd, f->ino, &err)) == NULL)
        return err;
    if (at == 0)
        vfs_dir_rewind(s->dir);
    size_t pos = (size_t)at;
    long rc = fill(s, &pos, buf, len);
    listing_put(s);
    if (rc > 0 && REAL(lseek)(fd, (off_t)pos, SEEK_SET) < 0)
        rc = -errno;
    if (from != NULL)
        *from = at;
    return rc;
}

/* clang-format off */
FD_CALL(ssize_t, getdents64, (int fd, void *buf, size_t len), (fd, buf, len), getdents(c.v, fd, &f, buf, len, NULL))
FD_CALL(ssize_t, getdirentries, (int fd, char *restrict buf, size_t len, off_t *restrict from), (fd, buf, len, from),
        getdents(c.v, fd, &f, buf, len, from))
/* clang-format on */
