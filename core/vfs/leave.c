/*
 * leave.c - the end of a process that still holds descriptors.
 */
#include "core/vfs/vfs_internal.h"

#include <unistd.h>

int vfs_leave(struct vfs *v, int fd, const struct vfs_fd *f)
{
    if (!f->borrowed)
        return vfs_close(v, fd, f);
    close(fd);
    int rc = v->staging != NULL && f->kind == VFS_FILE && staging_alone(v->staging, f->slot)
                 ? vfs_commit(v, -1, f)
                 : 0;
    vfs_release(v, f);
    return rc;
}
