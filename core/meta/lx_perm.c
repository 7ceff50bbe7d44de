/*
 * lx_perm.c - who may do what (lib_perm).  Volumes with ACLs are refused when they are opened, so
 * the mode decides alone.
 */
#include "core/meta/lx.h"
#include "core/meta/meta.h"

#include <errno.h>
#include <sys/stat.h>

bool lx_has_group(const struct op_cred *c, uint32_t gid)
{
    if (c->gid == gid)
        return true;
    for (uint16_t i = 0; i < c->ngroups; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

bool lx_in_group(const struct lx *x, uint32_t gid)
{
    return lx_has_group(&x->op->cred, gid);
}

bool meta_may(const struct op_cred *cred, const struct attr *a, uint32_t mask)
{
    if (cred->uid == 0)
        return (mask & 1) == 0 || a->type == TYPE_DIRECTORY || (a->mode & 0111) != 0;
    uint32_t mode = a->mode;
    if (cred->uid == a->uid)
        mode >>= 6;
    else if (lx_has_group(cred, a->gid))
        mode >>= 3;
    return (mode & mask) == mask;
}

bool lx_may(const struct lx *x, const struct attr *a, uint32_t mask)
{
    return meta_may(&x->op->cred, a, mask);
}

bool lx_sticky(const struct lx *x, const struct attr *dir, const struct attr *a)
{
    uint32_t uid = x->op->cred.uid;
    return uid != 0 && (dir->mode & S_ISVTX) != 0 && uid != dir->uid && uid != a->uid;
}

int lx_may_remove(struct lx *x, uint64_t dir, const struct attr *d, const struct attr *a)
{
    const uint8_t frozen = ATTR_IMMUTABLE | ATTR_APPEND;
    if (!lx_may(x, d, 3))
        return -EACCES;
    if ((lx_is_trash(dir) && x->op->cred.uid != 0) || (d->flags & frozen) != 0)
        return -EPERM;
    if (a != NULL && (lx_sticky(x, d, a) || (a->flags & frozen) != 0))
        return -EPERM;
    return 0;
}

bool meta_may_link(const struct op_cred *cred, const struct attr *a)
{
    const struct op op = {.cred = *cred};
    struct lx x = {.op = &op};
    return lx_may_link(&x, a);
}

bool lx_may_link(struct lx *x, const struct attr *a)
{
    uint32_t uid = x->op->cred.uid;
    if (uid == 0 || uid == a->uid)
        return true;
    return a->type == TYPE_FILE && (a->mode & S_ISUID) == 0 && (a->mode & 02010) != 02010 &&
           lx_may(x, a, 6);
}
