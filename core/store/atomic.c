/*
 * atomic.c - files that appear whole: written under a temporary name, then renamed.
 *
 * The temporary name is stock's, `.jfs.NAME.tmp.NUMBER`: its garbage collector knows what a killed
 * writer left.  Nothing is synced to disk before the rename, as stock does not: that would cost a
 * disk's latency a block, and fsync() of the file system's user is where durability is asked for.
 */
#include "core/store/store_internal.h"

#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_SHOWN 200 /* bytes of the final name in the temporary one */
#define TRIES      100

uint64_t some_number(void)
{
    static uint64_t calls;
    struct timespec ts;
    uint64_t x;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    x = ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec) ^ ((uint64_t)process_id() << 40);
    x += __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * UINT64_C(0x9E3779B97F4A7C15);
    /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) >> 1;
}

int make_dirs(char *path, size_t root_len)
{
    char *slash = strchr(path + root_len, '/');
    int rc = 0;

    while (rc == 0 && slash != NULL) {
        *slash = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            rc = -errno;
        *slash = '/';
        slash = strchr(slash + 1, '/');
    }
    return rc;
}

static int name_temporary(struct atomic_file *f)
{
    const char *name = strrchr(f->path, '/') + 1;
    int len = snprintf(f->temporary, sizeof f->temporary, "%.*s.jfs.%.*s.tmp.%" PRIu64,
                       (int)(name - f->path), f->path, NAME_SHOWN, name, some_number());

    return len < (int)sizeof f->temporary ? 0 : -ENAMETOOLONG;
}

int atomic_open(struct atomic_file *f, const char *path, size_t root_len)
{
    bool made_dirs = false;

    f->path = path;
    for (int i = 0; i < TRIES; i++) {
        int rc = name_temporary(f);

        if (rc != 0)
            return rc;
        f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return 0;
        if (errno == EEXIST || errno == EINTR)
            continue;
        if (errno != ENOENT || made_dirs)
            return -errno;
        rc = make_dirs(f->temporary, root_len);
        if (rc != 0)
            return rc;
        made_dirs = true;
    }
    return -EEXIST;
}

int atomic_write(struct atomic_file *f, const void *data, size_t len)
{
    const char *at = data;

    while (len != 0) {
        ssize_t n = write(f->fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int atomic_close(struct atomic_file *f, int rc)
{
    /* NFS and quotas tell of a lack of space only here; after EINTR the descriptor is gone too. */
    if (close(f->fd) != 0 && errno != EINTR && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(f->temporary, f->path) != 0)
        rc = -errno;
    if (rc != 0)
        unlink(f->temporary);
    return rc;
}

int atomic_put(const char *path, size_t root_len, const void *data, size_t len)
{
    struct atomic_file f;
    int rc = atomic_open(&f, path, root_len);

    if (rc != 0)
        return rc;
    return atomic_close(&f, atomic_write(&f, data, len));
}
