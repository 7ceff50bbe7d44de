/*
 * board.c - see board.h.
 */
#include "core/meta/board.h"

#include "core/base/clock.h"
#include "core/base/process.h"
#include "core/base/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOARD_MAGIC UINT64_C(0x6a66735f62726435) /* "jfs_brd5": changes with the layout */
#define MARKS       4096u
#define WORDS       (BOARD_QUEUES / 64)
#define WHO_BITS    23 /* low bits of a mark: whose it is, a process id; the rest: when */

struct page {
    uint64_t magic;
    pthread_mutex_t lock;
    _Atomic uint64_t now;
    _Atomic uint64_t asking[BOARD_ASKING]; /* process id << 32 | hash of the name; 0: free */
    _Atomic uint32_t asked;                /* so many of them were ever in use */
    _Atomic uint64_t pending[WORDS];
    _Atomic uint64_t given[2]; /* highest id of each kind */
    _Atomic uint64_t all;      /* a mark of every inode */
    _Atomic uint64_t mark[MARKS];
};

struct board {
    struct page *page;
    uint64_t who;
    char dir[4096];
    void (*act)(void *ctx, bool begin);
    void *act_ctx;
    /* Marks of others that our own ones replaced: when. */
    _Atomic uint64_t replaced[MARKS], replaced_all;
};

static int lay_out(void *at, void *ctx)
{
    struct page *p = at;
    (void)ctx;
    if (p->magic == 0) {
        shared_mutex_init(&p->lock);
        p->magic = BOARD_MAGIC;
    }
    return p->magic == BOARD_MAGIC ? 0 : -EINVAL;
}

int board_open(const char *dir, struct board **out, char *err, size_t errlen)
{
    struct board *b = calloc(1, sizeof(*b));
    char path[4096 + 16];
    void *at = NULL;
    int rc = b != NULL ? 0 : -ENOMEM;

    *out = NULL;
    if (rc == 0 && (size_t)snprintf(b->dir, sizeof(b->dir), "%s/b", dir) >= sizeof(b->dir))
        rc = -ENAMETOOLONG;
    if (rc == 0 && mkdir(b->dir, 0700) != 0 && errno != EEXIST)
        rc = -errno;
    if (rc == 0) {
        snprintf(path, sizeof(path), "%s/board", b->dir);
        rc = shared_map(path, sizeof(struct page), sizeof(struct page), lay_out, NULL, &at);
    }
    if (rc < 0) {
        snprintf(err, errlen, "board of pending changes in %s/b: %s", dir,
                 rc == -EINVAL ? "made by another version" : strerror(-rc));
        free(b);
        return rc;
    }
    b->page = at;
    board_after_fork(b);
    *out = b;
    return 0;
}

void board_close(struct board *b)
{
    if (b == NULL)
        return;
    munmap(b->page, sizeof(*b->page));
    free(b);
}

const char *board_dir(const struct board *b)
{
    return b->dir;
}

void board_set_owner(struct board *b, void (*act)(void *ctx, bool begin), void *ctx)
{
    b->act = act;
    b->act_ctx = ctx;
}

void board_act(struct board *b, bool begin)
{
    if (b->act != NULL)
        b->act(b->act_ctx, begin);
}

void board_after_fork(struct board *b)
{
    b->who = (uint64_t)getpid() & ((1u << WHO_BITS) - 1);
}

/* --- pending ---------------------------------------------------------------------------------- */

static uint64_t bit(uint32_t queue)
{
    return UINT64_C(1) << (queue % 64);
}

void board_set_pending(struct board *b, uint32_t queue)
{
    if (!board_is_pending(b, queue))
        atomic_fetch_or(&b->page->pending[queue / 64], bit(queue));
}

void board_clear_pending(struct board *b, uint32_t queue)
{
    atomic_fetch_and(&b->page->pending[queue / 64], ~bit(queue));
}

bool board_is_pending(const struct board *b, uint32_t queue)
{
    return (atomic_load(&b->page->pending[queue / 64]) & bit(queue)) != 0;
}

bool board_others_pending(const struct board *b, uint32_t own)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        uint64_t mine = own / 64 == i ? bit(own) : 0;
        if ((atomic_load(&b->page->pending[i]) & ~mine) != 0)
            return true;
    }
    return false;
}

/* --- marks ------------------------------------------------------------------------------------ */

static uint32_t bucket(uint64_t ino)
{
    return shared_place(ino, MARKS);
}

static uint64_t next_mark(struct board *b)
{
    return (atomic_fetch_add(&b->page->now, 1) + 1) << WHO_BITS | b->who;
}

static uint64_t when(uint64_t mark)
{
    return mark >> WHO_BITS;
}

static bool is_mine(const struct board *b, uint64_t mark)
{
    return (mark & ((1u << WHO_BITS) - 1)) == b->who;
}

/* Sets a mark that is newer than the one it replaces, whose time is kept in *replaced when it was
 * another process's. */
static void set_mark(struct board *b, _Atomic uint64_t *mark, _Atomic uint64_t *replaced)
{
    uint64_t old = atomic_load(mark);
    while (!atomic_compare_exchange_weak(mark, &old, next_mark(b)))
        ;
    if (is_mine(b, old))
        return;
    uint64_t last = atomic_load(replaced);
    while (last < when(old) && !atomic_compare_exchange_weak(replaced, &last, when(old)))
        ;
}

static bool is_foreign(struct board *b, uint32_t at, uint64_t since)
{
    uint64_t mark = atomic_load(&b->page->mark[at]), all = atomic_load(&b->page->all);
    return (when(mark) > since && !is_mine(b, mark)) || atomic_load(&b->replaced[at]) > since ||
           (when(all) > since && !is_mine(b, all)) || atomic_load(&b->replaced_all) > since;
}

bool board_mark(struct board *b, uint64_t ino, uint64_t since)
{
    uint32_t at = bucket(ino);
    set_mark(b, &b->page->mark[at], &b->replaced[at]);
    return is_foreign(b, at, since);
}

bool board_foreign(struct board *b, uint64_t ino, uint64_t since)
{
    return is_foreign(b, bucket(ino), since);
}

uint64_t board_now(struct board *b)
{
    return atomic_load(&b->page->now);
}

void board_mark_all(struct board *b)
{
    set_mark(b, &b->page->all, &b->replaced_all);
}

/* --- asking ----------------------------------------------------------------------------------- */

#define ANY_NAME 1u
#define STUCK_MS 1000 /* who asks that long is stopped, or a zombie */

static uint32_t hash_of(const char *name, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    return h == ANY_NAME ? 0 : h;
}

static bool is_alive(uint64_t asking)
{
    pid_t pid = (pid_t)(asking >> 32);
    return pid != 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

static bool claim(struct board *b, uint32_t at, uint64_t old, uint64_t mine)
{
    uint32_t asked = atomic_load(&b->page->asked);
    while (asked <= at && !atomic_compare_exchange_weak(&b->page->asked, &asked, at + 1))
        continue;
    return atomic_compare_exchange_strong(&b->page->asking[at], &old, mine);
}

/* The first free one, so that who looks has few to look at; then those of the killed. */
uint32_t board_begin_asking(struct board *b, const char *name, size_t len)
{
    uint64_t pid = (uint64_t)process_id(), begun = clock_mono_ms();
    uint64_t mine = pid << 32 | (name != NULL ? hash_of(name, len) : ANY_NAME);

    for (uint32_t i = 0;; i++) {
        uint32_t at = i % BOARD_ASKING;
        uint64_t old = atomic_load(&b->page->asking[at]);
        bool is_free = old == 0 || (i >= BOARD_ASKING && !is_alive(old));
        if (is_free && claim(b, at, old, mine))
            return at;
        if (at + 1 < BOARD_ASKING || i < BOARD_ASKING)
            continue;
        if (clock_mono_ms() - begun > STUCK_MS) {
            atomic_store(&b->page->asking[at], pid << 32 | ANY_NAME); /* theirs too */
            return at;
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

/* Another process may have the slot by now. */
void board_end_asking(struct board *b, uint32_t ticket)
{
    uint64_t one = atomic_load(&b->page->asking[ticket]);
    if (one >> 32 == (uint64_t)process_id())
        atomic_compare_exchange_strong(&b->page->asking[ticket], &one, 0);
}

bool board_is_asked(struct board *b, const char *name, size_t len)
{
    uint32_t hash = 0, n = atomic_load(&b->page->asked);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t one = atomic_load(&b->page->asking[i]);
        if (one == 0)
            continue;
        if (hash == 0)
            hash = hash_of(name, len);
        if (((uint32_t)one == ANY_NAME || (uint32_t)one == hash) && is_alive(one))
            return true;
    }
    return false;
}

uint64_t board_note_id(struct board *b, unsigned kind, uint64_t last)
{
    uint64_t was = atomic_load(&b->page->given[kind]);
    while (was < last && !atomic_compare_exchange_weak(&b->page->given[kind], &was, last))
        continue;
    return was;
}

int board_lock(struct board *b)
{
    return shared_lock(&b->page->lock) < 0 ? -EIO : 0;
}

void board_unlock(struct board *b)
{
    pthread_mutex_unlock(&b->page->lock);
}
