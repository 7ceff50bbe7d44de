/*
 * in_use.c - what the staging area of this host and user holds of a volume, and what was counted
 * there, for the command.
 */
#include "core/vfs/vfs.h"

#include "core/metrics/metrics.h"
#include "core/vfs/staging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int vfs_counts(const char *cache_dir, const char *uuid, struct metrics_counts *out)
{
    char dir[PATH_MAX];

    if (!staging_area_of(cache_dir, uuid, geteuid(), dir, sizeof dir))
        return -ENAMETOOLONG;
    return metrics_read(dir, out);
}

/* More than the table has slots. */
#define INODES_MAX 65536

int vfs_in_use(const char *cache_dir, const char *uuid,
               void (*visit)(void *ctx, const struct vfs_in_use *u), void *ctx)
{
    struct staging *st = NULL;
    char dir[PATH_MAX - 8], table[PATH_MAX], err[256];
    uint64_t *inodes = NULL;
    size_t n;

    /* Looking must not make one. */
    if (!staging_area_of(cache_dir, uuid, geteuid(), dir, sizeof dir))
        return 0;
    snprintf(table, sizeof table, "%s/table", dir);
    if (access(table, F_OK) < 0)
        return 0;
    int rc = staging_open(cache_dir, uuid, &st, err, sizeof err);
    if (rc < 0)
        return rc;
    inodes = calloc(INODES_MAX, sizeof *inodes);
    if (inodes == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    n = staging_inodes(st, inodes, INODES_MAX);
    for (size_t i = 0; i < n && i < INODES_MAX; i++) {
        uint32_t number = staging_find(st, inodes[i]);
        struct slot *s = number != 0 ? staging_slot(st, number) : NULL;
        struct stat sb;
        if (s == NULL || staging_stat(st, number, &sb) < 0)
            continue; /* given back meanwhile */
        slot_lock(s);
        struct vfs_in_use u = {
            .ino = inodes[i],
            .length = (s->flags & SLOT_LANE) != 0    ? s->lane_len
                      : (s->flags & SLOT_READS) != 0 ? s->published
                                                     : (uint64_t)sb.st_size,
            .pending = (s->flags & SLOT_GONE) == 0 && staging_is_dirty(s, &sb),
            .unnamed = (s->flags & SLOT_GONE) != 0,
        };
        bool same = s->ino == inodes[i];
        slot_unlock(s);
        if (same)
            visit(ctx, &u);
    }
out:
    free(inodes);
    staging_close(st);
    return rc;
}
