/*
 * early_xattrs.c - extended attributes that are not there, and names that nothing ever has.
 *
 * Programs that copy ask each file for its list, for its ACL, and set an ACL: three round trips
 * that find nothing.  What is there, and what really sets something, is the store's business.
 */
#include "core/meta/early.h"

#include <errno.h>

/* The object, when what its attributes say of a name may be believed. */
static struct node *object(struct batch *b, const struct op *op)
{
    struct place p;
    if (op->cred.uid != b->uid || !early_find(b, op, op->base, op->path, &p))
        return NULL;
    struct node *n = early_object(b, &p);
    bool follows = n != NULL && n->a.type == TYPE_SYMLINK && (op->flags & OPF_NOFOLLOW) == 0;
    return follows ? NULL : n;
}

/* What the name alone decides: no volume of ours has ACLs or security labels. */
static int refused(struct batch *b, const struct op *op, const struct node *n, uint32_t mask)
{
    struct lx x = early_rules(b, op);
    int rc = lx_xattr_permitted(&x, &n->a, op->path2 != NULL ? op->path2 : "", mask);
    return rc == -EOPNOTSUPP || rc == -ENODATA ? rc : rc < 0 ? -EINPROGRESS : 0;
}

bool early_listxattr(struct batch *b, const struct op *op, struct op_result *res)
{
    struct node *n = object(b, op);
    return n != NULL && early_is_bare(b, n) && early_answer(res, n);
}

bool early_getxattr(struct batch *b, const struct op *op, struct op_result *res)
{
    struct node *n = object(b, op);
    int rc = n != NULL ? refused(b, op, n, 4) : -EINPROGRESS;
    if (rc == 0 && early_is_bare(b, n))
        rc = -ENODATA;
    return rc < 0 && rc != -EINPROGRESS && early_refuse(res, rc);
}

/* Of n, which has none, by whoever may. */
static bool nothing_to_replace(const struct batch *b, const struct op *op, const struct node *n)
{
    bool replaces = op->kind == OP_REMOVEXATTR || (op->mode & 2) != 0;
    return replaces && early_is_bare(b, n);
}

bool early_setxattr(struct batch *b, const struct op *op, struct op_result *res)
{
    bool sets = op->kind == OP_SETXATTR;
    struct node *n = object(b, op);
    if (n == NULL || (sets && (op->mode > 3 || op->data_len > XATTR_VALUE_MAX)))
        return false;
    int rc = refused(b, op, n, 2);
    if (rc == 0 && nothing_to_replace(b, op, n))
        rc = -ENODATA;
    if (rc < 0 && rc != -EINPROGRESS)
        return early_refuse(res, rc);
    if (sets)
        n->bare_ns = 0; /* whatever becomes of it */
    return false;
}
