/*
 * batch.c - the accumulator's life in a process: begun at the first call, its queue claimed at the
 * first early change, forgotten in a forked child.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTING_BELIEVED_MS 12000

static void init_sync(struct batch *b)
{
    pthread_condattr_t c;
    pthread_mutex_init(&b->known, NULL);
    pthread_condattr_init(&c);
    pthread_condattr_setclock(&c, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &c);
    pthread_condattr_destroy(&c);
}

int meta_batch(struct meta *m, const char *dir, const struct meta_hooks *hooks, char *err,
               size_t errlen)
{
    struct batch *b = calloc(1, sizeof(*b));
    int rc = b == NULL ? -ENOMEM : board_open(dir, &b->board, err, errlen);
    if (rc == 0)
        rc = overlay_new(b->board, &b->overlay);
    if (rc < 0) {
        if (b != NULL)
            board_close(b->board);
        free(b);
        return rc;
    }
    b->m = m;
    b->params = &m->engine->params;
    b->hooks = *hooks;
    b->dirs_size = DIRS_MIN;
    b->uid = geteuid();
    board_set_owner(b->board, hooks->act, hooks->ctx);
    init_sync(b);
    meta_stop(m);
    meta_lock(m);
    /* An older one stays mapped, other threads may be in it; its queue is drained by its user. */
    m->batch = b;
    meta_unlock(m);
    return 0;
}

uint32_t meta_pack_max(const struct meta *m)
{
    const struct batch *b = m->batch;
    bool packs = b != NULL && b->hooks.pack != NULL && b->params->batchwrite && b->params->pack;
    return packs ? b->params->pack_max : 0;
}

bool meta_stop(struct meta *m)
{
    return m->batch != NULL && m->owner == process_id() && flusher_stop(m->batch);
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    queue_close(b->queue);
    overlay_free(b->overlay);
    kept_free(b);
    board_close(b->board);
    pthread_mutex_destroy(&b->known);
    pthread_cond_destroy(&b->wake);
    free(b);
}

/* In the child: what is pending is the parent's, and so is what it knew. */
void batch_after_fork(struct batch *b)
{
    if (b == NULL)
        return;
    init_sync(b);
    queue_forget(b->queue);
    board_after_fork(b->board);
    overlay_clear(b->overlay);
    b->queue = NULL;
    b->no_queue = b->has_thread = b->stop = b->kicked = b->is_over = false;
    b->oldest_ms = b->group_ms = b->fresh_slice = 0;
    b->changes = b->retries = 0;
    b->confirming = 0;
    b->usable_until_ms = 0;
}

void batch_refresh(struct batch *b, const struct op_env *env, const struct op_result *usage)
{
    pthread_mutex_lock(&b->known);
    b->env = *env;
    if (usage != NULL && usage->code == 0 && usage->extra.len >= 24) {
        uint64_t space = get_be64(usage->extra.data), inodes = get_be64(usage->extra.data + 8);
        bool quotas = get_be64(usage->extra.data + 16) != 0;
        /* Near a limit every change asks; directory quotas are many limits, whose use is not known
         * here. */
        b->may_grow =
            !quotas &&
            (env->capacity_bytes == 0 || space + env->capacity_bytes / 20 < env->capacity_bytes) &&
            (env->inodes == 0 || inodes + 10000 < env->inodes);
        b->usage_at_ms = clock_mono_ms();
    }
    b->usable_until_ms = clock_mono_ms() + SETTING_BELIEVED_MS;
    pthread_mutex_unlock(&b->known);
}

bool batch_enter(struct batch *b)
{
    if (b == NULL || !b->params->batchwrite || b->trouble < 0)
        return false;
    pthread_mutex_lock(&b->known);
    if (clock_coarse_ms() < b->usable_until_ms) {
        overlay_begin_call(b->overlay);
        return true;
    }
    pthread_mutex_unlock(&b->known);
    return false;
}

void batch_leave(struct batch *b)
{
    overlay_end_call(b->overlay);
    pthread_mutex_unlock(&b->known);
}

void meta_input(struct meta *m)
{
    if (m->batch != NULL)
        m->batch->input_ns = clock_mono_ns();
}

void batch_discard(struct batch *b, struct queue *q)
{
    uint64_t id = b->hooks.discard != NULL ? queue_orphan(q) : 0;
    if (id != 0 && b->hooks.discard(b->hooks.ctx, id) == 0)
        queue_orphan_gone(q, id);
}

struct queue *batch_queue(struct batch *b)
{
    if (b->queue != NULL || b->no_queue)
        return b->queue;
    int rc = queue_claim(b->board, &b->queue);
    if (rc < 0) {
        b->no_queue = true;
        log_once(LOG_WARN, "no queue for pending changes (%s): each is sent at once",
                 strerror(-rc));
    } else {
        batch_discard(b, b->queue);
    }
    return b->queue;
}
