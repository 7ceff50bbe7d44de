/*
 * commit.c - what was written to a staging file becomes slices and records of the volume.
 *
 * Order: the file is marked clean, then read, so that a write meanwhile marks it again; blocks are
 * complete before the record that names them is sent; one request carries the new length and all
 * records, so others see the whole commit or none of it.
 *
 * What is written: the range that wrappers saw; all of it (above `published`) when somebody wrote
 * past the wrappers.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What was written keeps its time, unless more was written since. */
static void dirty_again(struct vfs *v, struct commit *c)
{
    struct slot *s = c->slot;
    bool lane = (s->flags & SLOT_LANE) != 0; /* whose range says all */
    struct timespec then[2] = {{.tv_nsec = UTIME_OMIT}, c->mtime};
    struct stat sb;
    int fd = lane ? -1 : staging_open_file(v->staging, c->number, O_RDWR);
    if (c->mtime.tv_sec == STAGING_CLEAN_SEC)
        then[1].tv_nsec = UTIME_NOW; /* mapped: stored to without a new mtime */
    if (fd >= 0) {
        if (fstat(fd, &sb) != 0 || !staging_is_touched(s, &sb))
            futimens(fd, then);
        staging_close_file(v->staging, c->number, fd);
    }
    if (c->lo < s->dirty_lo)
        s->dirty_lo = c->lo;
    if (c->hi > s->dirty_hi)
        s->dirty_hi = c->hi;
}

static struct op *next_op(struct commit *c, uint8_t kind)
{
    struct op *op = &c->ops[c->n];
    memset(op, 0, sizeof *op);
    memset(&c->res[c->n++], 0, sizeof c->res[0]);
    op->kind = kind;
    caller_cred(&op->cred, c->groups);
    op->base = c->slot->ino;
    return op;
}

/* It was not packed after all: it gets a block of its own. */
static int put_content(struct vfs *v, struct commit *c)
{
    int rc = commit_put_block(v, c, 0, c->content.bytes, c->content.len);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < c->n; i++) {
        if (c->ops[i].content == NULL)
            continue;
        c->ops[i].content = NULL;
        c->ops[i].data = c->records.data;
        c->ops[i].data_len = (uint32_t)c->records.len;
    }
    return 0;
}

static void add_write(struct commit *c)
{
    const struct slot *s = c->slot;
    struct op *op = next_op(c, OP_WRITE);
    bool unseen = (s->flags & (SLOT_DIRECT | SLOT_MAPPED | SLOT_TORN)) != 0;

    op->content = c->content.len > 0 ? &c->content : NULL;
    op->data = c->records.data;
    op->data_len = (uint32_t)c->records.len;
    op->mtime = (struct moment){.sec = c->mtime.tv_sec, .nsec = (uint32_t)c->mtime.tv_nsec};
    if (c->mtime.tv_sec == STAGING_CLEAN_SEC)
        op->mtime = clock_now(); /* mapped: stored to without a new mtime */
    if (unseen && op->cred.uid != 0)
        op->flags = OPF_KILLPRIV;
}

static bool may_pack(struct vfs *v, const struct commit *c, const struct attr *seen, uint64_t size)
{
    return size > 0 && seen->length == 0 && c->slot->published == 0 && size <= packing_max(v);
}

static int prepare(struct vfs *v, struct commit *c, bool first, int fd, const struct stat *sb)
{
    struct slot *s = c->slot;
    struct attr seen;

    if ((s->flags & SLOT_GONE) != 0 || (s->flags & SLOT_FILLED) == 0)
        return 0;
    if (!slot_seen_get(s, &seen))
        return -EIO;
    uint64_t size = (uint64_t)sb->st_size;
    c->lo = s->dirty_lo;
    c->hi = s->dirty_hi;
    if ((s->flags & (SLOT_DIRECT | SLOT_MAPPED | SLOT_TORN)) != 0 || c->lo >= c->hi) {
        c->lo = s->published;
        c->hi = size;
    }
    if (c->hi > size)
        c->hi = size;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    c->mtime = sb->st_mtim;
    staging_set_clean(s, fd);
    int rc = first && may_pack(v, c, &seen, size)
                 ? commit_read_content(v, c, fd, (uint32_t)size)
                 : commit_put_range(v, c, fd, sb, seen.length < size ? seen.length : size);
    if (rc < 0) {
        commit_drop_written(v, c);
        dirty_again(v, c);
        return rc;
    }
    bool packs = c->content.len > 0;
    uint64_t end = packs ? size : record_items_end(c->records.data, c->records.len);
    if (size < seen.length || (size > seen.length && size > end)) {
        struct op *op = next_op(c, OP_TRUNCATE);
        op->flags = OPF_BY_FD;
        op->len = size;
    }
    if (c->records.len > 0 || packs)
        add_write(c);
    return 0;
}

/* The slot's bytes are in the lane, where every change is seen.  1: not like this. */
static int prepare_lane(struct vfs *v, struct commit *c, bool first, const char *lane)
{
    struct slot *s = c->slot;
    struct attr seen;

    if ((s->flags & SLOT_GONE) != 0 || s->dirty_lo >= s->dirty_hi)
        return 0;
    if ((s->flags & (SLOT_TORN | SLOT_DIRECT | SLOT_MAPPED)) != 0 ||
        s->dirty_hi - s->dirty_lo > store_block_bytes(v->store))
        return 1;
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    if (!slot_seen_get(s, &seen))
        return -EIO;
    c->lo = s->dirty_lo;
    c->hi = s->dirty_hi;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    c->mtime = (struct timespec){s->lane_mtime.sec, (long)s->lane_mtime.nsec};
    if (first && may_pack(v, c, &seen, s->lane_len))
        c->content = (struct op_content){.bytes = lane, .len = s->lane_len};
    else
        rc = commit_put_block(v, c, c->lo, lane + c->lo, (uint32_t)(c->hi - c->lo));
    if (rc < 0) {
        commit_drop_written(v, c);
        dirty_again(v, c);
        return rc;
    }
    add_write(c);
    return 0;
}

static int prepare_file(struct vfs *v, uint32_t number, bool first, struct commit *c)
{
    struct staging_owner owner;
    struct stat sb;
    int rc = 0;

    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    if (fd < 0)
        rc = fd;
    else if (fstat(fd, &sb) != 0)
        rc = -errno;
    staging_leave(&owner);
    /* Most descriptors that are closed have nothing to say, and need no connection. */
    if (rc == 0 && staging_is_dirty(c->slot, &sb) && (rc = vfs_ready(v)) == 0) {
        staging_enter(v->staging, &owner);
        rc = prepare(v, c, first, fd, &sb);
        staging_leave(&owner);
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    return rc;
}

int commit_prepare(struct vfs *v, uint32_t number, bool first, struct commit *c)
{
    int rc = 1;

    /* Not all of it: ops and results are emptied as they are used.  What was written is asked for
     * also when nothing was. */
    c->lo = c->hi = 0;
    c->mtime = (struct timespec){0};
    c->number = number;
    c->slot = staging_slot(v->staging, number);
    c->n = 0;
    c->own = SIZE_MAX;
    c->records = c->slices = (struct buf){0};
    c->content = (struct op_content){0};
    c->packing = NULL;
    const char *lane = lane_bytes(v->staging, number);
    if (lane != NULL)
        rc = prepare_lane(v, c, first, lane);
    if (rc == 1)
        rc = lane_settle(v->staging, number);
    else
        goto out;
    if (rc == 0)
        rc = prepare_file(v, number, first, c);
out:
    c->carries = c->n > 0;
    return rc;
}

struct op *commit_add(struct commit *c, bool first)
{
    if (first) {
        memmove(&c->ops[1], &c->ops[0], c->n * sizeof c->ops[0]);
        c->own = 0;
        c->n++;
    } else {
        c->own = c->n++;
    }
    memset(&c->res[c->n - 1], 0, sizeof c->res[0]);
    struct op *op = &c->ops[c->own];
    memset(op, 0, sizeof *op);
    caller_cred(&op->cred, c->groups);
    op->base = c->slot->ino;
    return op;
}

/* Definitely refused: nothing names what was written. */
static void refused(struct vfs *v, struct commit *c, int code)
{
    struct staging_owner owner;
    staging_enter(v->staging, &owner);
    commit_drop_written(v, c);
    if (code == -ENOENT && c->own != 0)
        c->slot->flags |= SLOT_GONE; /* removed by another client; what is here stays readable */
    else
        dirty_again(v, c);
    staging_leave(&owner);
}

int commit_send(struct vfs *v, struct commit *c, const struct op_result **own)
{
    struct slot *s = c->slot;
    int code = 0;

    if (own != NULL)
        *own = NULL;
    if (c->n == 0) {
        s->flags &= ~(uint32_t)SLOT_TORN;
        return 0;
    }
    int rc = vfs_call(v, c->ops, c->n, c->res);
    if (rc == -EAGAIN && c->content.len > 0) {
        rc = put_content(v, c);
        if (rc == 0)
            rc = vfs_call(v, c->ops, c->n, c->res);
    }
    if (rc < 0 && c->carries) {
        struct staging_owner owner;
        staging_enter(v->staging, &owner);
        dirty_again(v, c); /* it may have happened: sent again, it gives the same file */
        staging_leave(&owner);
    }
    if (rc < 0)
        return rc;
    staging_changed(v->staging, s->ino);
    for (size_t i = 0; i < c->n; i++) {
        if (c->res[i].code == 0 && c->res[i].has_attr)
            slot_seen_set(s, &c->res[i].attr);
        if (i != c->own && c->res[i].code != 0 && code == 0)
            code = c->res[i].code;
    }
    if (own != NULL && c->own != SIZE_MAX)
        *own = &c->res[c->own];
    if (c->own == 0 && c->res[0].code != 0) { /* what the commit was to follow did not happen */
        if (c->carries)
            refused(v, c, c->res[0].code);
        return c->res[0].code;
    }
    if (code != 0) {
        refused(v, c, code);
        log_at(LOG_ERROR, "inode %llu: data was not accepted: %s", (unsigned long long)s->ino,
               strerror(code == -ENOENT ? ESTALE : -code));
        return code == -ENOENT ? -ESTALE : code;
    }
    s->flags &= ~(uint32_t)(SLOT_APPENDED | SLOT_TORN);
    s->flags |= SLOT_FILLED;
    return 0;
}

void commit_fini(struct vfs *v, struct commit *c)
{
    for (size_t i = 0; i < c->n; i++)
        op_result_free(&c->res[i]);
    buf_free(&c->records);
    buf_free(&c->slices);
    packing_buffer_put(v, c->packing);
}

int commit_slot(struct vfs *v, uint32_t number)
{
    struct commit c;
    int rc = commit_prepare(v, number, true, &c);
    if (rc == 0)
        rc = commit_send(v, &c, NULL);
    commit_fini(v, &c);
    return rc;
}

void commit_punch(struct vfs *v, uint32_t number)
{
    struct staging_owner owner;
    struct slot *s = staging_slot(v->staging, number);
    struct stat sb;

    if ((s->flags & (SLOT_DIRECT | SLOT_MAPPED | SLOT_GONE)) != 0)
        return;
    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    if (fd >= 0 && fstat(fd, &sb) == 0 && !staging_is_dirty(s, &sb)) {
        uint64_t keep = (uint64_t)sb.st_size / CHUNK_BYTES * CHUNK_BYTES;
        if (keep > s->published) {
            s->published = keep; /* first: a reader then asks the volume, which has it */
            if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)keep) != 0)
                log_once(LOG_WARN, "staging: no hole punching: %s", strerror(errno));
            staging_set_clean(s, fd);
        }
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    staging_leave(&owner);
}
