/*
 * queue_drain.c - a queue as who drains it sees it; see queue.h.
 */
#include "core/meta/queue_internal.h"

#include "core/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEPT_MS    3000        /* twice what appendfsync everysec may lose */
#define KEPT_BYTES (16u << 20) /* more than that is given back at once */
#define SMALL      (4u << 20)  /* what the next process finds ready */

int queue_begin(struct queue *q, unsigned ms)
{
    int rc = shared_lock_for(&q->p->draining, ms);
    return rc < 0 ? rc : 0;
}

void queue_end(struct queue *q)
{
    pthread_mutex_unlock(&q->p->draining);
}

/* The frames of a group as ops. */
static int read_frames(const struct queue_group *g, struct queue_batch *out, size_t len)
{
    for (size_t pos = 0; pos < len;) {
        struct queue_frame *f = (struct queue_frame *)(void *)(out->bytes + pos);
        if (f->bytes_in_all < sizeof(*f) || f->bytes_in_all > len - pos || out->n > g->ops)
            return -EIO;
        if (f->op.kind != 0) {
            struct op *op = &out->ops[out->n++];
            *op = f->op;
            op->cred.groups = (const uint32_t *)(const void *)f->bytes;
            op->path = (const char *)f->bytes + f->op.cred.ngroups * sizeof(uint32_t);
            op->path2 = (const char *)f->bytes + f->path2_at;
            op->data = f->bytes + f->data_at;
        }
        pos += f->bytes_in_all;
    }
    return 1;
}

static bool is_there(const struct queue *q, const struct queue_place *place)
{
    return place->use == q->p->use && place->at >= q->p->first && place->at != 0;
}

struct queue_place queue_end_now(struct queue *q, bool closed)
{
    struct queue_place end = {.at = QUEUE_BYTES};
    if (queue_lock(q) < 0)
        return end;
    end.at = closed && q->p->open != 0 ? q->p->open : q->p->tail;
    end.use = q->p->use;
    queue_unlock(q);
    return end;
}

/* Copied without the lock, since its owner goes on appending: a closed group does not change until
 * the file is emptied, which is looked for afterwards.  -EAGAIN: it was. */
static int copy_group(struct queue *q, const struct queue_group *g, struct queue_batch *out)
{
    uint64_t from = out->place.at + sizeof(*g);
    if (g->end > QUEUE_BYTES || g->end < from || g->ops > (1u << 20))
        return -EIO;
    size_t len = g->end - from;
    out->ops = malloc((g->ops + 1) * sizeof(*out->ops));
    out->bytes = malloc(len + 1);
    if (out->ops == NULL || out->bytes == NULL)
        return -ENOMEM;
    memcpy(out->bytes, (const uint8_t *)q->p + from, len);
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    bool same = is_there(q, &out->place);
    queue_unlock(q);
    return same ? read_frames(g, out, len) : -EAGAIN;
}

int queue_batch(struct queue *q, const struct queue_place *place, struct queue_batch *out)
{
    struct queue_page *p = q->p;
    int rc = queue_lock(q);

    *out = (struct queue_batch){0};
    if (rc < 0)
        return rc;
    uint64_t at = place != NULL && is_there(q, place) ? place->at : p->head;
    if (at >= p->tail) {
        if (p->head >= p->tail) /* whoever said so may have been killed before it was true */
            board_clear_pending(q->board, q->number);
        queue_unlock(q);
        return 0;
    }
    struct queue_group *g = queue_group_at(q, at);
    if (g->seq == 0)
        queue_close_group(q);
    struct queue_group copy = *g;
    out->place = (struct queue_place){.at = at, .use = p->use};
    out->next = (struct queue_place){.at = copy.end, .use = p->use};
    queue_unlock(q);
    out->seq = copy.seq;
    out->pack = copy.pack;
    rc = copy_group(q, &copy, out);
    if (rc < 0)
        queue_batch_free(out);
    return rc == -EAGAIN ? queue_batch(q, NULL, out) : rc;
}

void queue_batch_free(struct queue_batch *g)
{
    free(g->ops);
    free(g->bytes);
    g->ops = NULL;
    g->bytes = NULL;
}

uint32_t queue_sent(struct queue *q, const struct queue_batch *b)
{
    struct queue_page *p = q->p;
    uint32_t sent = 0;
    if (queue_lock(q) < 0)
        return 0;
    /* Not when somebody else did it meanwhile. */
    if (is_there(q, &b->place) && p->head <= b->place.at) {
        struct queue_group *g = queue_group_at(q, b->place.at);
        g->sent_ms = clock_mono_ms();
        QUEUE_SET(p->head, b->next.at);
        sent = g->ops;
        QUEUE_SET(p->waiting, p->waiting > sent ? p->waiting - sent : 0);
    }
    if (p->head >= p->tail)
        board_clear_pending(q->board, q->number);
    queue_unlock(q);
    return sent;
}

bool queue_is_empty(struct queue *q)
{
    return QUEUE_LOOK(q->p->head) >= QUEUE_LOOK(q->p->tail);
}

void queue_count_waiting(struct queue *q)
{
    struct queue_page *p = q->p;
    uint64_t n = 0;
    for (uint64_t at = p->head; at < p->tail; at = queue_group_at(q, at)->end)
        n += queue_group_at(q, at)->ops;
    QUEUE_SET(p->waiting, n);
}

uint64_t queue_waiting(const struct queue *q)
{
    return QUEUE_LOOK(q->p->waiting);
}

static void drop_old(struct queue *q, bool all)
{
    struct queue_page *p = q->p;
    uint64_t now = clock_mono_ms();
    while (p->first < p->head) {
        const struct queue_group *g = queue_group_at(q, p->first);
        if (!all && now - g->sent_ms < KEPT_MS && p->head - p->first < KEPT_BYTES)
            break;
        p->first = g->end;
    }
}

/* Gives memory above SMALL back.  Without success it only stays in use. */
static void give_back(struct queue *q)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%u", board_dir(q->board), q->number);
    board_act(q->board, true);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    board_act(q->board, false);
    if (fd < 0)
        return;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, SMALL, QUEUE_BYTES - SMALL) == 0)
        q->p->backed = SMALL;
    close(fd);
}

void queue_tidy(struct queue *q, bool all)
{
    struct queue_page *p = q->p;
    if (queue_lock(q) < 0)
        return;
    if (p->head >= p->tail) {
        drop_old(q, all);
        if (p->first >= p->head && p->tail > QUEUE_DATA) {
            p->use++;
            QUEUE_SET(p->tail, QUEUE_DATA); /* first: a tail below the head is an empty queue */
            atomic_thread_fence(memory_order_release);
            QUEUE_SET(p->head, QUEUE_DATA);
            p->first = QUEUE_DATA;
            if (p->backed > SMALL)
                give_back(q);
        }
    }
    queue_unlock(q);
}

int queue_rewind(struct queue *q, uint64_t last)
{
    struct queue_page *p = q->p;
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    rc = -ENOENT;
    for (uint64_t at = p->first; at < p->head; at = queue_group_at(q, at)->end) {
        if (queue_group_at(q, at)->seq == last + 1) {
            board_set_pending(q->board, q->number); /* before it is true */
            QUEUE_SET(p->head, at);
            queue_count_waiting(q);
            rc = 0;
            break;
        }
    }
    queue_unlock(q);
    return rc;
}
