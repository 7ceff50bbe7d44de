/*
 * meta_ids.c - numbers of inodes and slices, taken from the volume's counters in ranges, the next
 * range before it is needed; and slices whose end is still to be told.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/process.h"

#include <errno.h>
#include <string.h>

static uint32_t range_size(const struct meta *m, enum id_kind kind)
{
    return m->engine->id_batch[kind];
}

static uint32_t low_watermark(const struct meta *m, enum id_kind kind)
{
    const struct batch_params *p = &m->engine->params;
    uint32_t low = kind == ID_INODE ? p->inode_low_watermark : p->chunk_low_watermark;
    if (low == 0) /* who used a range up keeps the next one at hand */
        low = m->streams[kind] ? UINT32_MAX : range_size(m, kind) / 4;
    return low;
}

/* False: none is left here. */
static bool take_one(struct meta *m, enum id_kind kind, uint64_t *out)
{
    struct id_range *r = &m->ids[kind];
    pthread_mutex_lock(&m->id_lock);
    if (r->left == 0) {
        m->streams[kind] = m->streams[kind] || r->next != 0;
        *r = m->ahead[kind];
        m->ahead[kind].left = 0;
    }
    bool taken = r->left > 0;
    if (taken) {
        *out = r->next++;
        r->left--;
    }
    pthread_mutex_unlock(&m->id_lock);
    return taken;
}

void meta_drop_ids(struct meta *m)
{
    pthread_mutex_lock(&m->id_lock);
    memset(m->ids, 0, sizeof(m->ids));
    memset(m->ahead, 0, sizeof(m->ahead));
    pthread_mutex_unlock(&m->id_lock);
}

/* A server that crashed may have lost the end of its data and give numbers again that are in use
 * or in pending changes: these are skipped. */
static int take_fresh(struct meta *m, enum id_kind kind, uint32_t n, uint64_t *first)
{
    struct board *b = m->batch != NULL ? m->batch->board : NULL;
    int rc = m->engine->ops->take_ids(m->engine, kind, n, first);
    uint64_t last = *first + n - 1, given = rc == 0 && b != NULL ? board_note_id(b, kind, last) : 0;

    if (rc < 0 || given < *first)
        return rc;
    uint64_t more = (given > last ? given - last : 0) + n;
    if (more > UINT32_MAX)
        return -EIO;
    rc = m->engine->ops->take_ids(m->engine, kind, (uint32_t)more, first);
    *first += more - n;
    if (rc == 0)
        board_note_id(b, kind, *first + n - 1);
    return rc;
}

/* Under meta's lock. */
static int take_range(struct meta *m, enum id_kind kind)
{
    uint32_t n = range_size(m, kind);
    uint64_t first = 0;
    int rc = take_fresh(m, kind, n, &first);
    if (rc < 0)
        return meta_engine_failed(m, rc);
    pthread_mutex_lock(&m->id_lock);
    m->ahead[kind] = (struct id_range){.next = first, .left = n};
    pthread_mutex_unlock(&m->id_lock);
    return 0;
}

void meta_prime_ids(struct meta *m)
{
    if (!m->engine->params.metaprime)
        return;
    for (int kind = ID_INODE; kind <= ID_SLICE; kind++) {
        pthread_mutex_lock(&m->id_lock);
        uint64_t left = m->ids[kind].left;
        bool low = left > 0 && m->ahead[kind].left == 0 && left < low_watermark(m, kind);
        pthread_mutex_unlock(&m->id_lock);
        if (low && take_range(m, kind) < 0)
            return; /* who needs one asks again, and reports */
    }
}

void meta_skip_ids(struct meta *m)
{
    meta_drop_ids(m);
    for (int kind = ID_INODE; kind <= ID_SLICE; kind++)
        if (take_range(m, kind) < 0)
            return;
}

static int new_id(struct meta *m, enum id_kind kind, uint64_t *out)
{
    if (m->owner == process_id() && take_one(m, kind, out))
        return 0;
    meta_lock(m);
    /* The setting first: it drops a range that the server may have forgotten, and an id taken from
     * an unformatted database would leave a counter there. */
    int rc = meta_ready(m);
    while (rc == 0 && !take_one(m, kind, out))
        rc = take_range(m, kind);
    meta_unlock(m);
    return rc;
}

void meta_add_inodes(struct meta *m, uint64_t first, uint32_t n)
{
    if (m->batch != NULL && board_note_id(m->batch->board, ID_INODE, first + n - 1) >= first)
        return; /* given before: new_id() skips them */
    pthread_mutex_lock(&m->id_lock);
    if (m->ahead[ID_INODE].left == 0)
        m->ahead[ID_INODE] = (struct id_range){.next = first, .left = n};
    pthread_mutex_unlock(&m->id_lock);
}

void meta_will_make(struct meta *m)
{
    meta_lock(m);
    m->will_make = m->setting == NULL;
    meta_unlock(m);
}

int meta_new_inode(struct meta *m, uint64_t *ino)
{
    return new_id(m, ID_INODE, ino);
}

int meta_new_slice(struct meta *m, uint64_t *id)
{
    return new_id(m, ID_SLICE, id);
}

/* --- slices to forget ------------------------------------------------------------------------- */

void meta_send_forgotten(struct meta *m)
{
    struct op op = {.kind = OP_FORGET, .now = clock_now(), .data = m->forget};
    struct op_result res;

    if (m->nforget == 0 || meta_ready(m) < 0)
        return;
    op.data_len = (uint32_t)(m->nforget * FORGET_BYTES);
    const struct op_env env = meta_env(m);
    int rc = m->engine->ops->call(m->engine, &env, &op, 1, &res);
    if (rc < 0) {
        meta_engine_failed(m, rc);
        return; /* they stay listed */
    }
    meta_forgotten(m, &res);
}

void meta_forgotten(struct meta *m, struct op_result *res)
{
    if (res->code < 0)
        log_at(LOG_WARN, "forgetting %zu slices: %s", m->nforget, strerror(-res->code));
    op_result_free(res);
    m->nforget = 0; /* given up when refused: stock's gc removes what they were about too */
}

void meta_forget_locked(struct meta *m, uint64_t id, uint32_t size)
{
    if (m->nforget == FORGET_MAX)
        meta_send_forgotten(m);
    if (m->nforget == FORGET_MAX) {
        log_once(LOG_WARN, "%s: slices to forget are dropped, gc will find them", m->error);
        return;
    }
    uint8_t *p = m->forget + m->nforget++ * FORGET_BYTES;
    put_be64(p, id);
    put_be32(p + 8, size);
}

void meta_forget_later(struct meta *m, uint64_t id, uint32_t size)
{
    meta_lock(m);
    meta_forget_locked(m, id, size);
    meta_unlock(m);
}
