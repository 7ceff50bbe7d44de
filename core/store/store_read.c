/*
 * store_read.c - reading slices, and chunks through a view.
 */
#include "core/store/store_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A missing block may be an old chunk list's, and is asked for again: it is named once. */
static int missing(struct store *st, const char *path, uint64_t id, uint32_t index)
{
    uint64_t which = (id << 12) ^ index;

    if (__atomic_exchange_n(&st->last_missing, which, __ATOMIC_RELAXED) != which)
        log_at(LOG_ERROR, "block %s is missing", path);
    return -ENOENT;
}

/* What a reader is told, see write_error() in store_write.c. */
static int read_error(const char *path, int code)
{
    log_at(LOG_ERROR, "block %s: cannot be read: %s", path, strerror(code));
    switch (code) {
    case EACCES:
    case EPERM:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return -code;
    default:
        return -EIO;
    }
}

static int read_block(struct store *st, uint64_t id, uint32_t index, uint32_t block, int fd,
                      char *out, uint32_t off, uint32_t len)
{
    char path[PATH_MAX];

    while (len != 0) {
        ssize_t n = pread(fd, out, len, (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = errno;
            store_block_path(st, id, index, block, path, sizeof path);
            if (n < 0)
                return read_error(path, code);
            log_at(LOG_ERROR, "block %s is cut off at byte %u", path, off);
            return -EIO;
        }
        out += n;
        off += (uint32_t)n;
        len -= (uint32_t)n;
    }
    return 0;
}

static int get_block(struct store *st, uint64_t id, uint32_t index, uint32_t block, uint32_t off,
                     char *out, uint32_t len)
{
    char path[PATH_MAX];
    int fd = block_open(st, id, index, block, path);

    if (fd == -ENAMETOOLONG)
        return fd;
    if (fd < 0)
        return fd == -ENOENT ? missing(st, path, id, index) : read_error(path, -fd);
    int rc = read_block(st, id, index, block, fd, out, off, len);
    block_close(st, id, index, fd);
    return rc;
}

int store_get(struct store *st, uint64_t id, uint32_t size, uint32_t off, void *out, uint32_t len)
{
    char *to = out;

    if (id == 0 || (uint64_t)off + len > size)
        return -EINVAL;
    while (len != 0) {
        uint32_t index = off / st->block_bytes, inside = off % st->block_bytes;
        uint32_t block = block_len(st, size, index);
        uint32_t n = block - inside < len ? block - inside : len;
        int rc = get_block(st, id, index, block, inside, to, n);

        if (rc != 0)
            return rc;
        to += n;
        off += n;
        len -= n;
    }
    return 0;
}

/* The part of a view's piece at pos, cut to `most` bytes (> 0); id 0: zeros.  pos is not set. */
static struct record part_at(const struct record *view, size_t n, uint32_t pos, uint32_t most)
{
    struct record part = {.len = most};
    size_t low = 0, high = n;
    uint32_t skip;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (view[middle].pos + view[middle].len > pos)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == n)
        return part; /* behind the last piece */
    skip = pos - view[low].pos;
    part = view[low];
    part.off += skip;
    part.len -= skip;
    if (part.len > most)
        part.len = most;
    return part;
}

int store_read_view(struct store *st, const struct record *view, size_t n, uint32_t pos, void *out,
                    uint32_t len)
{
    char *to = out;

    if ((uint64_t)pos + len > CHUNK_BYTES)
        return -EINVAL;
    while (len != 0) {
        struct record part = part_at(view, n, pos, len);
        int rc = 0;

        if (part.id == 0)
            memset(to, 0, part.len);
        else
            rc = store_get(st, part.id, part.size, part.off, to, part.len);
        if (rc != 0)
            return rc;
        to += part.len;
        pos += part.len;
        len -= part.len;
    }
    return 0;
}

static int write_target(int fd, const char *data, size_t len, off_t off)
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

int store_copy_view(struct store *st, const struct record *view, size_t n, uint32_t pos,
                    uint32_t len, int fd, off_t fd_off)
{
    uint32_t buf_len = len < COPY_BYTES ? len : COPY_BYTES;
    char *buf;
    int rc = 0;

    if ((uint64_t)pos + len > CHUNK_BYTES || fd_off < 0)
        return -EINVAL;
    if (len == 0)
        return 0;
    buf = malloc(buf_len);
    if (buf == NULL)
        return -ENOMEM;
    while (rc == 0 && len != 0) {
        struct record part = part_at(view, n, pos, len);

        if (part.id != 0) {
            if (part.len > buf_len)
                part.len = buf_len;
            rc = store_get(st, part.id, part.size, part.off, buf, part.len);
            if (rc == 0)
                rc = write_target(fd, buf, part.len, fd_off);
        }
        pos += part.len;
        fd_off += part.len;
        len -= part.len;
    }
    free(buf);
    return rc;
}
