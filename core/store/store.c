/*
 * store.c - where blocks are: opening the directory, names of blocks, looking at and removing them.
 *
 * No descriptor is kept open: the process is someone else's, and paths survive a remount.
 */
#include "core/store/store_internal.h"

#include "core/base/line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BELOW_ROOT 160 /* a block's temporary name with all numbers at their longest */

int root_path(const struct setting *s, char out[PATH_MAX])
{
    /* concatenated as they are: Bucket normally ends in a slash */
    int len = snprintf(out, PATH_MAX, "%s%s/", s->bucket, s->name);

    return len + PATH_BELOW_ROOT < PATH_MAX ? len : -ENAMETOOLONG;
}

static int check_root(const char *root, char *err, size_t errlen)
{
    struct stat sb;
    int rc = 0;

    if (stat(root, &sb) != 0)
        rc = -errno;
    else if (!S_ISDIR(sb.st_mode))
        rc = -ENOTDIR;
    if (rc != 0)
        line_set(err, errlen, "the volume's directory of blocks, %s: %s", root, strerror(-rc));
    return rc;
}

int store_open(const struct setting *s, struct store **out, char *err, size_t errlen)
{
    char root[PATH_MAX];
    struct store *st;
    int len, rc;

    *out = NULL;
    rc = setting_store_supported(s, err, errlen);
    if (rc != 0)
        return rc;
    len = root_path(s, root);
    if (len < 0) {
        line_set(err, errlen, "Bucket \"%.64s...\" is too long", s->bucket);
        return len;
    }
    rc = check_root(root, err, errlen);
    if (rc != 0)
        return rc;
    st = calloc(1, sizeof *st + (size_t)len + 1);
    if (st == NULL) {
        line_set(err, errlen, "out of memory");
        return -ENOMEM;
    }
    st->block_bytes = s->block_kib << 10;
    st->hash_prefix = s->hash_prefix;
    st->root_len = (size_t)len;
    memcpy(st->root, root, (size_t)len + 1);
    pthread_mutex_init(&st->lock, NULL);
    st->kept_fd = -1;
    *out = st;
    return 0;
}

void store_close(struct store *st)
{
    if (st != NULL && st->kept_fd >= 0)
        close(st->kept_fd);
    free(st);
}

uint32_t store_block_bytes(const struct store *st)
{
    return st->block_bytes;
}

uint32_t block_count(const struct store *st, uint32_t size)
{
    return size == 0 ? 0 : (size - 1) / st->block_bytes + 1;
}

uint32_t block_len(const struct store *st, uint32_t size, uint32_t index)
{
    uint64_t from = (uint64_t)index * st->block_bytes;

    return size - from < st->block_bytes ? (uint32_t)(size - from) : st->block_bytes;
}

int store_block_path(const struct store *st, uint64_t id, uint32_t index, uint32_t len, char *out,
                     size_t cap)
{
    const char *form = st->hash_prefix ? "%schunks/%02" PRIX64 "/%" PRIu64 "/%" PRIu64 "_%u_%u"
                                       : "%schunks/%" PRIu64 "/%" PRIu64 "/%" PRIu64 "_%u_%u";
    uint64_t first = st->hash_prefix ? id % 256 : id / 1000000;
    uint64_t second = st->hash_prefix ? id / 1000000 : id / 1000;
    int n = snprintf(out, cap, form, st->root, first, second, id, index, len);

    return n >= 0 && (size_t)n < cap ? n : -ENAMETOOLONG;
}

int store_delete_slice(struct store *st, uint64_t id, uint32_t size)
{
    uint32_t count = block_count(st, size);
    char path[PATH_MAX];
    int rc = 0;

    for (uint32_t i = 0; i < count; i++) {
        int one = store_block_path(st, id, i, block_len(st, size, i), path, sizeof path);

        if (one >= 0)
            one = unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
        if (one != 0 && rc == 0)
            rc = one; /* the others are removed all the same */
    }
    return rc;
}

int store_check_block(struct store *st, uint64_t id, uint32_t index, uint32_t len, off_t *have)
{
    char path[PATH_MAX];
    struct stat sb;
    int rc;

    *have = 0;
    rc = store_block_path(st, id, index, len, path, sizeof path);
    if (rc < 0)
        return rc;
    if (stat(path, &sb) != 0)
        return -errno;
    if (!S_ISREG(sb.st_mode))
        return -EIO;
    *have = sb.st_size;
    return sb.st_size < (off_t)len ? -EIO : 0;
}
