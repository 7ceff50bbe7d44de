/*
 * kept.c - see kept.h.
 *
 * Each file asks for its row several times, so rows are read without the lock.  A row begins with
 * its number written last and ends with it taken away first; that it does not end while somebody
 * uses what he read is the doing of the slot's lock, or the table's for a spare one (staging.h).
 */
#include "core/vfs/kept.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void kept_init(struct kept *k)
{
    memset(k, 0, sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
}

/* NULL: none. */
static struct kept_row *find(struct kept *k, uint32_t number)
{
    int top = atomic_load_explicit(&k->top, memory_order_acquire);
    for (int i = 0; i < top; i++) {
        if (atomic_load_explicit(&k->row[i].number, memory_order_acquire) == number)
            return &k->row[i];
    }
    return NULL;
}

static bool is_for(struct kept_row *r, unsigned why)
{
    return atomic_load(&r->number) != 0 && (atomic_load(&r->why) & why) != 0;
}

/* Its source is all there is. */
static bool is_reader(struct kept_row *r)
{
    int source = atomic_load(&r->source);
    return source >= 0 && source == atomic_load(&r->fd);
}

/* For one more that is only read, or is not. */
static bool has_room(struct kept *k, enum kept_why why, bool reads)
{
    int most = why == KEPT_WORK ? WORK_MAX : SPARES_MAX;
    for (int i = 0; i < k->top; i++)
        most -= is_for(&k->row[i], why) && is_reader(&k->row[i]) == reads;
    return why == KEPT_LOCKS || most > 0;
}

int kept_get(struct kept *k, uint32_t number)
{
    struct kept_row *r = find(k, number);
    return r != NULL ? atomic_load(&r->fd) : -1;
}

/* Locked.  A free one; NULL: all are in use. */
static struct kept_row *new_row(struct kept *k)
{
    struct kept_row *r = find(k, 0);
    if (r == NULL && k->top < KEPT_MAX)
        r = &k->row[k->top++];
    return r;
}

/* Locked.  NULL: no room. */
static struct kept_row *add_row(struct kept *k, uint32_t number, int fd, enum kept_why why,
                                int source, int flags)
{
    struct kept_row *r = has_room(k, why, source >= 0) ? new_row(k) : NULL;
    if (r == NULL)
        return NULL;
    atomic_store(&r->fd, fd);
    atomic_store(&r->why, why);
    atomic_store(&r->lane, NULL);
    r->source_flags = flags;
    atomic_store(&r->source, source);
    atomic_store(&r->number, number);
    return r;
}

bool kept_add(struct kept *k, uint32_t number, int fd, enum kept_why why)
{
    pthread_mutex_lock(&k->lock);
    struct kept_row *r = find(k, number);
    if (r != NULL) {
        atomic_fetch_or(&r->why, why);
        if (fd >= 0 && fd != r->fd)
            close(fd);
    } else if (fd >= 0) {
        r = add_row(k, number, fd, why, -1, 0);
    }
    pthread_mutex_unlock(&k->lock);
    return r != NULL;
}

bool kept_add_reader(struct kept *k, uint32_t number, int fd, int flags)
{
    pthread_mutex_lock(&k->lock);
    bool added = find(k, number) == NULL && add_row(k, number, fd, KEPT_WORK, fd, flags) != NULL;
    pthread_mutex_unlock(&k->lock);
    return added;
}

static void drop_row(struct kept_row *r)
{
    void *lane = atomic_load(&r->lane);
    int source = atomic_exchange(&r->source, -1);

    atomic_store(&r->number, 0);
    close(r->fd);
    if (source >= 0 && source != r->fd)
        close(source);
    if (lane != NULL)
        munmap(lane, LANE_BYTES);
}

void kept_drop(struct kept *k, uint32_t number, enum kept_why why)
{
    if (!kept_is(k, number, why))
        return;
    pthread_mutex_lock(&k->lock);
    struct kept_row *r = find(k, number);
    if (r != NULL && (atomic_fetch_and(&r->why, ~(unsigned)why) & ~(unsigned)why) == 0)
        drop_row(r);
    pthread_mutex_unlock(&k->lock);
}

bool kept_turn(struct kept *k, uint32_t number, enum kept_why from, enum kept_why to)
{
    pthread_mutex_lock(&k->lock);
    struct kept_row *r = find(k, number);
    bool turned = r != NULL && r->why == (unsigned)from && has_room(k, to, is_reader(r));
    if (turned)
        atomic_store(&r->why, to);
    pthread_mutex_unlock(&k->lock);
    return turned;
}

bool kept_is(struct kept *k, uint32_t number, enum kept_why why)
{
    struct kept_row *r = find(k, number);
    return r != NULL && (atomic_load(&r->why) & why) != 0;
}

size_t kept_numbers(struct kept *k, enum kept_why why, uint32_t *number, size_t n)
{
    size_t have = 0;

    for (int i = 0; i < k->top && have < n; i++) {
        if (is_for(&k->row[i], why))
            number[have++] = k->row[i].number;
    }
    return have;
}

bool kept_set_lane(struct kept *k, uint32_t number, void *lane)
{
    void *none = NULL;
    struct kept_row *r = find(k, number);
    return r != NULL && atomic_compare_exchange_strong(&r->lane, &none, lane);
}

void *kept_lane(struct kept *k, uint32_t number)
{
    struct kept_row *r = find(k, number);
    return r != NULL ? atomic_load(&r->lane) : NULL;
}

void kept_set_source(struct kept *k, uint32_t number, int fd, int flags)
{
    struct kept_row *r = fd >= 0 ? find(k, number) : NULL;
    if (r == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    r->source_flags = flags;
    int old = atomic_exchange(&r->source, fd);
    if (old >= 0)
        close(old);
}

int kept_source(struct kept *k, uint32_t number, int flags)
{
    struct kept_row *r = find(k, number);
    int fd = r != NULL ? atomic_load(&r->source) : -1;
    return fd >= 0 && r->source_flags == flags ? fd : -1;
}

void kept_drop_source(struct kept *k, uint32_t number)
{
    struct kept_row *r = find(k, number);
    if (r == NULL || atomic_load(&r->source) < 0)
        return;
    if (is_reader(r)) {
        kept_drop(k, number, KEPT_WORK | KEPT_SPARE);
        return;
    }
    int fd = atomic_exchange(&r->source, -1);
    if (fd >= 0)
        close(fd);
}

uint32_t kept_spare(struct kept *k, int flags)
{
    bool reads = (flags & O_ACCMODE) == O_RDONLY;
    uint32_t number[2 * SPARES_MAX], other = 0;
    size_t n = kept_numbers(k, KEPT_SPARE, number, 2 * SPARES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct kept_row *r = find(k, number[i]);
        if (r == NULL || is_reader(r) != reads)
            continue;
        if (kept_source(k, number[i], flags) >= 0)
            return number[i];
        other = reads ? 0 : number[i];
    }
    return other;
}

void kept_drop_all(struct kept *k)
{
    pthread_mutex_init(&k->lock, NULL); /* another thread of the parent may have held it */
    for (int i = 0; i < k->top; i++) {
        if (k->row[i].number != 0)
            drop_row(&k->row[i]);
    }
}

size_t kept_list(struct kept *k, int *fds, size_t n)
{
    size_t have = 0;

    for (int i = 0; i < k->top && have < n; i++) {
        if (k->row[i].number == 0)
            continue;
        fds[have++] = k->row[i].fd;
        if (k->row[i].source >= 0 && !is_reader(&k->row[i]) && have < n)
            fds[have++] = k->row[i].source;
    }
    return have;
}

void kept_moved(struct kept *k, int old, int fresh)
{
    pthread_mutex_lock(&k->lock);
    for (int i = 0; i < k->top; i++) {
        if (k->row[i].number != 0 && k->row[i].fd == old)
            atomic_store(&k->row[i].fd, fresh);
        if (k->row[i].number != 0 && k->row[i].source == old)
            atomic_store(&k->row[i].source, fresh);
    }
    pthread_mutex_unlock(&k->lock);
}
