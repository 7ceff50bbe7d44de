/*
 * sync.c - what other processes of this user left behind: their pending changes, and the contents
 * of files that they did not live to publish.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define INODES_MAX 65536 /* more than the table has slots */

/* Opening a file by its inode does what any next opener would (DESIGN 9, slots come back).  1: it
 * was left by nobody; 0: published or set aside; -errno. */
static int publish(struct vfs *v, uint64_t ino)
{
    struct vfs_loc loc;
    struct vfs_fd f;
    uint32_t number = staging_find(v->staging, ino);
    struct stat sb;

    if (number == 0 || staging_stat(v->staging, number, &sb) != 0 ||
        !staging_is_dirty(staging_slot(v->staging, number), &sb) ||
        staging_alone(v->staging, number) == false)
        return 1;
    loc_inode(&loc, ino);
    int fd = vfs_open(v, &loc, O_RDWR, 0, &f);
    if (fd < 0)
        return fd == -ENOENT || fd == -ESTALE ? 1 : fd;
    return vfs_close(v, fd, &f);
}

int vfs_sync(struct vfs *v, struct vfs_synced *out)
{
    *out = (struct vfs_synced){0};
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    out->changes = meta_pending(v->meta);
    rc = vfs_flush(v);
    uint64_t *inodes = malloc(INODES_MAX * sizeof(*inodes));
    if (inodes == NULL)
        return -ENOMEM;
    size_t n = staging_inodes(v->staging, inodes, INODES_MAX);
    for (size_t i = 0; i < n; i++) {
        int one = publish(v, inodes[i]);
        out->files += one == 0;
        out->failed += one < 0;
        if (one < 0 && rc == 0)
            rc = one;
    }
    free(inodes);
    int last = vfs_flush(v);
    return rc < 0 ? rc : last;
}
