/*
 * files.c - see files.h.
 */
#include "preload/files.h"

#include "preload/fdtab.h"
#include "preload/log.h"
#include "preload/maps.h"
#include "preload/real.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void files_lost(const struct vfs_fd *f, long rc)
{
    if (rc < 0)
        log_line("inode %llu: what was written is not in the volume: %s",
                 (unsigned long long)f->ino, strerror((int)-rc));
}

/* The first error; told: each one is said, and what is borrowed is left to who lent it. */
static int commit_all(struct vfs *v, bool told)
{
    struct vfs_fd f;
    int rc = maps_commit_all(v);

    for (int fd = fdtab_next(0); fd >= 0; fd = fdtab_next(fd + 1)) {
        if (!fdtab_get(fd, &f) || !f.writable || (told && f.borrowed))
            continue;
        int one = vfs_commit(v, fd, &f);
        if (told)
            files_lost(&f, one);
        if (rc == 0)
            rc = one;
    }
    return rc;
}

int files_commit_all(struct vfs *v)
{
    return commit_all(v, false);
}

void files_commit_own(struct vfs *v)
{
    commit_all(v, true);
}

bool files_inherit(struct vfs *v)
{
    struct vfs_fd f;
    bool any = false;

    for (int fd = fdtab_next(0); fd >= 0; fd = fdtab_next(fd + 1)) {
        if (!fdtab_get(fd, &f))
            continue;
        vfs_settle(v, &f); /* the child may put it on another number */
        int flags = REAL(fcntl)(fd, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC) != 0)
            continue;
        any = true;
        vfs_direct(v, fd, &f, VFS_USE_DIRECT);
    }
    return any;
}

void files_landed(struct vfs *v, int from, int to)
{
    struct vfs_fd f;

    fdtab_copy(from, to);
    if (fdtab_get(to, &f))
        vfs_settle(v, &f); /* two numbers share the offset */
    if (to <= STDERR_FILENO && fdtab_get(to, &f))
        vfs_direct(v, to, &f, VFS_USE_DIRECT);
}

bool files_is_open(const struct vfs_fd *f)
{
    struct vfs_fd other;

    for (int fd = fdtab_next(0); fd >= 0; fd = fdtab_next(fd + 1))
        if (fdtab_get(fd, &other) && other.kind == f->kind && other.slot == f->slot &&
            other.gen == f->gen)
            return true;
    return false;
}

void files_leave(struct vfs *v)
{
    struct vfs_fd f;

    maps_commit_all(v);
    for (int fd = fdtab_next(0); fd >= 0; fd = fdtab_next(fd + 1)) {
        if (fdtab_take(fd, &f))
            files_lost(&f, vfs_leave(v, fd, &f));
    }
}

void files_close(struct vfs *v, int fd)
{
    struct vfs_fd f;

    if (fdtab_take(fd, &f))
        files_lost(&f, vfs_close(v, fd, &f));
}
