/*
 * many.c - many names made or removed with few round trips, for callers that have them all at once.
 *
 * Each is the op of the single call, so it succeeds and fails alike; only the trip is shared.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define NAMES_AT_ONCE 512
#define BYTES_AT_ONCE (256 * 1024) /* of data that each op carries along */

struct batch {
    struct vfs_name *names;
    size_t n;
    struct op ops[NAMES_AT_ONCE];
    struct op_result res[NAMES_AT_ONCE];
    struct op_cred cred;
    uint32_t groups[OP_GROUPS_MAX];
};

static int send_batch(struct vfs *v, struct batch *b)
{
    int rc = vfs_call(v, b->ops, b->n, b->res);

    for (size_t i = 0; i < b->n; i++) {
        struct vfs_name *name = &b->names[i];
        name->result = rc < 0 ? rc : b->res[i].code == OP_ESCAPE ? VFS_ESCAPE : b->res[i].code;
    }
    return rc;
}

static void free_results(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        op_result_free(&b->res[i]);
}

static struct op op_of(const struct batch *b, size_t i, uint8_t kind)
{
    return (struct op){
        .kind = kind, .cred = b->cred, .base = b->names[i].base, .path = b->names[i].path};
}

static int create_batch(struct vfs *v, struct batch *b, mode_t mode)
{
    int rc = 0;

    for (size_t i = 0; i < b->n && rc == 0; i++) {
        struct op *op = &b->ops[i];
        *op = op_of(b, i, OP_OPEN);
        op->flags = OPF_CREATE | OPF_EXCL;
        op->valid = W_OK;
        op->mode = (uint32_t)TYPE_FILE << 12 | (mode & 07777);
        op->umask = vfs_umask(v);
        rc = meta_new_inode(v->meta, &op->ino);
    }
    if (rc < 0)
        return vfs_fail(v, rc, "%s: %s", v->config.prefix, meta_error(v->meta));
    rc = send_batch(v, b);
    free_results(b);
    return rc;
}

static int unlink_batch(struct vfs *v, struct batch *b, void *held, uint32_t bytes)
{
    for (size_t i = 0; i < b->n; i++) {
        b->ops[i] = op_of(b, i, OP_UNLINK);
        b->ops[i].data = held;
        b->ops[i].data_len = bytes;
    }
    int rc = send_batch(v, b);
    for (size_t i = 0; i < b->n && rc == 0; i++)
        if (b->names[i].result == 0)
            removal_done(v, &b->res[i]);
    free_results(b);
    return rc;
}

static int all_failed(struct vfs_name *names, size_t n, int rc)
{
    for (size_t i = 0; i < n; i++)
        names[i].result = rc;
    return n > 0 ? rc : 0;
}

static size_t fitting(size_t n, uint32_t bytes)
{
    size_t most = bytes > 0 ? BYTES_AT_ONCE / bytes : NAMES_AT_ONCE;

    most = most < 1 ? 1 : most > NAMES_AT_ONCE ? NAMES_AT_ONCE : most;
    return n < most ? n : most;
}

/* The first error; one that is no name's own ends it. */
static int in_batches(struct vfs *v, struct vfs_name *names, size_t n, bool create, mode_t mode)
{
    int rc = vfs_ready(v), first = 0;
    struct batch *b = rc == 0 ? malloc(sizeof *b) : NULL;

    if (b == NULL)
        return all_failed(names, n, rc < 0 ? rc : -ENOMEM);
    caller_cred(&b->cred, b->groups);
    for (size_t at = 0; at < n && rc == 0; at += b->n) {
        uint32_t bytes = 0;
        void *held = create ? NULL : slots_held(v, &bytes);

        b->names = names + at;
        b->n = fitting(n - at, bytes);
        rc = create ? create_batch(v, b, mode) : unlink_batch(v, b, held, bytes);
        free(held);
        if (rc < 0)
            all_failed(names + at, n - at, rc);
        for (size_t i = 0; i < b->n && first == 0; i++)
            first = b->names[i].result;
    }
    free(b);
    return first;
}

int vfs_create_many(struct vfs *v, struct vfs_name *names, size_t n, mode_t mode)
{
    return in_batches(v, names, n, true, mode);
}

int vfs_unlink_many(struct vfs *v, struct vfs_name *names, size_t n)
{
    return in_batches(v, names, n, false, 0);
}
