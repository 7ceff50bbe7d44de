/*
 * queue.c - the file of a queue: mapped, claimed, locked, repaired; see queue.h.
 */
#include "core/meta/queue_internal.h"

#include "core/base/clock.h"

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

int queue_back_to(struct queue *q, uint64_t end)
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
    int rc = shared_back(path, p, p->backed, upto);
    board_act(q->board, false);
    if (rc == 0)
        p->backed = upto;
    return rc;
}

/* When the process began, in ticks since boot: a process id comes again, this does not.  0: it
 * ended, also when nobody has waited for it yet, which a first thread that ended before others
 * looks like.
 */
static uint64_t birth_of(pid_t pid)
{
    enum { STATE = 3, THREADS = 20, START = 22 }; /* proc(5), by their numbers there */
    uint64_t value[START + 1] = {0};
    char path[64], text[1024], state = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the name before may hold anything */
    for (int field = STATE; field <= START && at != NULL; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL)
            value[field] = strtoull(at + 1, NULL, 10);
        if (at != NULL && field == STATE)
            state = at[1];
    }
    return (state == 'Z' || state == 'X') && value[THREADS] <= 1 ? 0 : value[START];
}

static bool is_alive(const struct queue_page *p)
{
    pid_t pid = p->owner;
    return pid != 0 && (kill(pid, 0) == 0 || errno == EPERM) && birth_of(pid) == p->owner_birth;
}

static bool is_owned(const struct queue_page *p)
{
    return p->owner != getpid() && is_alive(p);
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

static uint32_t count_frames(const struct queue *q, uint64_t group)
{
    uint64_t end = queue_group_at(q, group)->end;
    uint32_t n = 0;
    for (uint64_t at = group + sizeof(struct queue_group); at < end; n++) {
        uint32_t bytes = queue_frame_at(q, at)->bytes_in_all;
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
        QUEUE_SET(p->tail, g->end);
        g->ops = count_frames(q, p->open);
        if (g->seq != 0)
            QUEUE_SET(p->open, 0);
    }
    if (p->head > p->tail)
        QUEUE_SET(p->head, p->tail);
    if (p->first > p->head)
        p->first = p->head;
    for (uint64_t at = p->first; at < p->tail; at = queue_group_at(q, at)->end)
        if (queue_group_at(q, at)->seq >= p->next_seq)
            p->next_seq = queue_group_at(q, at)->seq + 1;
    queue_count_waiting(q);
}

int queue_locked(struct queue *q, int rc)
{
    if (rc == 1)
        repair(q);
    return rc < 0 ? rc : 0;
}

/* --- packs that were begun -------------------------------------------------------------------- */

/* Locked, so an owner that lives is not within queue_put(): what it begun and did not name is for
 * its next try. */
uint64_t queue_orphan(struct queue *q)
{
    struct queue_page *p = q->p;
    uint64_t id = 0;
    if (p->begun == 0 || queue_lock(q) < 0)
        return 0;
    if (q->owned || !is_alive(p))
        id = p->begun;
    for (uint64_t at = p->first; id != 0 && at < p->tail; at = queue_group_at(q, at)->end)
        if (queue_group_at(q, at)->pack == id)
            id = p->begun = 0;
    queue_unlock(q);
    return id;
}

void queue_orphan_gone(struct queue *q, uint64_t id)
{
    if (queue_lock(q) < 0)
        return;
    if (q->p->begun == id)
        q->p->begun = 0;
    queue_unlock(q);
}
