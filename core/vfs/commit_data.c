/*
 * commit_data.c - a range of a staging file, or bytes in memory, as slices in the store and the
 * records that name them.  Holes below the old length become zero records.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOLE_MIN (64 * 1024) /* a smaller hole is written as data: one slice costs more */

static void add_record(struct buf *b, uint64_t off, uint64_t id, uint32_t size, uint32_t len)
{
    uint8_t enc[RECORD_BYTES];
    struct record r = {
        .pos = (uint32_t)(off % CHUNK_BYTES), .id = id, .size = size, .off = 0, .len = len};
    record_encode(&r, enc);
    buf_add_be32(b, (uint32_t)(off / CHUNK_BYTES));
    buf_add(b, enc, sizeof enc);
}

static uint32_t to_chunk_end(uint64_t off, uint64_t end)
{
    uint64_t room = CHUNK_BYTES - off % CHUNK_BYTES;
    return (uint32_t)(end - off < room ? end - off : room);
}

static void put_zeros(struct commit *c, uint64_t off, uint64_t end)
{
    while (off < end) {
        uint32_t len = to_chunk_end(off, end);
        add_record(&c->records, off, 0, 0, len);
        off += len;
    }
}

static int put_data(struct vfs *v, struct commit *c, int fd, uint64_t off, uint64_t end)
{
    while (off < end) {
        uint32_t len = to_chunk_end(off, end);
        uint64_t id;
        int rc = meta_new_slice(v->meta, &id);
        if (rc == 0)
            rc = store_put_slice(v->store, id, fd, (off_t)off, len);
        if (rc < 0)
            return rc;
        buf_add_be64(&c->slices, id);
        buf_add_be32(&c->slices, len);
        add_record(&c->records, off, id, len, len);
        off += len;
    }
    return 0;
}

/* First byte of data at or after off, at most end. */
static uint64_t data_from(int fd, uint64_t off, uint64_t end)
{
    off_t at = lseek(fd, (off_t)off, SEEK_DATA);
    if (at < 0)
        return errno == ENXIO ? end : off; /* no SEEK_DATA here: all is data */
    return (uint64_t)at < end ? (uint64_t)at : end;
}

/* End of the data that begins at off; holes below HOLE_MIN belong to it. */
static uint64_t data_to(int fd, uint64_t off, uint64_t end)
{
    while (off < end) {
        off_t at = lseek(fd, (off_t)off, SEEK_HOLE);
        if (at < 0 || (uint64_t)at >= end)
            return end;
        uint64_t next = data_from(fd, (uint64_t)at, end);
        if (next - (uint64_t)at >= HOLE_MIN || next == end)
            return (uint64_t)at;
        off = next;
    }
    return end;
}

int commit_put_range(struct vfs *v, struct commit *c, int fd, const struct stat *sb,
                     uint64_t old_length)
{
    uint64_t off = c->lo;
    int rc = 0;
    if ((uint64_t)sb->st_blocks * 512 >= (uint64_t)sb->st_size) { /* no holes */
        rc = put_data(v, c, fd, off, c->hi);
        off = c->hi;
    }
    while (rc == 0 && off < c->hi) {
        uint64_t data = data_from(fd, off, c->hi);
        if (data - off < HOLE_MIN && data < c->hi)
            data = off;
        if (off < old_length)
            put_zeros(c, off, data < old_length ? data : old_length);
        if (data == c->hi)
            break;
        off = data_to(fd, data, c->hi);
        rc = put_data(v, c, fd, data, off);
    }
    return rc < 0 ? rc : buf_ok(&c->records) < 0 ? -ENOMEM : buf_ok(&c->slices);
}

void commit_drop_written(struct vfs *v, struct commit *c)
{
    for (size_t at = 0; at + 12 <= c->slices.len; at += 12)
        store_delete_slice(v->store, get_be64(c->slices.data + at),
                           get_be32(c->slices.data + at + 8));
    buf_clear(&c->slices);
}

/* All of a file that the volume has no byte of. */
int commit_read_content(struct vfs *v, struct commit *c, int fd, uint32_t len)
{
    uint32_t done = 0;

    c->packing = packing_buffer(v, len);
    if (c->packing == NULL)
        return -ENOMEM;
    while (done < len) {
        ssize_t n = pread(fd, (char *)c->packing + done, len - done, done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) { /* cut meanwhile, and so marked again */
            memset((char *)c->packing + done, 0, len - done);
            break;
        }
        done += (uint32_t)n;
    }
    c->content = (struct op_content){.bytes = c->packing, .len = len};
    return 0;
}

/* A slice of one block, from memory. */
int commit_put_block(struct vfs *v, struct commit *c, uint64_t off, const void *bytes, uint32_t len)
{
    struct staging_owner owner;
    uint64_t id;
    int rc = meta_new_slice(v->meta, &id);

    if (rc == 0) {
        staging_enter(v->staging, &owner);
        rc = store_put_block(v->store, id, 0, bytes, len);
        staging_leave(&owner);
    }
    if (rc < 0)
        return rc;
    buf_add_be64(&c->slices, id);
    buf_add_be32(&c->slices, len);
    add_record(&c->records, off, id, len, len);
    return buf_ok(&c->records) < 0 ? -ENOMEM : buf_ok(&c->slices);
}
