/*
 * store - the bytes of slices, as blocks in a directory (juicefs-format.md 6: `file` storage).
 *
 * A slice of `size` bytes has blocks of BlockSize, the last one shorter; a block is a file that is
 * complete before it has its name and never changes after.  Nothing here sees a name, a path of the
 * volume or an inode.
 *
 * Layer:   uses format, base.  Used by vfs and tools.
 * Threads: every call, from any thread.
 * Errors:  0 or -errno; -EIO with a log line naming the block for one that is missing or short.
 */
#ifndef JFSPRE_CORE_STORE_STORE_H
#define JFSPRE_CORE_STORE_STORE_H

#include "core/format/record.h"
#include "core/format/setting.h"

#include <stdbool.h>
#include <sys/types.h>

struct store;

/* -ENOTSUP with one line for a storage, compression or sharding not built in; -ENOENT / -EACCES /
 * -ENOTDIR naming the directory when it is missing or not one: a bucket whose disk is not mounted
 * must not be taken for an empty one.  Copies what it needs of *s. */
int store_open(const struct setting *s, struct store **out, char *err, size_t errlen);
void store_close(struct store *st); /* NULL is fine */
uint32_t store_block_bytes(const struct store *st);
int store_fd(const struct store *st); /* kept open, or -1 */
void store_fd_moved(struct store *st, int fresh);
void store_after_fork(struct store *st); /* in the child */

/* Path of a block; returns its length or -ENAMETOOLONG. */
int store_block_path(const struct store *st, uint64_t id, uint32_t index, uint32_t len, char *out,
                     size_t cap);

/* Writes one block: temporary name in the final directory, then rename (6.3).  Replaces. */
int store_put_block(struct store *st, uint64_t id, uint32_t index, const void *data, uint32_t len);

/* Makes a slice of len bytes (1..64 MiB) from fd at off, block by block through one bounded buffer.
 * A file that became shorter meanwhile gives zeros.  On error the blocks written are removed. */
int store_put_slice(struct store *st, uint64_t id, int fd, off_t off, uint32_t len);

/* Reads [off, off+len) of slice (id, size) into out.  -ENOENT: a block is missing (the caller
 * fetches the chunk list again), -EIO: short. */
int store_get(struct store *st, uint64_t id, uint32_t size, uint32_t off, void *out, uint32_t len);

/* Reads [pos, pos+len) of a chunk through a view (record.h); holes and what lies after it are
 * zeros. */
int store_read_view(struct store *st, const struct record *view, size_t n, uint32_t pos, void *out,
                    uint32_t len);

/* Copies the same range into fd at fd_off, leaving what is there where the view has zeros.  fd must
 * not be O_APPEND: Linux's pwrite(2) would append. */
int store_copy_view(struct store *st, const struct record *view, size_t n, uint32_t pos,
                    uint32_t len, int fd, off_t fd_off);

/* Removes the blocks of a slice; absent ones are fine. */
int store_delete_slice(struct store *st, uint64_t id, uint32_t size);

/* fsck: 0, -ENOENT missing, -EIO shorter than its name says (bytes in *have). */
int store_check_block(struct store *st, uint64_t id, uint32_t index, uint32_t len, off_t *have);

/* gc: a file below the directory of blocks that has the name of one. */
struct store_object {
    const char *path;
    uint64_t id;
    uint32_t index, len;
    bool is_temporary; /* a writer's, or left by one that died */
};
/* Visits them in no order; names of another shape are passed over.  visit may remove what it is
 * given, and stops the walk by a value below 0, which is returned.  Else 0 or -errno naming the
 * directory in the log. */
int store_walk(const struct store *st, int (*visit)(void *ctx, const struct store_object *o),
               void *ctx);

/* format (1.2): refuses a non-empty place with -ENOTEMPTY, tries a write, leaves juicefs_uuid. */
int store_format(const struct setting *s, char *err, size_t errlen);

#endif
