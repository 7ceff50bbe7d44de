/*
 * wrap_stdio.c - streams: fopen and its kin.
 *
 * A stream reads, writes and closes its descriptor inside libc, unseen.  So the staging file gets
 * all bytes when a stream is put on it, and its changes are looked for at every commit; fclose
 * flushes and commits before libc closes.  The data calls (fread, printf ...) need nothing.
 */
#include "preload/files.h"
#include "preload/popen.h"
#include "preload/preload.h"
#include "preload/streams.h"

#include <stdio.h>
#include <string.h>

/* open(2)'s flags for fopen(3)'s mode, -EINVAL as libc has it.  Letters after `,` are fopen's. */
static int flags_of(const char *mode)
{
    int flags = *mode == 'r'   ? O_RDONLY
                : *mode == 'w' ? O_WRONLY | O_CREAT | O_TRUNC
                : *mode == 'a' ? O_WRONLY | O_CREAT | O_APPEND
                               : -EINVAL;

    /* libc looks at six letters more. */
    for (int i = 1; flags >= 0 && i < 7 && mode[i] != '\0' && mode[i] != ','; i++)
        switch (mode[i]) {
        case '+':
            flags = (flags & ~O_ACCMODE) | O_RDWR;
            break;
        case 'x':
            flags |= O_EXCL;
            break;
        case 'e':
            flags |= O_CLOEXEC;
            break;
        }
    return flags;
}

/* mode without 'x': the file is open already. */
static const char *mode_again(const char *mode, char *out, size_t len)
{
    size_t n = 0;
    bool letters = true;

    for (; *mode != '\0' && n + 1 < len; mode++) {
        letters = letters && *mode != ',';
        if (!letters || *mode != 'x')
            out[n++] = *mode;
    }
    out[n] = '\0';
    return out;
}

/* Bytes in place for a stream on fd, when fd is ours.  0 or -1 and errno. */
static int prepare(int fd)
{
    struct vfs_fd f;
    struct call c;

    if (!fdtab_may(fd) || guard_inside() || !fdtab_get(fd, &f))
        return 0;
    call_begin(&c);
    long rc = c.err ? c.err : vfs_direct(c.v, fd, &f, VFS_USE_DIRECT);
    call_end(&c);
    return (int)to_libc(rc);
}

/* The stream's descriptor, which libc gave it, is now what `from` is. */
static void adopt(FILE *fp, int from)
{
    struct guard g;
    struct vfs_fd f;

    if (!fdtab_may(from))
        return;
    guard_enter(&g);
    fdtab_copy(from, fileno(fp));
    if (fdtab_get(from, &f) && f.append != ((REAL(fcntl)(fileno(fp), F_GETFL) & O_APPEND) != 0)) {
        f.append = !f.append;
        fdtab_set(fileno(fp), &f);
    }
    guard_leave(&g);
    streams_add(fp);
}

/* fd is no stream's: closed without the steps of close(2) when another number goes on. */
static void discard(int fd)
{
    struct guard g;

    guard_enter(&g);
    fdtab_take(fd, NULL);
    REAL(close)(fd);
    guard_leave(&g);
}

/* Only libc's fopen knows ",ccs=": it opens the staging file once more, by its number. */
static FILE *open_stream(int fd, const char *mode)
{
    char name[40], again[256];

    if (strchr(mode, ',') == NULL)
        return REAL(fdopen)(fd, mode);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    FILE *fp = REAL(fopen)(name, mode_again(mode, again, sizeof(again)));
    if (fp != NULL) {
        struct guard g;
        guard_enter(&g);
        fdtab_copy(fd, fileno(fp));
        guard_leave(&g);
        discard(fd);
    }
    return fp;
}

SLOW FILE *fopen_ours(const char *path, const char *mode)
{
    int flags = flags_of(mode);
    FILE *fp = NULL;

    if (flags < 0)
        return to_libc_null(flags);
    int fd = open(path, flags, 0666);
    if (fd < 0)
        return NULL;
    if (prepare(fd) == 0)
        fp = open_stream(fd, mode);
    if (fp == NULL) {
        int err = errno;
        close(fd);
        return to_libc_null(-err);
    }
    if (fdtab_may(fileno(fp)))
        streams_add(fp);
    return fp;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    return route_native(AT_FDCWD, path) ? REAL(fopen)(path, mode) : ROOM(fopen_ours, path, mode);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
    if (volume_if_any() == NULL || guard_inside())
        return REAL(fdopen)(fd, mode);
    if (fdtab_is_own(fd))
        return to_libc_null(-EBADF);
    if (prepare(fd) != 0)
        return NULL;
    FILE *fp = REAL(fdopen)(fd, mode);
    if (fp != NULL && fdtab_may(fd))
        adopt(fp, fd);
    return fp;
}

/* Flushes, commits and takes the number out, so that libc may close it.  0 or -errno. */
static int let_go(FILE *fp, struct vfs_fd *f)
{
    struct call c;
    long rc = fflush(fp) == 0 ? 0 : -errno;

    streams_remove(fp);
    call_begin(&c);
    long err = c.err;
    if (err == 0 && fdtab_take(fileno(fp), f) && f->writable)
        err = vfs_commit(c.v, fileno(fp), f);
    call_end(&c);
    return (int)(rc != 0 ? rc : err);
}

static void release(const struct vfs_fd *f)
{
    struct call c;

    call_begin(&c);
    if (c.v != NULL)
        vfs_release(c.v, f);
    call_end(&c);
}

SLOW int fclose_ours(FILE *fp)
{
    struct vfs_fd f = {0};
    int err = let_go(fp, &f);
    int rc = REAL(fclose)(fp);

    if (rc != 0 && err == 0)
        err = -errno;
    release(&f);
    return (int)to_libc(err);
}

EXPORT int fclose(FILE *fp)
{
    if (popen_made(fp))
        return pclose(fp); /* libc's waits for the child too */
    if (volume_if_any() == NULL || guard_inside() || !fdtab_may(fileno(fp)))
        return REAL(fclose)(fp);
    return ROOM(fclose_ours, fp);
}

EXPORT int fcloseall(void)
{
    struct call c;
    int rc = REAL(fcloseall)(); /* flushes; closes nothing */

    if (volume_if_any() == NULL || guard_inside())
        return rc;
    call_begin(&c);
    long err = ROOM(files_commit_all, c.v);
    call_end(&c);
    return err < 0 ? (int)to_libc(err) : rc;
}

/* "If the file cannot be opened, the stream is closed." */
static FILE *fail(FILE *fp, int err)
{
    fclose(fp);
    return to_libc_null(-err);
}

SLOW FILE *freopen_ours(const char *path, const char *mode, FILE *fp)
{
    struct vfs_fd old;
    char name[40], again[256];
    int from = -1;
    bool was_ours = fdtab_may(fileno(fp));

    if (path == NULL && was_ours) {
        /* The same file in another mode: libc opens it by number, the entry stays. */
        from = REAL(fcntl)(fileno(fp), F_DUPFD_CLOEXEC, 3);
        if (from < 0)
            return fail(fp, errno);
        fdtab_copy(fileno(fp), from);
    } else if (path != NULL && !route_native(AT_FDCWD, path)) {
        int flags = flags_of(mode);
        from = flags < 0 ? (int)to_libc(flags) : open(path, flags | O_CLOEXEC, 0666);
        if (from < 0 || prepare(from) != 0)
            return fail(fp, errno);
    }
    int err = was_ours ? let_go(fp, &old) : 0;
    heard_forget((unsigned)fileno(fp), (unsigned)fileno(fp));
    if (from >= 0) {
        snprintf(name, sizeof(name), "/proc/self/fd/%d", from);
        path = name;
        mode = mode_again(mode, again, sizeof(again));
    }
    FILE *fresh = REAL(freopen)(path, mode, fp);
    int saved = errno;
    if (fresh != NULL && from >= 0)
        adopt(fresh, from);
    if (from >= 0)
        discard(from);
    if (was_ours) {
        files_lost(&old, err);
        release(&old);
    }
    return fresh != NULL ? fresh : to_libc_null(-saved);
}

EXPORT FILE *freopen(const char *path, const char *mode, FILE *fp)
{
    if (guard_inside() ||
        (!fdtab_may(fileno(fp)) && (path == NULL || route_native(AT_FDCWD, path))))
        return REAL(freopen)(path, mode, fp);
    return ROOM(freopen_ours, path, mode, fp);
}
