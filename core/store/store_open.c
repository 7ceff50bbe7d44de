/*
 * store_open.c - the block that is being read stays open: files of a pack are read one after the
 * other, and finding a block by its path costs more than reading a small file from it.
 *
 * One is kept, from the second reading in a row on.  A block never changes, so what is read from
 * one that was removed meanwhile is what it held.
 */
#include "core/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define HIGH_FD 700 /* out of the program's way */

static int open_block(const char *path)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int block_open(struct store *st, uint64_t id, uint32_t index, uint32_t len, char path[PATH_MAX])
{
    int fd = -1, rc = 0;

    pthread_mutex_lock(&st->lock);
    bool again = st->last_id == id && st->last_index == index;
    if (again && st->kept_fd >= 0 && !st->kept_busy) {
        st->kept_busy = true;
        fd = st->kept_fd;
    }
    pthread_mutex_unlock(&st->lock);
    if (fd >= 0)
        return fd;
    rc = store_block_path(st, id, index, len, path, PATH_MAX);
    return rc < 0 ? rc : open_block(path);
}

/* Locked. */
static void keep(struct store *st, int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    st->kept_fd = high;
}

void block_close(struct store *st, uint64_t id, uint32_t index, int fd)
{
    int old = -1;

    pthread_mutex_lock(&st->lock);
    bool again = st->last_id == id && st->last_index == index;
    bool kept = fd == st->kept_fd;
    if (kept)
        st->kept_busy = false;
    if (!again && !st->kept_busy) {
        old = st->kept_fd;
        st->kept_fd = -1;
        st->last_id = id;
        st->last_index = index;
    } else if (again && st->kept_fd < 0) {
        keep(st, fd);
    }
    pthread_mutex_unlock(&st->lock);
    if (old >= 0)
        close(old);
    if (!kept)
        close(fd);
}

int store_fd(const struct store *st)
{
    return st->kept_fd;
}

void store_fd_moved(struct store *st, int fresh)
{
    st->kept_fd = fresh;
}

void store_after_fork(struct store *st)
{
    pthread_mutex_init(&st->lock, NULL); /* another thread of the parent may have held it */
    st->kept_busy = false;
}
