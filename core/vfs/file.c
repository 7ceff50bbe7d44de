/*
 * file.c - opening, recognising and closing files: the volume's inode behind a staging file.
 *
 * At open nothing is copied: bytes stay in the volume (`published` = length) until somebody writes
 * among them or uses the descriptor past our wrappers.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- content of a slot ------------------------------------------------------------------------ */

static struct moment seen_mtime(const struct slot *s, uint64_t *length)
{
    struct attr a = {0};
    slot_seen_get(s, &a);
    *length = a.length;
    return a.mtime;
}

int slot_hydrate(struct vfs *v, uint32_t number)
{
    struct staging_owner owner;
    struct slot *s = staging_slot(v->staging, number);
    uint64_t length;

    if (s->published == 0)
        return 0;
    struct moment mtime = seen_mtime(s, &length);
    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    struct stat sb;
    int rc = fd < 0 ? fd : fstat(fd, &sb) != 0 ? -errno : 0;
    staging_leave(&owner);
    if (rc == 0) {
        uint64_t n = s->published < (uint64_t)sb.st_size ? s->published : (uint64_t)sb.st_size;
        rc = content_copy(v, s->ino, mtime, 0, n, (s->flags & SLOT_GONE) != 0, fd);
        if (rc == 0) {
            s->published = 0;
            struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, sb.st_mtim};
            futimens(fd, t); /* as dirty or clean as it was */
        }
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    return rc;
}

/* The file's bytes are those of the volume again: none here. */
static int fill_lazy(struct vfs *v, uint32_t number, const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    if (fd < 0)
        return fd;
    int rc = 0;
    struct stat sb;
    if (fstat(fd, &sb) != 0 || (sb.st_size != 0 && ftruncate(fd, 0) != 0) ||
        (a->length != 0 && ftruncate(fd, (off_t)a->length) != 0))
        rc = -errno;
    if (rc == 0) {
        staging_set_clean(fd);
        s->published = a->length;
        s->dirty_lo = UINT64_MAX;
        s->dirty_hi = 0;
        s->flags = (s->flags & (SLOT_DIRECT | SLOT_MAPPED)) | SLOT_FILLED;
        slot_seen_set(s, a);
    }
    staging_close_file(v->staging, number, fd);
    return rc;
}

static bool slot_is_dirty(struct vfs *v, uint32_t number)
{
    struct stat sb;
    return staging_stat(v->staging, number, &sb) == 0 &&
           staging_is_dirty(staging_slot(v->staging, number), &sb);
}

/* Another client changed the file; programs that use ours past the wrappers find the new bytes
 * in place, the others fetch them. */
static int fill_again(struct vfs *v, uint32_t number, const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    bool in_place = (s->flags & (SLOT_DIRECT | SLOT_MAPPED)) != 0;
    int rc = fill_lazy(v, number, a);
    if (rc == 0 && in_place)
        rc = slot_hydrate(v, number);
    return rc;
}

/* Slot locked: makes its file that of attr, as open(2) found it. */
static int slot_fill(struct vfs *v, uint32_t number, enum staging_how how, bool emptied,
                     const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    struct attr seen;

    if (how == STAGING_ABANDONED && (s->flags & SLOT_FILLED) != 0) {
        /* A killed process left it.  What it wrote counts, unless the file was emptied since. */
        if (!emptied && slot_is_dirty(v, number)) {
            int rc = commit_slot(v, number);
            if (rc < 0)
                return rc;
            s->flags &= ~(uint32_t)(SLOT_DIRECT | SLOT_MAPPED);
            return 0;
        }
        s->flags &= ~(uint32_t)(SLOT_DIRECT | SLOT_MAPPED);
    }
    if (emptied || how == STAGING_NEW || (s->flags & SLOT_FILLED) == 0 || !slot_seen_get(s, &seen))
        return fill_lazy(v, number, a);
    if (slot_is_dirty(v, number))
        return 0; /* a writer on this host: its bytes are the newest */
    if (seen.mtime.sec == a->mtime.sec && seen.mtime.nsec == a->mtime.nsec &&
        seen.length == a->length) {
        slot_seen_set(s, a);
        return 0;
    }
    return fill_again(v, number, a);
}

/* What a request found, for the slot. */
struct opened {
    struct attr attr;
    bool emptied;        /* by O_TRUNC, or made just now */
    uint32_t slot_flags; /* to set */
    uint64_t asked;      /* staging_now() before the request */
};

/* --- open ------------------------------------------------------------------------------------- */

#define KERNEL_FLAGS                                                                               \
    (O_ACCMODE | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_SYNC | O_DSYNC | O_LARGEFILE)

/* Slot locked.  What open(2) learned is out of date when a process of this host committed since:
 * filled with that, the file would lose what was appended. */
static int fill_with_news(struct vfs *v, uint32_t number, enum staging_how how,
                          const struct opened *o)
{
    struct slot *s = staging_slot(v->staging, number);
    struct vfs_loc loc = {.base = s->ino, .path = ""};
    struct vfs_stat news;

    if (!staging_changed_since(v->staging, s->ino, o->asked) || (s->flags & SLOT_GONE) != 0 ||
        vfs_stat(v, &loc, true, &news) < 0)
        return slot_fill(v, number, how, o->emptied, &o->attr);
    content_forget(v, s->ino);
    return slot_fill(v, number, how, false, &news.attr);
}

static int open_staged(struct vfs *v, uint64_t ino, int flags, const struct opened *o,
                       struct vfs_fd *out)
{
    struct staging_owner owner;
    enum staging_how how;
    uint32_t number;

    staging_enter(v->staging, &owner);
    int fd = staging_hold(v->staging, ino, flags & KERNEL_FLAGS, &number, &how);
    if (fd >= 0) {
        struct slot *s = staging_slot(v->staging, number);
        slot_lock(s);
        int rc = fill_with_news(v, number, how, o);
        s->flags |= o->slot_flags;
        slot_unlock(s);
        *out = (struct vfs_fd){.ino = ino, .slot = number, .gen = s->gen, .kind = VFS_FILE};
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
        a.mode = (uint16_t)(mode & 07777 & ~vfs_umask(v));
        a.uid = r.op.cred.uid;
        a.gid = (r.res.attr.mode & S_ISGID) != 0 ? r.res.attr.gid : r.op.cred.gid;
        a.atime = a.mtime = a.ctime = clock_now();
        struct opened o = {.attr = a, .emptied = true, .asked = UINT64_MAX};
        o.slot_flags = SLOT_GONE | SLOT_TMPFILE;
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
        rc = open(loc->native, (flags & KERNEL_FLAGS) | O_NONBLOCK);
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
    int rc = vfs_ready(v);
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
        vfs_put_inode(v, fresh);
    if (rc == 0 && !r.res.has_attr)
        rc = -EIO;
    if (rc == 0) {
        const struct attr *a = &r.res.attr;
        out->ino = r.res.ino;
        if (a->type == TYPE_FILE && (flags & O_PATH) == 0) {
            if (a->length > 0)
                content_hint(v, r.res.ino, a->mtime, 0, r.res.extra.data, r.res.extra.len);
            struct opened o = {.attr = *a, .asked = asked};
            o.emptied = created || (flags & O_TRUNC) != 0;
            rc = open_staged(v, r.res.ino, flags, &o, out);
        } else {
            rc = open_other(v, r.res.ino, a, flags, loc, out);
        }
    }
    request_fini(&r);
    return rc;
}

/* --- recognising ------------------------------------------------------------------------------ */

/* The staging area that a descriptor's name tells of; no connection is needed for it. */
static struct staging *staging_of(struct vfs *v, const char *uuid)
{
    char why[400];
    pthread_mutex_lock(&v->lock);
    if (v->staging == NULL &&
        staging_open(v->config.cache_dir, uuid, &v->staging, why, sizeof why) < 0)
        log_at(LOG_ERROR, "%s", why);
    struct staging *st = v->staging;
    pthread_mutex_unlock(&v->lock);
    return st != NULL && strcmp(staging_uuid(st), uuid) == 0 ? st : NULL;
}

static int kind_of_link(struct vfs *v, const char *proc, char uuid[64], uint64_t *number)
{
    char link[PATH_MAX];
    ssize_t n = readlink(proc, link, sizeof link - 1);
    if (n <= 0)
        return 0;
    link[n] = '\0';
    return staging_name_of(link, v->config.cache_dir, uuid, number);
}

int vfs_identify(struct vfs *v, int fd, struct vfs_fd *out)
{
    char proc[64], uuid[64];
    uint64_t number;

    memset(out, 0, sizeof *out);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    int kind = kind_of_link(v, proc, uuid, &number);
    struct staging *st = kind != 0 ? staging_of(v, uuid) : NULL;
    if (st == NULL)
        return 0;
    out->ino = number;
    out->kind = kind == 'd' ? VFS_DIR : VFS_PATH;
    if (kind == 's') {
        struct slot *s = staging_slot(st, (uint32_t)number);
        if (s == NULL || s->ino == 0)
            return 0;
        int fl = fcntl(fd, F_GETFL);
        out->kind = VFS_FILE;
        out->ino = s->ino;
        out->slot = (uint32_t)number;
        out->gen = s->gen;
        out->writable = fl >= 0 && (fl & O_ACCMODE) != O_RDONLY;
        out->append = fl >= 0 && (fl & O_APPEND) != 0;
    }
    return 1;
}

int vfs_cwd_identify(struct vfs *v, uint64_t *ino)
{
    char uuid[64];
    return kind_of_link(v, "/proc/self/cwd", uuid, ino) == 'd' && staging_of(v, uuid) != NULL;
}

void vfs_fd_moved(struct vfs *v, int old, int fresh)
{
    int meta[4];
    size_t n = meta_fds(v->meta, meta, 4);
    for (size_t i = 0; i < n; i++) {
        if (meta[i] == old) {
            meta_fd_moved(v->meta, fresh);
            return;
        }
    }
    if (v->staging != NULL)
        staging_fd_moved(v->staging, old, fresh);
}

/* --- closing ---------------------------------------------------------------------------------- */

int vfs_commit(struct vfs *v, int fd, const struct vfs_fd *f)
{
    (void)fd;
    if (f->kind != VFS_FILE || v->staging == NULL)
        return 0;
    struct slot *s = staging_slot(v->staging, f->slot);
    if (s == NULL)
        return 0;
    slot_lock(s);
    int rc = s->ino == f->ino && s->gen == f->gen ? commit_slot(v, f->slot) : 0;
    slot_unlock(s);
    return rc;
}

int vfs_keep_locks(struct vfs *v, const struct vfs_fd *f)
{
    struct staging_owner owner;
    struct slot *s = f->kind == VFS_FILE ? staging_slot(v->staging, f->slot) : NULL;
    if (s == NULL)
        return 0;
    staging_enter(v->staging, &owner);
    slot_lock(s);
    int rc = staging_keep(v->staging, f->slot);
    slot_unlock(s);
    staging_leave(&owner);
    return rc;
}

int vfs_fsync(struct vfs *v, int fd, const struct vfs_fd *f)
{
    return vfs_commit(v, fd, f);
}

void vfs_release(struct vfs *v, const struct vfs_fd *f)
{
    struct staging_owner owner;
    if (v->staging == NULL)
        return;
    staging_enter(v->staging, &owner);
    if (f->kind == VFS_FILE) {
        struct slot *s = staging_slot(v->staging, f->slot);
        if (s != NULL) {
            slot_lock(s); /* nobody is using it */
            staging_unkeep(v->staging, f->slot);
            slot_unlock(s);
        }
        staging_release(v->staging, f->slot, f->gen);
    } else if (f->kind == VFS_DIR && f->made)
        staging_drop_dir(v->staging, f->ino);
    staging_leave(&owner);
}

int vfs_close(struct vfs *v, int fd, const struct vfs_fd *f)
{
    int rc = f->writable ? vfs_commit(v, fd, f) : 0;
    close(fd);
    vfs_release(v, f);
    return rc;
}

/* --- names that vanish ------------------------------------------------------------------------ */

uint64_t *slots_held(struct vfs *v, uint32_t *bytes)
{
    enum { MOST = 8192 };
    uint64_t *ino = NULL;
    size_t n = 0;

    *bytes = 0;
    if (v->staging == NULL || (ino = malloc(MOST * sizeof *ino)) == NULL)
        return NULL;
    n = staging_inodes(v->staging, ino, MOST);
    for (size_t i = 0; i < n; i++)
        put_be64((uint8_t *)&ino[i], ino[i]);
    *bytes = (uint32_t)(n * sizeof *ino);
    return ino;
}

void slot_gone(struct vfs *v, uint64_t ino, uint64_t length, bool deferred, const struct attr *a)
{
    uint32_t number = staging_find(v->staging, ino);
    if (number != 0) {
        struct slot *s = staging_slot(v->staging, number);
        slot_lock(s);
        if (s->ino == ino) {
            s->flags |= SLOT_GONE;
            if (slot_hydrate(v, number) < 0)
                log_at(LOG_ERROR, "inode %llu: unlinked while open, its data could not be kept",
                       (unsigned long long)ino);
            struct attr seen;
            if (a != NULL || slot_seen_get(s, &seen)) {
                seen = a != NULL ? *a : seen;
                seen.nlink = 0;
                slot_seen_set(s, &seen);
            }
        }
        slot_unlock(s);
        struct staging_owner owner;
        staging_enter(v->staging, &owner);
        staging_release(v->staging, number, s->gen);
        staging_leave(&owner);
    }
    if (deferred) {
        struct vfs_loc loc = {.base = ino, .path = ""};
        struct request r;
        request_init(v, &r, OP_PURGE, &loc);
        r.op.len = length;
        /* On failure it stays listed in delfiles, which stock clients empty. */
        if (request_call(v, &r, NULL) == 0)
            vfs_drop_slices(v, &r.res.extra);
        request_fini(&r);
    }
}

uint16_t slot_lost_bits(const struct slot *s)
{
    return (uint16_t)(((s->flags & SLOT_LOST_SUID) != 0 ? S_ISUID : 0) |
                      ((s->flags & SLOT_LOST_SGID) != 0 ? S_ISGID : 0));
}

void slot_overlay(struct vfs *v, uint64_t ino, struct attr *a)
{
    uint32_t number = v->staging != NULL ? staging_find(v->staging, ino) : 0;
    struct stat sb;
    if (number == 0 || staging_stat(v->staging, number, &sb) != 0)
        return;
    const struct slot *s = staging_slot(v->staging, number);
    if (s->ino != ino || sb.st_mtim.tv_sec == STAGING_CLEAN_SEC || (s->flags & SLOT_FILLED) == 0 ||
        staging_left(v->staging, number))
        return;
    a->length = (uint64_t)sb.st_size;
    a->mtime = (struct moment){.sec = sb.st_mtim.tv_sec, .nsec = (uint32_t)sb.st_mtim.tv_nsec};
    if (a->mtime.sec > a->ctime.sec ||
        (a->mtime.sec == a->ctime.sec && a->mtime.nsec > a->ctime.nsec))
        a->ctime = a->mtime;
    a->mode &= (uint16_t)~slot_lost_bits(s);
}
