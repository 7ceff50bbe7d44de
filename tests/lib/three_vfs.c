/*
 * three_vfs.c - a step by the vfs, as the preload would call it.
 */
#include "tests/lib/three.h"

#include "core/op/op.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool base_of(struct world *w, uint8_t at, uint64_t *ino)
{
    *ino = INO_ROOT;
    if (at == 0)
        return true;
    struct handle *h = &w->handle[at - 1];
    *ino = h->f.ino;
    return h->fd >= 0 && h->is_dir;
}

/* An escape whose native path is in the volume again begins there anew. */
static bool again(struct world *w, struct vfs_loc *loc, char path[PATH_MAX])
{
    size_t n = strlen(w->dir);
    if (strncmp(loc->native, w->dir, n) != 0 || (loc->native[n] != '/' && loc->native[n] != '\0'))
        return false;
    const char *rest = loc->native + n + strspn(loc->native + n, "/");
    memmove(path, rest, strlen(rest) + 1);
    *loc = (struct vfs_loc){.base = INO_ROOT, .path = path};
    return true;
}

static void describe(const struct vfs_stat *st, struct answer *a)
{
    const struct attr *t = &st->attr;
    static const char letters[] = "?fdlpbcs";
    answer_add(a, "%c %04o nlink %u uid %u gid %u", letters[t->type < 8 ? t->type : 0], t->mode,
               t->nlink, t->uid, t->gid);
    if (t->type == TYPE_FILE || t->type == TYPE_SYMLINK)
        answer_add(a, " size %" PRIu64, t->length);
    answer_exact(a, "ino %" PRIu64 " len %" PRIu64 " rdev %u a %lld.%u m %lld.%u c %lld.%u",
                 st->ino, t->length, t->rdev, (long long)t->atime.sec, t->atime.nsec,
                 (long long)t->mtime.sec, t->mtime.nsec, (long long)t->ctime.sec, t->ctime.nsec);
}

static int list(struct world *w, uint64_t ino, struct names *out)
{
    struct vfs_dir *d;
    struct vfs_dirent e;
    int rc = vfs_dir_open(w->vfs, ino, &d);
    for (size_t i = 0; rc >= 0; i++) {
        rc = vfs_dir_at(d, i, &e);
        if (rc != 1)
            break;
        if (i >= 2)
            names_add(out, e.name);
    }
    vfs_dir_close(d);
    names_sort(out);
    return rc;
}

static void add_names(struct names *names, struct answer *a)
{
    for (size_t i = 0; i < names->n; i++)
        answer_add(a, "%s%.40s", i > 0 ? " " : "", names->name[i]);
    names_free(names);
}

static struct moment moment_of(const struct timespec *t)
{
    return (struct moment){.sec = t->tv_sec, .nsec = (uint32_t)t->tv_nsec};
}

static struct vfs_setattr attributes(const struct step *s)
{
    struct vfs_setattr set = {.mode = s->mode & 07777};
    static const uint32_t now[] = {SET_ATIME_NOW, SET_MTIME_NOW}, given[] = {SET_ATIME, SET_MTIME};
    switch (s->kind) {
    case STEP_CHMOD:
    case STEP_FCHMOD:
        set.set = SET_MODE;
        break;
    case STEP_CHOWN:
    case STEP_FCHOWN:
        set.set = (s->uid >= 0 ? SET_UID : 0) | (s->gid >= 0 ? SET_GID : 0);
        set.uid = (uid_t)s->uid;
        set.gid = (gid_t)s->gid;
        break;
    default:
        for (int i = 0; i < 2; i++) {
            int how = STEP_TIME(s->flags, i);
            set.set |= how == TIME_NOW ? now[i] : how == TIME_SET ? given[i] : 0;
        }
        set.atime = moment_of(&s->atime);
        set.mtime = moment_of(&s->mtime);
    }
    return set;
}

/* "Nothing to do, we must not even check the path." */
static bool omits_both(const struct step *s)
{
    return (s->kind == STEP_UTIMENS || s->kind == STEP_FUTIMENS) &&
           STEP_TIME(s->flags, 0) == TIME_OMIT && STEP_TIME(s->flags, 1) == TIME_OMIT;
}

/* --- by descriptor ------------------------------------------------------------------------------
 */

static int64_t transfer(struct world *w, struct handle *h, const struct step *s, struct answer *a)
{
    char *data = malloc((size_t)s->len + 1);
    struct iovec iov = {data, (size_t)s->len};
    int64_t rc;
    if (s->kind == STEP_WRITE) {
        three_pattern(s->seed, s->off >= 0 ? (uint64_t)s->off : 0, data, (size_t)s->len);
        rc = vfs_writev(w->vfs, h->fd, &h->f, &iov, 1, s->off, 0);
    } else {
        rc = vfs_readv(w->vfs, h->fd, &h->f, &iov, 1, s->off, 0);
        if (rc >= 0)
            answer_add(a, "hash %016" PRIx64, three_hash(data, (size_t)rc));
    }
    answer_add(a, " pos %lld", (long long)vfs_lseek(w->vfs, h->fd, &h->f, 0, SEEK_CUR));
    free(data);
    return rc;
}

static int64_t by_handle(struct world *w, struct handle *h, const struct step *s, struct answer *a)
{
    struct vfs_stat st;
    struct vfs_setattr set;
    struct names names = {0};
    struct vfs_loc to = {.path = s->path2};
    int64_t rc;
    if (h->fd < 0)
        return -EBADF;
    switch (s->kind) {
    case STEP_CLOSE:
        rc = vfs_close(w->vfs, h->fd, &h->f);
        h->fd = -1;
        return rc;
    case STEP_FSTAT:
        rc = vfs_fstat(w->vfs, h->fd, &h->f, &st);
        if (rc == 0)
            describe(&st, a);
        return rc;
    case STEP_FCHMOD:
    case STEP_FCHOWN:
    case STEP_FUTIMENS:
        set = attributes(s);
        return omits_both(s) ? 0 : vfs_fsetattr(w->vfs, h->fd, &h->f, &set);
    case STEP_FTRUNCATE:
        return vfs_ftruncate(w->vfs, h->fd, &h->f, s->len);
    case STEP_FALLOCATE:
        return vfs_fallocate(w->vfs, h->fd, &h->f, s->flags, s->off, s->len);
    case STEP_FREADDIR:
        rc = h->is_dir ? list(w, h->f.ino, &names) : -ENOTDIR;
        add_names(&names, a);
        return rc;
    case STEP_LINKFD:
        return h->is_dir                      ? -EPERM
               : base_of(w, s->at2, &to.base) ? vfs_link_fd(w->vfs, h->fd, &h->f, &to)
                                              : -EBADF;
    default:
        break;
    }
    if (h->is_dir)
        return -EISDIR; /* the native calls on a native directory */
    switch (s->kind) {
    case STEP_WRITE:
    case STEP_READ:
        return transfer(w, h, s, a);
    case STEP_SEEK:
        return vfs_lseek(w->vfs, h->fd, &h->f, s->off, s->flags);
    case STEP_FSYNC:
        return vfs_fsync(w->vfs, h->fd, &h->f);
    default:
        return -ENOSYS;
    }
}

/* --- by path ------------------------------------------------------------------------------------
 */

static int64_t open_step(struct world *w, struct vfs_loc *loc, const struct step *s)
{
    struct handle *h = &w->handle[s->h];
    struct vfs_fd f;
    int fd = vfs_open(w->vfs, loc, s->flags | O_CLOEXEC | O_NONBLOCK, s->mode & 07777, &f);
    if (fd < 0)
        return fd;
    if (f.ino == 0) { /* a native FIFO */
        close(fd);
        return 0;
    }
    *h = (struct handle){.fd = fd, .f = f, .is_dir = f.kind == VFS_DIR};
    h->readable = !h->is_dir && (s->flags & O_ACCMODE) != O_WRONLY;
    return 0;
}

static int64_t xattr_step(struct world *w, struct vfs_loc *loc, const struct step *s,
                          struct answer *a)
{
    bool nofollow = (s->flags & STEP_NOFOLLOW) != 0;
    char data[8192];
    ssize_t n;
    struct names names = {0};
    switch (s->kind) {
    case STEP_XSET:
        three_pattern(s->seed, 0, data, (size_t)s->len);
        return vfs_setxattr(w->vfs, loc, nofollow, s->path2, data, (size_t)s->len, s->flags & 3);
    case STEP_XGET:
        n = vfs_getxattr(w->vfs, loc, nofollow, s->path2, data, (size_t)s->len);
        if (n >= 0 && s->len > 0)
            answer_add(a, "hash %016" PRIx64, three_hash(data, (size_t)n));
        return n;
    case STEP_XREMOVE:
        return vfs_removexattr(w->vfs, loc, nofollow, s->path2);
    default:
        n = vfs_listxattr(w->vfs, loc, nofollow, data, sizeof(data));
        for (char *p = data; p < data + n; p += strlen(p) + 1)
            names_add(&names, p);
        names_sort(&names);
        add_names(&names, a);
        return n;
    }
}

static int64_t two_names(struct world *w, struct vfs_loc *loc, const struct step *s,
                         struct answer *a)
{
    struct vfs_loc to = {.path = s->path2};
    if (!base_of(w, s->at2, &to.base))
        return -EBADF;
    int rc = s->kind == STEP_RENAME ? vfs_rename(w->vfs, loc, &to, (unsigned)s->flags)
                                    : vfs_link(w->vfs, loc, &to, (s->flags & STEP_NOFOLLOW) == 0);
    a->escaped = loc->native[0] != '\0' || rc == -EXDEV;
    return rc;
}

static int64_t by_path(struct world *w, struct vfs_loc *loc, const struct step *s, struct answer *a)
{
    bool nofollow = (s->flags & STEP_NOFOLLOW) != 0;
    struct vfs_stat st;
    struct vfs_setattr set;
    struct names names = {0};
    char text[PATH_MAX];
    int64_t rc;
    switch (s->kind) {
    case STEP_OPEN:
        return open_step(w, loc, s);
    case STEP_STAT:
        rc = vfs_stat(w->vfs, loc, nofollow, &st);
        if (rc == 0)
            describe(&st, a);
        return rc;
    case STEP_ACCESS:
        return vfs_access(w->vfs, loc, (int)s->mode & 7, nofollow, (s->flags & STEP_REAL_IDS) != 0);
    case STEP_READLINK:
        rc = vfs_readlink(w->vfs, loc, text, sizeof(text));
        if (rc >= 0)
            answer_add(a, "%.*s", (int)rc, text);
        return rc;
    case STEP_MKDIR:
        return vfs_mkdir(w->vfs, loc, s->mode);
    case STEP_MKNOD:
        return vfs_mknod(w->vfs, loc, s->mode, 0);
    case STEP_SYMLINK:
        snprintf(text, sizeof(text), "%s%s", s->path2[0] == '@' ? w->dir : "",
                 s->path2 + (s->path2[0] == '@'));
        return vfs_symlink(w->vfs, text, loc);
    case STEP_UNLINK:
        return vfs_unlink(w->vfs, loc);
    case STEP_RMDIR:
        return vfs_rmdir(w->vfs, loc);
    case STEP_TRUNCATE:
        return vfs_truncate(w->vfs, loc, s->len);
    case STEP_CHMOD:
    case STEP_CHOWN:
    case STEP_UTIMENS:
        set = attributes(s);
        if (omits_both(s))
            return 0;
        if (s->kind == STEP_CHMOD && nofollow) {
            rc = vfs_stat(w->vfs, loc, true, &st);
            if (rc != 0 || st.attr.type == TYPE_SYMLINK)
                return rc != 0 ? rc : -EOPNOTSUPP;
        }
        return vfs_setattr(w->vfs, loc, nofollow, &set);
    case STEP_READDIR: /* as opendir(): opened first */
    {
        struct vfs_fd f;
        rc = vfs_open(w->vfs, loc, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, &f);
        if (rc < 0)
            return rc;
        int fd = (int)rc;
        rc = list(w, f.ino, &names);
        add_names(&names, a);
        vfs_close(w->vfs, fd, &f);
        return rc;
    }
    case STEP_LINK:
    case STEP_RENAME:
        return two_names(w, loc, s, a);
    default:
        return xattr_step(w, loc, s, a);
    }
}

/* The kernel's stamps on staging files become those of the fixed clock. */
static void stamp(struct world *w)
{
    struct moment now = clock_now();
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = now.sec, .tv_nsec = now.nsec}};
    struct stat sb;
    for (int i = 0; i < THREE_HANDLES; i++) {
        struct handle *h = &w->handle[i];
        if (h->fd >= 0 && !h->is_dir && fstat(h->fd, &sb) == 0 && sb.st_mtim.tv_sec != 1 &&
            sb.st_mtim.tv_sec < THREE_CLOCK)
            futimens(h->fd, t);
    }
}

void three_vfs_step(struct world *w, const struct step *s, struct answer *a)
{
    static char path[PATH_MAX];
    struct vfs_loc loc = {.path = s->path};
    memset(a, 0, sizeof(*a));
    vfs_set_umask(w->vfs, three_people[s->who].umask);
    if (s->kind == STEP_OPEN && w->handle[s->h].fd >= 0) {
        vfs_close(w->vfs, w->handle[s->h].fd, &w->handle[s->h].f);
        w->handle[s->h].fd = -1;
    }
    three_become(s->who);
    if (step_has_path(s->kind)) {
        a->code = base_of(w, s->at, &loc.base) ? by_path(w, &loc, s, a) : -EBADF;
        for (int i = 0; a->code == VFS_ESCAPE && i < 40 && again(w, &loc, path); i++)
            a->code = by_path(w, &loc, s, a);
        a->escaped = a->escaped || a->code == VFS_ESCAPE;
    } else {
        a->code = by_handle(w, &w->handle[s->h], s, a);
        a->escaped = a->code == -EXDEV;
    }
    three_become(0);
    stamp(w);
}

/* --- trees --------------------------------------------------------------------------------------
 */

static void add_content(struct world *w, int fd, const struct vfs_fd *f, struct buf *out)
{
    static uint8_t data[1 << 20];
    struct iovec iov = {data, sizeof(data)};
    uint64_t h = 0, at = 0;
    ssize_t n;
    while ((n = vfs_readv(w->vfs, fd, f, &iov, 1, (off_t)at, 0)) > 0) {
        h = three_content(h, at, data, (size_t)n);
        at += (uint64_t)n;
    }
    buf_printf(out, n < 0 ? " read: %s" : " content %.0s%016" PRIx64,
               n < 0 ? strerror((int)-n) : "", h);
}

static void add_xattrs(struct world *w, struct vfs_loc *loc, struct buf *out)
{
    char list_[4096], value[8192];
    struct names names = {0};
    ssize_t n = vfs_listxattr(w->vfs, loc, true, list_, sizeof(list_));
    for (char *p = list_; p < list_ + n; p += strlen(p) + 1)
        names_add(&names, p);
    names_sort(&names);
    for (size_t i = 0; i < names.n; i++) {
        n = vfs_getxattr(w->vfs, loc, true, names.name[i], value, sizeof(value));
        buf_printf(out, " %s=%zd:%016" PRIx64, names.name[i], n,
                   n > 0 ? three_hash(value, (size_t)n) : 0);
    }
    names_free(&names);
}

static struct timespec timespec_of(struct moment m)
{
    return (struct timespec){.tv_sec = m.sec, .tv_nsec = (long)m.nsec};
}

static void tree(struct world *w, const char *path, uint64_t ino, struct buf *out,
                 struct stamps *times)
{
    struct names names = {0};
    int rc = list(w, ino, &names);
    if (rc < 0)
        buf_printf(out, "%s: list: %s\n", path, strerror(-rc));
    for (size_t i = 0; i < names.n; i++) {
        char below[PATH_MAX], text[PATH_MAX];
        struct answer a = {0};
        struct vfs_stat st;
        snprintf(below, sizeof(below), "%s%s%s", path, path[0] != '\0' ? "/" : "", names.name[i]);
        struct vfs_loc loc = {.base = ino, .path = names.name[i]};
        rc = vfs_stat(w->vfs, &loc, true, &st);
        if (rc < 0) {
            buf_printf(out, "%s: %s\n", below, strerror(-rc));
            continue;
        }
        describe(&st, &a);
        buf_printf(out, "%s: %s", below, a.text);
        if (st.attr.type == TYPE_FILE)
            stamps_add(times, below, timespec_of(st.attr.mtime), timespec_of(st.attr.ctime));
        add_xattrs(w, &loc, out);
        if (st.attr.type == TYPE_SYMLINK) {
            ssize_t n = vfs_readlink(w->vfs, &loc, text, sizeof(text));
            buf_printf(out, " -> %.*s", (int)(n > 0 ? n : 0), text);
        }
        struct vfs_fd f;
        bool is_file = st.attr.type == TYPE_FILE, is_dir = st.attr.type == TYPE_DIRECTORY;
        int fd = is_file || is_dir ? vfs_open(w->vfs, &loc, O_RDONLY | O_CLOEXEC, 0, &f) : -1;
        if (fd < 0 && (is_file || is_dir))
            buf_printf(out, " open: %s", strerror(-fd));
        if (fd >= 0 && is_file)
            add_content(w, fd, &f, out);
        buf_printf(out, "\n");
        if (fd >= 0 && is_dir)
            tree(w, below, st.ino, out, times);
        if (fd >= 0)
            vfs_close(w->vfs, fd, &f);
    }
    names_free(&names);
}

void three_vfs_tree(struct world *w, struct buf *out, struct stamps *times)
{
    tree(w, "", INO_ROOT, out, times);
    for (int i = 0; i < THREE_HANDLES; i++) {
        struct handle *h = &w->handle[i];
        if (h->fd < 0 || !h->readable)
            continue;
        buf_printf(out, "handle %d:", i);
        add_content(w, h->fd, &h->f, out);
        buf_printf(out, "\n");
    }
}
