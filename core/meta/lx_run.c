/*
 * lx_run.c - the ops of a request, one after another in one transaction (dispatch, op_batch).
 */
#include "core/meta/lx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const lx_op ops[OP_KINDS] = {
    [OP_LOOKUP] = lx_op_lookup,
    [OP_OPEN] = lx_op_open,
    [OP_READDIR] = lx_op_readdir,
    [OP_CHUNKS] = lx_op_chunks,
    [OP_GETXATTR] = lx_op_getxattr,
    [OP_LISTXATTR] = lx_op_listxattr,
    [OP_STATFS] = lx_op_statfs,
    [OP_PATHOF] = lx_op_pathof,
    [OP_MKNOD] = lx_op_mknod,
    [OP_MKDIR] = lx_op_mkdir,
    [OP_SYMLINK] = lx_op_symlink,
    [OP_LINK] = lx_op_link,
    [OP_UNLINK] = lx_op_unlink,
    [OP_RMDIR] = lx_op_rmdir,
    [OP_RENAME] = lx_op_rename,
    [OP_SETATTR] = lx_op_setattr,
    [OP_TRUNCATE] = lx_op_truncate,
    [OP_WRITE] = lx_op_write,
    [OP_FALLOCATE] = lx_op_fallocate,
    [OP_SETXATTR] = lx_op_setxattr,
    [OP_REMOVEXATTR] = lx_op_removexattr,
    [OP_PURGE] = lx_op_purge,
    [OP_FORGET] = lx_op_forget,
    [OP_MAKE] = lx_op_make,
    [OP_REPACK] = lx_op_repack,
    [OP_RECOUNT] = lx_op_recount,
    [OP_AHEAD] = lx_op_ahead,
};

static int run(struct lx *x, const struct op *op, struct op_result *res)
{
    lx_op fn = op->kind < OP_KINDS ? ops[op->kind] : NULL;

    x->op = op;
    x->res = res;
    x->has_quotas = -1;
    if (op->kind != OP_MAKE)
        x->request->dir = 0;
    if (op->kind != OP_MAKE && op->kind != OP_WRITE)
        lx_count_packs(x);
    int rc = fn != NULL ? fn(x) : -EINVAL;
    if (rc == LX_ESCAPE && res->rflags == 0)
        res->rflags = 1; /* the first path, unless the op said it was the second */
    if (rc < 0) {
        op_result_free(res);
        memset(res, 0, sizeof(*res));
    } else if (buf_ok(&res->extra) < 0) {
        return -ENOMEM;
    }
    res->code = rc;
    return x->fatal;
}

/* The ops of a request, within a transaction. */
static int run_ops(struct lx *x, struct engine_request *rq)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < rq->n; i++)
        rc = run(x, &rq->ops[i], &rq->res[i]);
    return rc == 0 && rq->npacks > 0 ? lx_close_packs(x, rq->packs) : rc;
}

static int run_batch(struct lx *x, struct engine_request *rq)
{
    struct buf kept = {0};
    int rc = lx_seq_begin(x, rq, &kept);

    if (rc == 0 && rq->outcome == BATCH_APPLIED) {
        rc = run_ops(x, rq);
        if (rc == 0)
            rc = lx_seq_store(x, rq, &kept);
    }
    buf_free(&kept);
    return rc;
}

int lx_run(struct kv *kv, struct engine_request *rq, bool write)
{
    struct lx_request shared = {.npacks = rq->npacks};
    struct lx x = {.kv = kv, .env = rq->env, .request = &shared};
    int rc = 0;

    if (rq->npacks > 0)
        shared.packs = calloc(rq->npacks, sizeof(*shared.packs));
    if (rq->npacks > 0 && shared.packs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < rq->npacks; i++) {
        shared.packs[i].id = rq->packs[i].id;
        shared.packs[i].size = rq->packs[i].size;
    }
    rc = kv_begin(kv, write);
    if (rc == 0) {
        rc = rq->board != NULL ? run_batch(&x, rq) : run_ops(&x, rq);
        if (rc == 0 && write)
            rc = kv_commit(kv, false);
        else
            kv_abort(kv);
    }
    free(shared.packs);
    return rc;
}
