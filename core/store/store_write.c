/*
 * store_write.c - making blocks.
 */
#include "core/store/store_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a writer is told: errors that write(2) has go through, the rest means that the store is not
 * what it should be.  The log has the true one. */
int write_error(const char *path, int rc)
{
    log_at(LOG_ERROR, "block %s: cannot be written: %s", path, strerror(-rc));
    switch (-rc) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EACCES:
    case EPERM:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return rc;
    default:
        return -EIO;
    }
}

int store_put_block(struct store *st, uint64_t id, uint32_t index, const void *data, uint32_t len)
{
    char path[PATH_MAX];
    int rc;

    if (id == 0 || len == 0 || len > st->block_bytes)
        return -EINVAL;
    rc = store_block_path(st, id, index, len, path, sizeof path);
    if (rc < 0)
        return rc;
    rc = atomic_put(path, st->root_len, data, len);
    return rc == 0 ? 0 : write_error(path, rc);
}

/* Fills buf from fd; behind the end of the file there are zeros. */
static int read_source(int fd, off_t off, char *buf, size_t len)
{
    while (len != 0) {
        ssize_t n = pread(fd, buf, len, off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            memset(buf, 0, len);
            return 0;
        }
        buf += n;
        off += n;
        len -= (size_t)n;
    }
    return 0;
}

/* One block from fd at off, piece by piece through buf. */
static int copy_block(struct store *st, const char *path, int fd, off_t off, uint32_t len,
                      char *buf, size_t buf_len)
{
    struct atomic_file f;
    int source = 0, rc = atomic_open(&f, path, st->root_len);

    if (rc != 0)
        return write_error(path, rc);
    while (rc == 0 && len != 0) {
        size_t n = len < buf_len ? len : buf_len;

        source = read_source(fd, off, buf, n);
        rc = source != 0 ? source : atomic_write(&f, buf, n);
        off += (off_t)n;
        len -= (uint32_t)n;
    }
    rc = atomic_close(&f, rc);
    if (source != 0)
        return source;
    return rc == 0 ? 0 : write_error(path, rc);
}

int store_put_slice(struct store *st, uint64_t id, int fd, off_t off, uint32_t len)
{
    uint32_t count, done;
    char path[PATH_MAX];
    size_t buf_len;
    char *buf;
    int rc = 0;

    if (id == 0 || len == 0 || len > CHUNK_BYTES || off < 0)
        return -EINVAL;
    buf_len = len < COPY_BYTES ? len : COPY_BYTES;
    buf = malloc(buf_len);
    if (buf == NULL)
        return -ENOMEM;
    count = block_count(st, len);
    for (done = 0; done < count; done++) {
        uint32_t n = block_len(st, len, done);

        rc = store_block_path(st, id, done, n, path, sizeof path);
        if (rc >= 0)
            rc = copy_block(st, path, fd, off + (off_t)done * st->block_bytes, n, buf, buf_len);
        if (rc != 0)
            break;
    }
    free(buf);
    if (rc == 0)
        return 0;
    /* No record names them.  What cannot be removed is left to the garbage collector. */
    while (done-- > 0) {
        if (store_block_path(st, id, done, block_len(st, len, done), path, sizeof path) >= 0)
            unlink(path);
    }
    return rc;
}
