/*
 * store_internal - what the files of this folder share: paths, and files that appear whole.
 *
 * Layer: store.
 */
#ifndef JFSPRE_CORE_STORE_STORE_INTERNAL_H
#define JFSPRE_CORE_STORE_STORE_INTERNAL_H

#include "core/store/store.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_BYTES (256 << 10) /* of a copy's buffer: it stays in the processor's cache */

struct store {
    uint32_t block_bytes;
    bool hash_prefix;
    pthread_mutex_t lock; /* the next four: store_open.c */
    int kept_fd;          /* on the block that was read last; -1: none */
    bool kept_busy;
    uint64_t last_id;
    uint32_t last_index;
    uint64_t last_missing; /* block that was named last, so that retries do not fill the log */
    size_t root_len;
    char root[]; /* Bucket and Name, with the slash behind */
};

/* Bytes of block `index` of a slice, which has one. */
uint32_t block_len(const struct store *st, uint32_t size, uint32_t index);
uint32_t block_count(const struct store *st, uint32_t size);

/* Bucket + Name + "/" into out; its length or -ENAMETOOLONG when a block's path would not fit. */
int root_path(const struct setting *s, char out[PATH_MAX]);

/* What a writer is told of rc; the log has the true one (store_write.c). */
int write_error(const char *path, int rc);

/* --- store_open.c ------------------------------------------------------------------------------
 */

/* A descriptor to read the block from, for block_close(), or -errno; path is set in that case. */
int block_open(struct store *st, uint64_t id, uint32_t index, uint32_t len, char path[PATH_MAX]);
void block_close(struct store *st, uint64_t id, uint32_t index, int fd);

/* --- atomic.c: a file under a temporary name, in the final directory ----------------------------
 */

struct atomic_file {
    int fd;
    const char *path; /* the caller's, until atomic_close() */
    char temporary[PATH_MAX];
};

/* Makes missing directories below the first root_len bytes of path, and none above.  0 or -errno.
 */
int atomic_open(struct atomic_file *f, const char *path, size_t root_len);
int atomic_write(struct atomic_file *f, const void *data, size_t len);
/* After all writes: closes, and renames where rc is 0, else removes.  Returns rc or its own error.
 */
int atomic_close(struct atomic_file *f, int rc);
/* All of it. */
int atomic_put(const char *path, size_t root_len, const void *data, size_t len);

/* Makes the missing directories of path below its first root_len bytes; path is changed meanwhile.
 */
int make_dirs(char *path, size_t root_len);

uint64_t some_number(void); /* differs from call to call and process to process; 63 bits */

#endif
