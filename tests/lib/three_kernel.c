/*
 * three_kernel.c - the same step by the kernel, in a plain directory.
 */
#include "tests/lib/three.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

const struct person three_people[] = {
    {0, 0, 0, {0}, 022},
    {1001, 1001, 2, {1001, 2000}, 022},
    {1002, 2000, 0, {0}, 077},
    {1003, 1003, 1, {2001}, 002},
};

void three_become(uint8_t who)
{
    static uint8_t is = 0xff;
    if (who == is)
        return;
    is = who;
    umask(three_people[who].umask);
    if (getuid() != 0)
        return;
    const struct person *p = &three_people[who];
    if (seteuid(0) != 0 || setgroups(p->ngroups, p->groups) != 0 || setegid(p->gid) != 0 ||
        seteuid(p->uid) != 0) {
        perror("seteuid");
        abort();
    }
}

static void describe(const struct stat *st, struct answer *a)
{
    char letter = S_ISREG(st->st_mode)    ? 'f'
                  : S_ISDIR(st->st_mode)  ? 'd'
                  : S_ISLNK(st->st_mode)  ? 'l'
                  : S_ISFIFO(st->st_mode) ? 'p'
                  : S_ISSOCK(st->st_mode) ? 's'
                  : S_ISBLK(st->st_mode)  ? 'b'
                                          : 'c';
    answer_add(a, "%c %04o nlink %u uid %u gid %u", letter, st->st_mode & 07777,
               (unsigned)st->st_nlink, st->st_uid, st->st_gid);
    if (letter == 'f' || letter == 'l')
        answer_add(a, " size %" PRIu64, (uint64_t)st->st_size);
}

static int64_t result(int64_t rc)
{
    return rc < 0 ? -errno : rc;
}

static int base_of(struct world *w, uint8_t at)
{
    if (at == 0)
        return w->root;
    struct handle *h = &w->handle[at - 1];
    return h->is_dir ? h->fd : -1;
}

static int list(int fd, struct names *out)
{
    DIR *d = fdopendir(fd); /* which takes it over */
    struct dirent *e;
    if (d == NULL)
        return -errno;
    rewinddir(d);
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names_add(out, e->d_name);
    }
    closedir(d);
    names_sort(out);
    return 0;
}

static void add_names(struct names *names, struct answer *a)
{
    for (size_t i = 0; i < names->n; i++)
        answer_add(a, "%s%.40s", i > 0 ? " " : "", names->name[i]);
    names_free(names);
}

static const struct timespec *times_of(const struct step *s, struct timespec t[2])
{
    for (int i = 0; i < 2; i++) {
        int how = STEP_TIME(s->flags, i);
        t[i] = i == 0 ? s->atime : s->mtime;
        if (how != TIME_SET)
            t[i].tv_nsec = how == TIME_NOW ? UTIME_NOW : UTIME_OMIT;
    }
    return t;
}

/* --- by descriptor ------------------------------------------------------------------------------
 */

static int64_t transfer(struct handle *h, const struct step *s, struct answer *a)
{
    char *data = malloc((size_t)s->len + 1);
    size_t n = (size_t)s->len;
    int64_t rc;
    if (s->kind == STEP_WRITE) {
        three_pattern(s->seed, s->off >= 0 ? (uint64_t)s->off : 0, data, n);
        rc = result(s->off < 0 ? write(h->fd, data, n) : pwrite(h->fd, data, n, s->off));
    } else {
        rc = result(s->off < 0 ? read(h->fd, data, n) : pread(h->fd, data, n, s->off));
        if (rc >= 0)
            answer_add(a, "hash %016" PRIx64, three_hash(data, (size_t)rc));
    }
    answer_add(a, " pos %lld", (long long)lseek(h->fd, 0, SEEK_CUR));
    free(data);
    return rc;
}

/* tmpfs has no FALLOC_FL_ZERO_RANGE: what it means, in two calls. */
static int64_t zero_range(int fd, const struct step *s)
{
    int64_t rc = result(fallocate(fd, s->flags & FALLOC_FL_KEEP_SIZE, s->off, s->len));
    if (rc == 0)
        rc = result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s->off, s->len));
    return rc;
}

static int64_t by_handle(struct world *w, struct handle *h, const struct step *s, struct answer *a)
{
    struct stat st;
    struct timespec t[2];
    struct names names = {0};
    char proc[64];
    int64_t rc;
    int to;
    if (h->fd < 0)
        return -EBADF;
    switch (s->kind) {
    case STEP_CLOSE:
        rc = result(close(h->fd));
        h->fd = -1;
        return rc;
    case STEP_FSTAT:
        rc = result(fstat(h->fd, &st));
        if (rc == 0)
            describe(&st, a);
        return rc;
    case STEP_FCHMOD:
        return result(fchmod(h->fd, s->mode & 07777));
    case STEP_FCHOWN:
        return result(fchown(h->fd, (uid_t)s->uid, (gid_t)s->gid));
    case STEP_FUTIMENS:
        return result(futimens(h->fd, times_of(s, t)));
    case STEP_FREADDIR:
        rc = h->is_dir ? list(fcntl(h->fd, F_DUPFD_CLOEXEC, 0), &names) : -ENOTDIR;
        add_names(&names, a);
        return rc;
    case STEP_LINKFD:
        if (h->is_dir)
            return -EPERM;
        to = base_of(w, s->at2);
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", h->fd);
        return to < 0 ? -EBADF : result(linkat(AT_FDCWD, proc, to, s->path2, AT_SYMLINK_FOLLOW));
    case STEP_FTRUNCATE:
        return result(ftruncate(h->fd, s->len));
    case STEP_FALLOCATE:
        if ((s->flags & FALLOC_FL_ZERO_RANGE) != 0)
            return zero_range(h->fd, s);
        return result(fallocate(h->fd, s->flags, s->off, s->len));
    default:
        break;
    }
    if (h->is_dir)
        return -EISDIR;
    switch (s->kind) {
    case STEP_WRITE:
    case STEP_READ:
        return transfer(h, s, a);
    case STEP_SEEK:
        return result(lseek(h->fd, s->off, s->flags));
    case STEP_FSYNC:
        return result(fsync(h->fd));
    default:
        return -ENOSYS;
    }
}

/* --- by path ------------------------------------------------------------------------------------
 */

static int64_t open_step(struct world *w, int at, const struct step *s)
{
    struct handle *h = &w->handle[s->h];
    struct stat st;
    int fd = openat(at, s->path, s->flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, s->mode & 07777);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        close(fd);
        return 0;
    }
    *h = (struct handle){.fd = fd, .is_dir = S_ISDIR(st.st_mode)};
    h->readable = !h->is_dir && (s->flags & O_ACCMODE) != O_WRONLY;
    return 0;
}

/* The xattr calls have no `at` form: by way of /proc. */
static int64_t xattr_step(int at, const struct step *s, struct answer *a)
{
    bool nofollow = (s->flags & STEP_NOFOLLOW) != 0;
    char path[THREE_PATH + 64], data[8192];
    struct names names = {0};
    ssize_t n;
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at, s->path);
    switch (s->kind) {
    case STEP_XSET:
        three_pattern(s->seed, 0, data, (size_t)s->len);
        return result(
            (nofollow ? lsetxattr : setxattr)(path, s->path2, data, (size_t)s->len, s->flags & 3));
    case STEP_XGET:
        n = (nofollow ? lgetxattr : getxattr)(path, s->path2, data, (size_t)s->len);
        if (n >= 0 && s->len > 0)
            answer_add(a, "hash %016" PRIx64, three_hash(data, (size_t)n));
        return result(n);
    case STEP_XREMOVE:
        return result((nofollow ? lremovexattr : removexattr)(path, s->path2));
    default:
        n = (nofollow ? llistxattr : listxattr)(path, data, sizeof(data));
        for (char *p = data; p < data + n; p += strlen(p) + 1)
            names_add(&names, p);
        names_sort(&names);
        add_names(&names, a);
        return result(n);
    }
}

static int64_t by_path(struct world *w, int at, const struct step *s, struct answer *a)
{
    int nofollow = (s->flags & STEP_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    int to = base_of(w, s->at2);
    struct stat st;
    struct timespec t[2];
    struct names names = {0};
    char text[PATH_MAX];
    int64_t rc;
    switch (s->kind) {
    case STEP_OPEN:
        return open_step(w, at, s);
    case STEP_STAT:
        rc = result(fstatat(at, s->path, &st, nofollow));
        if (rc == 0)
            describe(&st, a);
        return rc;
    case STEP_ACCESS: /* faccessat2: libc's own emulates what old kernels lack */
        rc = syscall(SYS_faccessat2, at, s->path, s->mode & 7,
                     nofollow | ((s->flags & STEP_REAL_IDS) != 0 ? 0 : AT_EACCESS));
        return result(rc);
    case STEP_READLINK:
        rc = result(readlinkat(at, s->path, text, sizeof(text)));
        if (rc >= 0)
            answer_add(a, "%.*s", (int)rc, text);
        return rc;
    case STEP_MKDIR:
        return result(mkdirat(at, s->path, s->mode));
    case STEP_MKNOD:
        return result(mknodat(at, s->path, s->mode, 0));
    case STEP_SYMLINK:
        snprintf(text, sizeof(text), "%s%s", s->path2[0] == '@' ? w->dir : "",
                 s->path2 + (s->path2[0] == '@'));
        return result(symlinkat(text, at, s->path));
    case STEP_UNLINK:
        return result(unlinkat(at, s->path, 0));
    case STEP_RMDIR:
        return result(unlinkat(at, s->path, AT_REMOVEDIR));
    case STEP_TRUNCATE:
        snprintf(text, sizeof(text), "/proc/self/fd/%d/%s", at, s->path);
        return result(truncate(text, s->len));
    case STEP_CHMOD:
        return result(fchmodat(at, s->path, s->mode & 07777, nofollow));
    case STEP_CHOWN:
        return result(fchownat(at, s->path, (uid_t)s->uid, (gid_t)s->gid, nofollow));
    case STEP_UTIMENS:
        return result(utimensat(at, s->path, times_of(s, t), nofollow));
    case STEP_READDIR:
        rc = openat(at, s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (rc < 0)
            return -errno;
        rc = list((int)rc, &names);
        add_names(&names, a);
        return rc;
    case STEP_LINK:
        return to < 0 ? -EBADF
                      : result(linkat(at, s->path, to, s->path2, nofollow ? 0 : AT_SYMLINK_FOLLOW));
    case STEP_RENAME:
        return to < 0 ? -EBADF
                      : result(syscall(SYS_renameat2, at, s->path, to, s->path2, s->flags));
    default:
        return xattr_step(at, s, a);
    }
}

/* As stock has it, chown() by others than root takes setgid away, also where the kernel lets a
 * member of the group keep it. */
static void drop_setgid(struct world *w, const struct step *s)
{
    int nofollow = (s->flags & STEP_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    bool by_path = s->kind == STEP_CHOWN;
    int fd = by_path ? base_of(w, s->at) : w->handle[s->h].fd;
    struct stat st;
    if ((by_path ? fstatat(fd, s->path, &st, nofollow) : fstat(fd, &st)) != 0 ||
        S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) || (st.st_mode & S_ISGID) == 0)
        return;
    if ((by_path ? fchmodat(fd, s->path, st.st_mode & 05777, 0) : fchmod(fd, st.st_mode & 05777)) !=
        0)
        perror("setgid");
}

void three_kernel_step(struct world *w, const struct step *s, struct answer *a)
{
    memset(a, 0, sizeof(*a));
    if (s->kind == STEP_OPEN && w->handle[s->h].fd >= 0) {
        close(w->handle[s->h].fd);
        w->handle[s->h].fd = -1;
    }
    three_become(s->who);
    if (step_has_path(s->kind)) {
        int at = base_of(w, s->at);
        a->code = at < 0 ? -EBADF : by_path(w, at, s, a);
    } else {
        a->code = by_handle(w, &w->handle[s->h], s, a);
    }
    three_become(0);
    if ((s->who != 0 || geteuid() != 0) && a->code == 0 &&
        (s->kind == STEP_CHOWN || s->kind == STEP_FCHOWN))
        drop_setgid(w, s);
}

/* --- trees --------------------------------------------------------------------------------------
 */

static void add_content(int fd, struct buf *out)
{
    static uint8_t data[1 << 20];
    uint64_t h = 0, at = 0;
    ssize_t n;
    while ((n = pread(fd, data, sizeof(data), (off_t)at)) > 0) {
        h = three_content(h, at, data, (size_t)n);
        at += (uint64_t)n;
    }
    buf_printf(out, " content %016" PRIx64, h);
}

static void add_xattrs(const char *path, struct buf *out)
{
    char list_[4096], value[8192];
    struct names names = {0};
    ssize_t n = llistxattr(path, list_, sizeof(list_));
    for (char *p = list_; p < list_ + n; p += strlen(p) + 1)
        names_add(&names, p);
    names_sort(&names);
    for (size_t i = 0; i < names.n; i++) {
        n = result(lgetxattr(path, names.name[i], value, sizeof(value)));
        buf_printf(out, " %s=%zd:%016" PRIx64, names.name[i], n,
                   n > 0 ? three_hash(value, (size_t)n) : 0);
    }
    names_free(&names);
}

static void tree(const char *path, int dir, struct buf *out, struct stamps *times)
{
    struct names names = {0};
    int rc = list(fcntl(dir, F_DUPFD_CLOEXEC, 0), &names);
    if (rc < 0)
        buf_printf(out, "%s: list: %s\n", path, strerror(-rc));
    for (size_t i = 0; i < names.n; i++) {
        char below[PATH_MAX], text[PATH_MAX];
        struct answer a = {0};
        struct stat st;
        const char *name = names.name[i];
        snprintf(below, sizeof(below), "%s%s%s", path, path[0] != '\0' ? "/" : "", name);
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            buf_printf(out, "%s: %s\n", below, strerror(errno));
            continue;
        }
        describe(&st, &a);
        buf_printf(out, "%s: %s", below, a.text);
        if (S_ISREG(st.st_mode))
            stamps_add(times, below, st.st_mtim, st.st_ctim);
        snprintf(text, sizeof(text), "/proc/self/fd/%d/%s", dir, name);
        add_xattrs(text, out);
        int fd = -1;
        if (S_ISLNK(st.st_mode)) {
            ssize_t n = readlinkat(dir, name, text, sizeof(text));
            buf_printf(out, " -> %.*s", (int)(n > 0 ? n : 0), text);
        } else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
            fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
            if (fd < 0)
                buf_printf(out, " open: %s", strerror(errno));
        }
        if (fd >= 0 && S_ISREG(st.st_mode))
            add_content(fd, out);
        buf_printf(out, "\n");
        if (fd >= 0 && S_ISDIR(st.st_mode))
            tree(below, fd, out, times);
        if (fd >= 0)
            close(fd);
    }
    names_free(&names);
}

void three_kernel_tree(struct world *w, struct buf *out, struct stamps *times)
{
    tree("", w->root, out, times);
    for (int i = 0; i < THREE_HANDLES; i++) {
        struct handle *h = &w->handle[i];
        if (h->fd < 0 || !h->readable)
            continue;
        buf_printf(out, "handle %d:", i);
        add_content(h->fd, out);
        buf_printf(out, "\n");
    }
}
