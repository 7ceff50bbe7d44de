/*
 * pack.c - see pack.h.
 */
#include "core/store/pack.h"

#include "core/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIGH_FD 700 /* out of the program's way */
#define TRIES   3   /* a block's directory is made once, a pack moved by somebody else once */

struct packs {
    struct store *st;
    uint64_t id; /* of the pack that grows; 0: none */
    int fd;
    uint32_t end;
    char dir[]; /* with the slash behind */
};

int packs_open(struct store *st, const char *dir, struct packs **out)
{
    size_t len = strlen(dir);
    struct packs *p = NULL;

    *out = NULL;
    if (len + 32 > PATH_MAX)
        return -ENAMETOOLONG;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return -errno;
    p = calloc(1, sizeof *p + len + 2);
    if (p == NULL)
        return -ENOMEM;
    p->st = st;
    p->fd = -1;
    memcpy(p->dir, dir, len);
    p->dir[len] = '/';
    *out = p;
    return 0;
}

static void leave(struct packs *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->id = 0;
    p->end = 0;
}

void packs_close(struct packs *p)
{
    if (p == NULL)
        return;
    leave(p);
    free(p);
}

void packs_after_fork(struct packs *p)
{
    leave(p);
}

int packs_fd(const struct packs *p)
{
    return p->fd;
}

void packs_fd_moved(struct packs *p, int fresh)
{
    p->fd = fresh;
}

static void pack_path(const struct packs *p, uint64_t id, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s%" PRIu64, p->dir, id);
}

/* --- growing ---------------------------------------------------------------------------------- */

static int begin(struct packs *p, uint64_t id)
{
    char path[PATH_MAX];
    int fd, high;

    leave(p);
    pack_path(p, id, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); /* a block's mode */
    if (fd < 0)
        return -errno;
    high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high >= 0)
        close(fd);
    p->fd = high >= 0 ? high : fd;
    p->id = id;
    return 0;
}

static int write_at(int fd, const char *data, size_t len, off_t off)
{
    while (len != 0) {
        ssize_t n = pwrite(fd, data, len, off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        off += n;
        len -= (size_t)n;
    }
    return 0;
}

int packs_add(struct packs *p, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
    int rc = 0;

    *off = 0;
    if (id == 0 || len == 0)
        return -EINVAL;
    if (len > p->st->block_bytes - (p->id == id ? p->end : 0))
        return -ENOSPC;
    if (p->id != id)
        rc = begin(p, id);
    if (rc == 0)
        rc = write_at(p->fd, bytes, len, p->end);
    if (rc != 0)
        return rc;
    *off = p->end;
    p->end += len;
    return 0;
}

/* --- sealing ---------------------------------------------------------------------------------- */

/* The block of a pack that was sealed before: its name tells the size. */
static int find_sealed(const struct packs *p, uint64_t id, uint32_t *size)
{
    char path[PATH_MAX], start[32];
    int rc = store_block_path(p->st, id, 0, 1, path, sizeof path);
    struct dirent *entry;
    DIR *dir;

    if (rc < 0)
        return rc;
    *strrchr(path, '/') = 0;
    int n = snprintf(start, sizeof start, "%" PRIu64 "_0_", id);
    dir = opendir(path);
    if (dir == NULL)
        return -errno;
    rc = -ENOENT;
    while (rc != 0 && (entry = readdir(dir)) != NULL) {
        char *end;
        if (strncmp(entry->d_name, start, (size_t)n) != 0)
            continue;
        unsigned long len = strtoul(entry->d_name + n, &end, 10);
        if (*end != 0 || len == 0 || len > p->st->block_bytes)
            continue;
        *size = (uint32_t)len;
        rc = 0;
    }
    closedir(dir);
    return rc;
}

/* One attempt.  -EAGAIN: the pack or the block's directory was not there at that moment. */
static int seal(const struct packs *p, uint64_t id, const char *path, int fd, uint32_t *size)
{
    const struct timespec now[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    char block[PATH_MAX];
    struct stat sb;
    int rc;

    if (fstat(fd, &sb) != 0)
        return -errno;
    if (sb.st_size == 0 || sb.st_size > p->st->block_bytes)
        return -EIO;
    *size = (uint32_t)sb.st_size;
    rc = store_block_path(p->st, id, 0, *size, block, sizeof block);
    if (rc < 0)
        return rc;
    /* Stock's garbage collector believes a block's time; what waited long is not old. */
    if (futimens(fd, now) != 0)
        return -errno;
    if (rename(path, block) == 0)
        return 0;
    if (errno == EXDEV) {
        rc = store_put_slice(p->st, id, fd, 0, *size);
        if (rc == 0)
            unlink(path); /* behind the block: killed here, it is sealed again */
        return rc;
    }
    if (errno != ENOENT)
        return write_error(block, -errno);
    rc = make_dirs(block, p->st->root_len);
    return rc == 0 ? -EAGAIN : write_error(block, rc);
}

int packs_seal(struct packs *p, uint64_t id, uint32_t *size)
{
    char path[PATH_MAX];
    int rc = -EAGAIN;

    *size = 0;
    pack_path(p, id, path);
    for (int i = 0; i < TRIES && rc == -EAGAIN; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return errno == ENOENT ? find_sealed(p, id, size) : -errno;
        rc = seal(p, id, path, fd, size);
        close(fd);
    }
    if (rc != 0)
        *size = 0;
    return rc == -EAGAIN ? -EIO : rc;
}

int packs_discard(struct packs *p, uint64_t id)
{
    char path[PATH_MAX];

    pack_path(p, id, path);
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}
