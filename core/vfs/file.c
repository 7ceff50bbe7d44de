/*
 * file.c - opening files: the volume's inode behind a staging file.
 *
 * At open nothing is copied: bytes stay in the volume (`published` = length) until somebody writes
 * among them or uses the descriptor past our wrappers.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a request found, for the slot. */
struct opened {
    struct attr attr;
    bool emptied;        /* by O_TRUNC */
    uint32_t slot_flags; /* to set */
    uint64_t asked;      /* staging_now() before the request */
};

/* Slot locked.  What open(2) learned is out of date when a process of this host committed since:
 * filled with that, the file would lose what was appended. */
static int fill_with_news(struct vfs *v, uint32_t number, enum staging_how how, struct opened *o,
                          int fd, int flags)
{
    struct slot *s = staging_slot(v->staging, number);
    struct vfs_loc loc;
    struct vfs_stat news;

    loc_inode(&loc, s->ino);
    if (staging_changed_since(v->staging, s->ino, o->asked) && (s->flags & SLOT_GONE) == 0 &&
        vfs_stat(v, &loc, true, &news) == 0) {
        content_forget(v, s->ino);
        o->attr = news.attr;
        o->emptied = false;
    }
    if (reads_begin(v->staging, number, fd, flags, how, &o->attr))
        return 0;
    return slot_fill(v, number, how, o->emptied, &o->attr);
}

static int open_staged(struct vfs *v, uint64_t ino, int flags, struct opened *o, struct vfs_fd *out)
{
    struct staging_owner owner;
    enum staging_how how;
    uint32_t number;

    staging_enter(v->staging, &owner);
    int fd = staging_hold(v->staging, ino, flags, &number, &how);
    if (fd >= 0) {
        struct slot *s = staging_slot(v->staging, number);
        slot_lock(s);
        int rc = fill_with_news(v, number, how, o, fd, flags);
        s->flags |= o->slot_flags;
        if (rc == 0)
            lane_begin(v->staging, number, fd, flags);
        slot_unlock(s);
        *out = (struct vfs_fd){.ino = ino, .slot = number, .gen = s->gen, .kind = VFS_FILE};
        out->readable = (flags & O_ACCMODE) != O_WRONLY;
        out->writable = (flags & O_ACCMODE) != O_RDONLY;
        out->append = (flags & O_APPEND) != 0;
        if (rc < 0) {
            close(fd);
            staging_release(v->staging, number, s->gen);
            fd = rc;
        }
    }
    staging_leave(&owner);
    return fd;
}

static int open_tmpfile(struct vfs *v, struct vfs_loc *loc, int flags, mode_t mode,
                        struct vfs_fd *out)
{
    struct request r;
    uint64_t ino;

    if ((flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    request_init(v, &r, OP_LOOKUP, loc);
    r.op.flags = OPF_DIRECTORY;
    r.op.valid = W_OK | X_OK;
    int rc = request_call(v, &r, loc);
    if (rc == 0)
        rc = vfs_take_inode(v, &ino);
    if (rc == 0) {
        struct attr a = {.type = TYPE_FILE, .nlink = 0, .parent = r.res.ino};
        a.mode = meta_new_mode(&r.op.cred, &r.res.attr, TYPE_FILE, (uint16_t)(mode & 07777),
                               vfs_umask(v));
        a.uid = r.op.cred.uid;
        a.gid = (r.res.attr.mode & S_ISGID) != 0 ? r.res.attr.gid : r.op.cred.gid;
        a.atime = a.mtime = a.ctime = clock_now();
        struct opened o = {.attr = a, .emptied = true, .asked = UINT64_MAX};
        /* O_EXCL: it shall never get a name. */
        o.slot_flags = (flags & O_EXCL) != 0 ? SLOT_GONE : SLOT_GONE | SLOT_TMPFILE;
        rc = open_staged(v, ino, flags, &o, out);
    }
    request_fini(&r);
    return rc;
}

/* Opening one waits for the other end, with signals and without a lock: the caller's business.  Who
 * acts as another user does not come into the staging area: he gets it opened here. */
static int open_fifo(struct vfs *v, uint64_t ino, const struct attr *a, int flags,
                     struct vfs_loc *loc)
{
    struct staging_owner owner;
    staging_enter(v->staging, &owner);
    int rc = staging_fifo(v->staging, ino, a->mode & 0777, loc->native, sizeof loc->native);
    if (rc == 0 && owner.switched) {
        rc = open(loc->native, (flags & STAGING_FLAGS) | O_NONBLOCK);
        if (rc >= 0 && (flags & O_NONBLOCK) == 0)
            fcntl(rc, F_SETFL, flags & (O_APPEND | O_SYNC | O_DSYNC));
        rc = rc < 0 ? -errno : rc;
        staging_leave(&owner);
        return rc;
    }
    staging_leave(&owner);
    return rc == 0 ? VFS_ESCAPE : rc;
}

static int open_other(struct vfs *v, uint64_t ino, const struct attr *a, int flags,
                      struct vfs_loc *loc, struct vfs_fd *out)
{
    struct staging_owner owner;
    int fd;

    if (a->type == TYPE_FIFO && (flags & O_PATH) == 0) {
        out->ino = 0; /* a native one from here on */
        return open_fifo(v, ino, a, flags, loc);
    }

    staging_enter(v->staging, &owner);
    if (a->type == TYPE_DIRECTORY) {
        out->kind = VFS_DIR;
        fd = staging_open_dir(v->staging, ino, flags & (O_CLOEXEC | O_NONBLOCK | (flags & O_PATH)),
                              &out->made);
    } else if ((flags & O_PATH) != 0) {
        out->kind = VFS_PATH;
        fd = staging_open_marker(v->staging, ino, O_PATH | (flags & O_CLOEXEC));
    } else {
        fd = a->type == TYPE_SYMLINK ? -ELOOP : a->type == TYPE_SOCKET ? -ENXIO : -EACCES;
    }
    staging_leave(&owner);
    return fd;
}

static uint32_t open_op_flags(int flags)
{
    static const struct {
        int flag;
        uint32_t op;
    } map[] = {{O_CREAT, OPF_CREATE},  {O_EXCL, OPF_EXCL},           {O_TRUNC, OPF_TRUNC},
               {O_APPEND, OPF_APPEND}, {O_DIRECTORY, OPF_DIRECTORY}, {O_NOFOLLOW, OPF_NOFOLLOW},
               {O_PATH, OPF_OPATH}};
    uint32_t out = 0;
    if ((flags & O_PATH) != 0)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
    if ((flags & O_CREAT) == 0)
        flags &= ~O_EXCL;
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        if ((flags & map[i].flag) != 0)
            out |= map[i].op;
    }
    return out;
}

static uint32_t open_access(int flags)
{
    if ((flags & O_PATH) != 0)
        return 0;
    uint32_t want = (flags & O_ACCMODE) == O_RDONLY   ? R_OK
                    : (flags & O_ACCMODE) == O_WRONLY ? W_OK
                                                      : R_OK | W_OK;
    return (flags & O_TRUNC) != 0 ? want | W_OK : want;
}

int vfs_open(struct vfs *v, struct vfs_loc *loc, int flags, mode_t mode, struct vfs_fd *out)
{
    struct request r;
    uint64_t fresh = 0;

    memset(out, 0, sizeof *out);
    if ((flags & O_TMPFILE) == O_TMPFILE && (flags & O_PATH) == 0)
        return open_tmpfile(v, loc, flags, mode, out);
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) && (flags & O_PATH) == 0)
        return -EINVAL;
    int rc = (flags & O_CREAT) != 0 ? vfs_ready_to_make(v) : vfs_ready(v);
    if (rc < 0)
        return rc;
    uint64_t asked = staging_now(v->staging);
    request_init(v, &r, OP_OPEN, loc);
    r.op.flags = open_op_flags(flags);
    r.op.valid = open_access(flags);
    if ((r.op.flags & OPF_CREATE) != 0) {
        rc = vfs_take_inode(v, &fresh);
        if (rc < 0)
            return rc;
        r.op.ino = fresh;
        r.op.mode = (uint32_t)TYPE_FILE << 12 | (mode & 07777);
        r.op.umask = vfs_umask(v);
    }
    if (r.op.cred.uid != 0)
        r.op.flags |= OPF_KILLPRIV;
    rc = request_call(v, &r, loc);
    bool created = rc == 0 && (r.res.rflags & OPR_CREATED) != 0;
    if (fresh != 0 && !created && rc != -EIO) /* -EIO: it may be in use after all */
        vfs_put_inode(v, r.op.ino);
    if (rc == 0 && !r.res.has_attr)
        rc = -EIO;
    if (rc == 0) {
        const struct attr *a = &r.res.attr;
        out->ino = r.res.ino;
        if (a->type == TYPE_FILE && (flags & O_PATH) == 0) {
            if (a->length > 0)
                content_hint(v, r.res.ino, a->mtime, 0, r.res.extra.data, r.res.extra.len);
            struct opened o = {.attr = *a, .asked = asked};
            /* Not when it was made just now: others may have opened and written it before we get
             * its slot, and a slot without them begins empty anyway. */
            o.emptied = !created && (flags & O_TRUNC) != 0;
            rc = open_staged(v, r.res.ino, flags, &o, out);
        } else {
            rc = open_other(v, r.res.ino, a, flags, loc, out);
        }
    }
    request_fini(&r);
    return rc;
}
