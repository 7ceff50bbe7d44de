/*
 * removed.c - directories that this process removed and may still have open or be in.
 *
 * The volume forgets a removed directory; the kernel does not while somebody holds it.  What is
 * remembered here answers fstat(2) on it, open(".") and "..", for the last few.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void removed_note(struct vfs *v, uint64_t ino, uint64_t parent, const struct attr *a)
{
    pthread_mutex_lock(&v->lock);
    struct removed *r = &v->removed[v->removed_next++ % REMOVED_KEPT];
    *r = (struct removed){.ino = ino, .parent = parent, .attr = *a};
    r->attr.nlink = 0;
    pthread_mutex_unlock(&v->lock);
}

static bool find(struct vfs *v, uint64_t ino, struct removed *out)
{
    bool found = false;
    pthread_mutex_lock(&v->lock);
    for (unsigned i = 0; i < REMOVED_KEPT && !found; i++) {
        found = v->removed[i].ino == ino;
        if (found)
            *out = v->removed[i];
    }
    pthread_mutex_unlock(&v->lock);
    return found;
}

static int set(struct vfs *v, struct removed *d, const struct op *op)
{
    int rc = meta_setattr_unnamed(op, &d->attr);
    pthread_mutex_lock(&v->lock);
    for (unsigned i = 0; i < REMOVED_KEPT && rc == 0; i++) {
        if (v->removed[i].ino == d->ino)
            v->removed[i].attr = d->attr;
    }
    pthread_mutex_unlock(&v->lock);
    return rc;
}

bool removed_answer(struct vfs *v, struct request *r)
{
    struct op *op = &r->op;
    const char *path = op->path != NULL ? op->path : "";
    struct removed d;

    if (op->base == 0 || op->base == INO_ROOT || !find(v, op->base, &d))
        return false;
    if (path[0] != '\0' && !meta_may(&op->cred, &d.attr, 1)) {
        r->res.code = -EACCES;
        return true;
    }
    while (path[0] == '.' && path[1] == '/')
        path += 1 + strspn(path + 1, "/");
    if (path[0] == '.' && path[1] == '.' && (path[2] == '/' || path[2] == '\0')) {
        op->base = d.parent;
        op->path = path + 2 + strspn(path + 2, "/");
        r->res.code = meta_call(v->meta, op, 1, &r->res) < 0 ? -EIO : r->res.code;
        return true;
    }
    if ((path[0] != '\0' && strcmp(path, ".") != 0) || (op->flags & OPF_CREATE) != 0)
        return false;
    int code = op->kind == OP_SETATTR ? set(v, &d, op) : 0;
    if (op->kind != OP_SETATTR && op->kind != OP_LOOKUP && op->kind != OP_OPEN)
        return false;
    r->res = (struct op_result){
        .code = code, .ino = d.ino, .parent = d.parent, .has_attr = true, .attr = d.attr};
    return true;
}
