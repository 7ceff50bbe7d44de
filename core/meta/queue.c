/*
 * queue.c - the file of a queue: claimed, mapped, appended to; see queue.h.
 *
 * What is published is below `tail`, which moves after a frame is whole.  A fold changes a frame in
 * place: what was there is kept in `undo` meanwhile, and put back when its owner was killed within.
 */
#include "core/meta/queue_internal.h"

#include "core/base/clock.h"
#include "core/base/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKED_AT_ONCE (256u << 10)

/* --- the file --------------------------------------------------------------------------------- */

static int lay_out(void *at, void *ctx)
{
    struct queue_page *p = at;
    uint64_t random[2];
    (void)ctx;
    if (p->magic == QUEUE_MAGIC)
        return 0;
    if (p->magic != 0)
        return -EINVAL;
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        random[0] = (uint64_t)clock_now().sec << 32 | clock_now().nsec;
        random[1] = (uint64_t)getpid() << 32 | (uint32_t)clock_mono_ms();
    }
    snprintf(p->id, sizeof(p->id), "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
    shared_mutex_init(&p->lock);
    shared_mutex_init(&p->draining);
    p->first = p->head = p->tail = QUEUE_DATA;
    p->next_seq = 1;
    p->backed = QUEUE_DATA + BACKED_AT_ONCE;
    atomic_thread_fence(memory_order_release);
    p->magic = QUEUE_MAGIC;
    return 0;
}

static void path_of(const struct board *b, uint32_t n, char out[4200])
{
    snprintf(out, 4200, "%s/%u", board_dir(b), n);
}

static bool has_file(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0;
}

static int map(struct board *b, uint32_t n, bool make, struct queue **out)
{
    struct queue *q;
    char path[4200];
    void *at;

    path_of(b, n, path);
    board_act(b, true);
    int rc = make || has_file(path) ? 0 : -ENOENT;
    if (rc == 0)
        rc = shared_map(path, QUEUE_BYTES, QUEUE_DATA + BACKED_AT_ONCE, lay_out, NULL, &at);
    board_act(b, false);
    if (rc < 0)
        return rc;
    q = calloc(1, sizeof(*q));
    if (q == NULL) {
        munmap(at, QUEUE_BYTES);
        return -ENOMEM;
    }
    q->board = b;
    q->number = n;
    q->p = at;
    *out = q;
    return 0;
}

int queue_open(struct board *b, uint32_t n, struct queue **out)
{
    return map(b, n, false, out);
}

/* When the process began, in ticks since boot: a process id comes again, this does not. */
static uint64_t birth_of(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the name before may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static bool is_owned(const struct queue_page *p)
{
    pid_t pid = p->owner;
    return pid != 0 && pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM) &&
           birth_of(pid) == p->owner_birth;
}

static int claim(struct board *b, struct queue **out)
{
    for (uint32_t n = 0; n < BOARD_QUEUES; n++) {
        struct queue *q;
        int rc = map(b, n, true, &q);
        if (rc < 0)
            return rc;
        if (!is_owned(q->p)) {
            q->p->owner_birth = birth_of(getpid());
            q->p->owner = getpid();
            q->p->expected = 0;
            q->p->n_deferred = 0;
            q->owned = true;
            *out = q;
            return 0;
        }
        queue_forget(q);
    }
    return -EAGAIN;
}

int queue_claim(struct board *b, struct queue **out)
{
    int rc = board_lock(b);
    if (rc < 0)
        return rc;
    rc = claim(b, out);
    board_unlock(b);
    return rc;
}

void queue_forget(struct queue *q)
{
    if (q == NULL)
        return;
    munmap(q->p, QUEUE_BYTES);
    free(q);
}

void queue_close(struct queue *q)
{
    if (q != NULL && q->owned)
        q->p->owner = 0;
    queue_forget(q);
}

uint32_t queue_number(const struct queue *q)
{
    return q->number;
}

const char *queue_id(const struct queue *q)
{
    return q->p->id;
}

/* --- lock and repair -------------------------------------------------------------------------- */

struct queue_group *queue_group_at(const struct queue *q, uint64_t at)
{
    return (struct queue_group *)((uint8_t *)q->p + at);
}

static struct queue_frame *frame_at(const struct queue *q, uint64_t at)
{
    return (struct queue_frame *)((uint8_t *)q->p + at);
}

static uint32_t count_frames(const struct queue *q, uint64_t group)
{
    uint64_t end = queue_group_at(q, group)->end;
    uint32_t n = 0;
    for (uint64_t at = group + sizeof(struct queue_group); at < end; n++) {
        uint32_t bytes = frame_at(q, at)->bytes_in_all;
        if (bytes < sizeof(struct queue_frame))
            break; /* damaged; who reads the group says so */
        at += bytes;
    }
    return n;
}

/* Its holder was killed inside: a fold is undone; appending, closing a group and emptying the file
 * are carried on to their end. */
static void repair(struct queue *q)
{
    struct queue_page *p = q->p;
    if (p->undo_len != 0)
        memcpy((uint8_t *)p + p->undo_at, p->undo, p->undo_len);
    p->undo_len = 0;
    if (p->open != 0) {
        struct queue_group *g = queue_group_at(q, p->open);
        p->tail = g->end;
        g->ops = count_frames(q, p->open);
        if (g->seq != 0)
            p->open = 0;
    }
    if (p->head > p->tail)
        p->head = p->tail;
    if (p->first > p->head)
        p->first = p->head;
    for (uint64_t at = p->first; at < p->tail; at = queue_group_at(q, at)->end)
        if (queue_group_at(q, at)->seq >= p->next_seq)
            p->next_seq = queue_group_at(q, at)->seq + 1;
    queue_count_waiting(q);
}

int queue_lock(struct queue *q)
{
    int rc = shared_lock(&q->p->lock);
    if (rc == 1)
        repair(q);
    return rc < 0 ? rc : 0;
}

void queue_unlock(struct queue *q)
{
    pthread_mutex_unlock(&q->p->lock);
}

/* --- appending -------------------------------------------------------------------------------- */

static int back_to(struct queue *q, uint64_t end)
{
    struct queue_page *p = q->p;
    char path[4200];
    if (end <= p->backed)
        return 0;
    if (end > QUEUE_BYTES)
        return -ENOSPC;
    uint64_t upto = (end + BACKED_AT_ONCE) / BACKED_AT_ONCE * BACKED_AT_ONCE;
    if (upto > QUEUE_BYTES)
        upto = QUEUE_BYTES;
    path_of(q->board, q->number, path);
    board_act(q->board, true);
    int rc = shared_back(path, upto);
    board_act(q->board, false);
    if (rc == 0)
        p->backed = upto;
    return rc;
}

static uint32_t aligned(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

static uint32_t text_len(const char *s)
{
    return s != NULL ? (uint32_t)strlen(s) : 0;
}

static bool is_file_make(const struct op *op)
{
    return op->kind == OP_MAKE && (op->mode >> 12) == TYPE_FILE;
}

static void write_frame(struct queue_frame *f, const struct op *op, uint32_t room)
{
    uint32_t np = text_len(op->path), np2 = text_len(op->path2);
    uint8_t *at = f->bytes;

    f->op = *op;
    f->op.cred.groups = NULL;
    f->op.path = f->op.path2 = NULL;
    f->op.data = NULL;
    if (op->cred.ngroups > 0)
        memcpy(at, op->cred.groups, op->cred.ngroups * sizeof(uint32_t));
    at += op->cred.ngroups * sizeof(uint32_t);
    memcpy(at, np > 0 ? op->path : "", np + 1);
    at += np + 1;
    memcpy(at, np2 > 0 ? op->path2 : "", np2 + 1);
    at += np2 + 1;
    f->data_at = (uint32_t)(at - f->bytes);
    f->path2_at = f->data_at - np2 - 1;
    if (op->data_len > 0)
        memcpy(at, op->data, op->data_len);
    f->room = room;
}

/* The content's record in the pack of group g, or in a new one (g NULL: no group yet).  Locked. */
static int packed(struct queue_packer *pk, const struct op_content *c, uint64_t have,
                  uint8_t out[RECORD_ITEM_BYTES], uint64_t *pack)
{
    struct record r = {.id = have != 0 ? have : pk->fresh, .size = UINT32_MAX, .len = c->len};
    if (r.id == 0)
        return -EAGAIN;
    int rc = pk->pack(pk->ctx, r.id, c->bytes, c->len, &r.off);
    if (rc < 0)
        return rc;
    pk->used = pk->used || have == 0;
    put_be32(out, 0);
    record_encode(&r, out + 4);
    *pack = r.id;
    return 0;
}

static int put(struct queue *q, const struct op *given, struct queue_packer *pk,
               struct queue_ref *ref)
{
    struct queue_page *p = q->p;
    uint8_t record[RECORD_ITEM_BYTES];
    struct op op = *given;
    bool fresh = p->open == 0;
    uint64_t have = fresh ? 0 : queue_group_at(q, p->open)->pack, pack = 0;

    if (op.content != NULL)
        op.data_len = sizeof(record);
    uint32_t room = op.data_len + (is_file_make(&op) ? RECORD_ITEM_BYTES : 0);
    uint32_t bytes = aligned(sizeof(struct queue_frame) + op.cred.ngroups * sizeof(uint32_t) +
                             text_len(op.path) + text_len(op.path2) + 2 + room);
    uint64_t at = p->tail + (fresh ? sizeof(struct queue_group) : 0);

    int rc = back_to(q, at + bytes);
    if (rc == 0 && op.content != NULL) {
        rc = packed(pk, op.content, have, record, &pack);
        op.data = record;
        op.pack = pack;
        op.content = NULL;
    }
    if (rc < 0)
        return rc;
    struct queue_frame *f = frame_at(q, at);
    write_frame(f, &op, room);
    f->bytes_in_all = bytes;
    board_set_pending(q->board, q->number);
    if (fresh) {
        *queue_group_at(q, p->tail) =
            (struct queue_group){.end = at + bytes, .ops = 1, .pack = pack};
        atomic_thread_fence(memory_order_release);
        p->open = p->tail;
    } else {
        struct queue_group *g = queue_group_at(q, p->open);
        if (pack != 0)
            g->pack = pack;
        g->end = at + bytes;
        g->ops++;
    }
    p->tail = at + bytes;
    p->waiting++;
    *ref = (struct queue_ref){.group = p->open, .frame = at, .use = p->use};
    return 0;
}

int queue_put(struct queue *q, const struct op *op, struct queue_packer *pk, struct queue_ref *ref)
{
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    rc = put(q, op, pk, ref);
    queue_unlock(q);
    return rc;
}

static int fold_locked(struct queue *q, const struct queue_ref *ref,
                       const struct op_content *content, struct queue_packer *pk,
                       queue_fold_fn fold, void *ctx)
{
    struct queue_page *p = q->p;
    struct queue_group *g = queue_group_at(q, ref->group);
    struct queue_frame *f = frame_at(q, ref->frame);
    uint8_t record[RECORD_ITEM_BYTES];
    uint64_t pack = 0;

    if (ref->use != p->use || p->open != ref->group || f->op.kind == 0)
        return 0;
    size_t len = sizeof(*f) + f->data_at + f->op.data_len;
    if (len > sizeof(p->undo))
        return 0;
    int rc = content != NULL ? packed(pk, content, g->pack, record, &pack) : 0;
    if (rc < 0)
        return rc;
    memcpy(p->undo, f, len);
    p->undo_at = ref->frame;
    atomic_thread_fence(memory_order_release);
    p->undo_len = (uint32_t)len;
    uint32_t n = fold(ctx, f->bytes + f->data_at, f->op.data_len, f->room,
                      content != NULL ? record : NULL, content != NULL ? sizeof(record) : 0);
    f->op.data_len = n;
    if (n == 0)
        f->op.kind = 0;
    if (pack != 0)
        f->op.pack = g->pack = pack;
    atomic_thread_fence(memory_order_release);
    p->undo_len = 0;
    return 1;
}

int queue_fold(struct queue *q, const struct queue_ref *ref, const struct op_content *content,
               struct queue_packer *pk, queue_fold_fn fold, void *ctx)
{
    if (ref->frame == 0)
        return 0;
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    rc = fold_locked(q, ref, content, pk, fold, ctx);
    queue_unlock(q);
    return rc;
}

bool queue_holds(const struct queue *q, const struct queue_ref *ref)
{
    return q != NULL && ref->frame != 0 && ref->use == q->p->use && ref->group == q->p->open;
}

void queue_fill(struct queue *q, struct queue_fill *out)
{
    const struct queue_page *p = q->p;
    *out = (struct queue_fill){.pending = p->tail > p->head ? p->tail - p->head : 0,
                               .waiting = p->waiting};
    if (p->open != 0) {
        const struct queue_group *g = queue_group_at(q, p->open);
        out->ops = g->ops;
        out->bytes = g->end - p->open;
        out->pack = g->pack;
    }
}

void queue_close_group(struct queue *q)
{
    struct queue_page *p = q->p;
    if (p->open == 0)
        return;
    queue_group_at(q, p->open)->seq = p->next_seq;
    atomic_thread_fence(memory_order_release);
    p->open = 0;
    p->next_seq++;
}

void queue_cut(struct queue *q)
{
    if (queue_lock(q) < 0)
        return;
    queue_close_group(q);
    queue_unlock(q);
}
