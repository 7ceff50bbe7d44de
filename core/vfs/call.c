/*
 * call.c - from a vfs call to a request of the metadata: who asks, and what the answer means.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"
#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(OP_GROUPS_MAX == PROCESS_GROUPS_MAX, "all that are told are sent");

void caller_cred(struct op_cred *cred, uint32_t groups[OP_GROUPS_MAX])
{
    const struct process_ids *ids = process_ids();

    cred->uid = ids->uid;
    cred->gid = ids->gid;
    cred->groups = groups;
    cred->ngroups = ids->ngroups;
    memcpy(groups, ids->groups, ids->ngroups * sizeof *groups);
    if (ids->left_out > 0)
        log_once(LOG_WARN, "only the first %d of %u supplementary groups count", OP_GROUPS_MAX,
                 OP_GROUPS_MAX + ids->left_out);
}

void request_init(struct vfs *v, struct request *r, uint8_t kind, const struct vfs_loc *loc)
{
    memset(&r->op, 0, sizeof r->op);
    memset(&r->res, 0, sizeof r->res);
    r->op.kind = kind;
    caller_cred(&r->op.cred, r->groups);
    if (loc != NULL) {
        r->op.base = loc->base;
        r->op.path = loc->path;
    }
}

void request_inode(struct vfs *v, struct request *r, uint8_t kind, uint64_t ino)
{
    request_init(v, r, kind, NULL);
    r->op.base = ino;
}

int result_code(const struct op_result *res, struct vfs_loc *loc)
{
    if (res->code != OP_ESCAPE)
        return res->code;
    if (loc == NULL || res->extra.len == 0)
        return -EIO;
    if (res->extra.len >= sizeof loc->native)
        return -ENAMETOOLONG;
    memcpy(loc->native, res->extra.data, res->extra.len);
    loc->native[res->extra.len] = '\0';
    return VFS_ESCAPE;
}

/* Refusals that come from the server, not from the rules of the op, have its words in extra. */
static void log_refusal(struct vfs *v, const struct op_result *res)
{
    if ((res->code == -EIO || res->code == -ENOSPC || res->code == -EROFS) && res->extra.len > 0)
        vfs_fail(v, 0, "%s: %.*s", v->config.prefix, (int)res->extra.len,
                 (const char *)res->extra.data);
}

int vfs_call(struct vfs *v, struct op *ops, size_t n, struct op_result *res)
{
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    rc = meta_call(v->meta, ops, n, res);
    if (rc == -EAGAIN) /* only a commit's: content that is not packed */
        return rc;
    if (rc < 0)
        return vfs_fail(v, rc, "%s: %s", v->config.prefix, meta_error(v->meta));
    for (size_t i = 0; i < n; i++)
        log_refusal(v, &res[i]);
    return 0;
}

int request_call(struct vfs *v, struct request *r, struct vfs_loc *loc)
{
    int rc = vfs_call(v, &r->op, 1, &r->res);
    if (rc == 0 && r->res.code == -ENOENT)
        removed_answer(v, r);
    return rc < 0 ? rc : result_code(&r->res, loc);
}

int request_simple(struct vfs *v, struct request *r, uint8_t kind, struct vfs_loc *loc)
{
    request_init(v, r, kind, loc);
    return request_call(v, r, loc);
}

void request_fini(struct request *r)
{
    op_result_free(&r->res);
}

int vfs_take_inode(struct vfs *v, uint64_t *ino)
{
    pthread_mutex_lock(&v->lock);
    *ino = v->spare_ino;
    v->spare_ino = 0;
    pthread_mutex_unlock(&v->lock);
    if (*ino != 0)
        return 0;
    int rc = vfs_ready_to_make(v);
    return rc < 0 ? rc : meta_new_inode(v->meta, ino);
}

void vfs_put_inode(struct vfs *v, uint64_t ino)
{
    pthread_mutex_lock(&v->lock);
    v->spare_ino = ino;
    pthread_mutex_unlock(&v->lock);
}

void vfs_set_umask(struct vfs *v, mode_t mask)
{
    atomic_store(&v->umask, (int)(mask & 0777));
}

/* The kernel tells the umask only by changing it, which other threads would see; /proc shows it. */
uint16_t vfs_umask(struct vfs *v)
{
    int known = atomic_load(&v->umask);
    if (known >= 0)
        return (uint16_t)known;
    char text[4096];
    unsigned mask = 022;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        const char *at = strstr(text, "\nUmask:");
        if (at != NULL)
            mask = (unsigned)strtoul(at + 7, NULL, 8);
    }
    vfs_set_umask(v, mask);
    return (uint16_t)mask;
}

void vfs_drop_slices(struct vfs *v, const struct buf *pairs)
{
    struct staging_owner owner;
    staging_enter(v->staging, &owner);
    for (size_t at = 0; at + 12 <= pairs->len; at += 12) {
        uint64_t id = get_be64(pairs->data + at);
        uint32_t size = get_be32(pairs->data + at + 8);
        /* A block that stays is found by `gc`, its reference is negative already. */
        if (store_delete_slice(v->store, id, size) == 0)
            meta_forget_later(v->meta, id, size);
    }
    staging_leave(&owner);
}

int vfs_fail(struct vfs *v, int rc, const char *fmt, ...)
{
    char text[sizeof v->error];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (strcmp(text, v->error) != 0) {
        memcpy(v->error, text, sizeof text);
        log_at(LOG_ERROR, "%s", text);
    }
    return rc;
}
