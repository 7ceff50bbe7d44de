/*
 * fdtab.c - see fdtab.h.  Chunks of entries, mapped when first written and never unmapped, so that
 * a reader needs no lock; an entry's sequence count is also the lock of its writers.
 */
#include "preload/fdtab.h"

#include "preload/init.h"
#include "preload/raw.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

_Static_assert(sizeof(struct vfs_fd) % sizeof(uint64_t) == 0, "copied by words");

_Atomic bool fdtab_any;
struct fdtab_entry *_Atomic fdtab_chunks[FDTAB_CHUNKS];

static struct fdtab_entry *entry_of(int fd)
{
    if ((unsigned)fd >= FDTAB_CHUNK * FDTAB_CHUNKS)
        return NULL;
    struct fdtab_entry *chunk =
        atomic_load_explicit(&fdtab_chunks[fd / FDTAB_CHUNK], memory_order_acquire);
    return chunk != NULL ? &chunk[fd % FDTAB_CHUNK] : NULL;
}

static struct fdtab_entry *entry_make(int fd)
{
    struct fdtab_entry *e = entry_of(fd), *none = NULL;
    size_t len = FDTAB_CHUNK * sizeof(*e);

    if (e != NULL)
        return e;
    long at = raw_syscall6(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return NULL;
    if (!atomic_compare_exchange_strong(&fdtab_chunks[fd / FDTAB_CHUNK], &none, (void *)at))
        raw_syscall3(SYS_munmap, at, len, 0);
    return entry_of(fd);
}

static uint32_t entry_lock(struct fdtab_entry *e)
{
    uint32_t seq;

    do
        seq = atomic_load(&e->seq) & ~1u;
    while (!atomic_compare_exchange_weak(&e->seq, &seq, seq + 1));
    return seq;
}

static void entry_unlock(struct fdtab_entry *e, uint32_t seq)
{
    atomic_store_explicit(&e->seq, seq + 2, memory_order_release);
}

static void entry_copy(struct fdtab_entry *e, struct vfs_fd *out)
{
    uint64_t word[FDTAB_WORDS];

    for (size_t i = 0; i < FDTAB_WORDS; i++)
        word[i] = atomic_load_explicit(&e->word[i], memory_order_relaxed);
    memcpy(out, word, sizeof(word));
}

bool fdtab_get(int fd, struct vfs_fd *out)
{
    struct fdtab_entry *e = entry_of(fd);
    uint32_t seq;
    bool used;

    if (e == NULL)
        return false;
    do {
        seq = atomic_load_explicit(&e->seq, memory_order_acquire);
        used = atomic_load_explicit(&e->used, memory_order_relaxed);
        entry_copy(e, out);
        atomic_thread_fence(memory_order_acquire);
    } while ((seq & 1) != 0 || atomic_load_explicit(&e->seq, memory_order_relaxed) != seq);
    return used;
}

int fdtab_set(int fd, const struct vfs_fd *f)
{
    uint64_t word[FDTAB_WORDS];

    if ((unsigned)fd >= FDTAB_CHUNK * FDTAB_CHUNKS)
        return -EMFILE;
    struct fdtab_entry *e = entry_make(fd);
    if (e == NULL)
        return -ENOMEM;
    memcpy(word, f, sizeof(word));
    uint32_t seq = entry_lock(e);
    for (size_t i = 0; i < FDTAB_WORDS; i++)
        atomic_store_explicit(&e->word[i], word[i], memory_order_relaxed);
    atomic_store_explicit(&e->used, true, memory_order_relaxed);
    entry_unlock(e, seq);
    atomic_store(&fdtab_any, true);
    return 0;
}

bool fdtab_take(int fd, struct vfs_fd *out)
{
    struct fdtab_entry *e = entry_of(fd);

    if (e == NULL || !atomic_load_explicit(&e->used, memory_order_relaxed))
        return false;
    uint32_t seq = entry_lock(e);
    bool used = atomic_load_explicit(&e->used, memory_order_relaxed);
    if (used && out != NULL)
        entry_copy(e, out);
    atomic_store_explicit(&e->used, false, memory_order_relaxed);
    entry_unlock(e, seq);
    return used;
}

int fdtab_copy(int from, int to)
{
    struct vfs_fd f;

    if (fdtab_get(from, &f))
        return fdtab_set(to, &f);
    fdtab_take(to, NULL);
    return 0;
}

int fdtab_next(int fd)
{
    if (fd < 0)
        fd = 0;
    while (atomic_load(&fdtab_any) && (unsigned)fd < FDTAB_CHUNK * FDTAB_CHUNKS) {
        if (entry_of(fd) == NULL)
            fd = (fd / FDTAB_CHUNK + 1) * FDTAB_CHUNK;
        else if (fdtab_may(fd))
            return fd;
        else
            fd++;
    }
    return -1;
}

bool fdtab_identify(struct vfs *v, int fd, struct vfs_fd *out)
{
    struct vfs_fd f;

    if (vfs_identify(v, fd, &f) != 1 || fdtab_set(fd, &f) != 0) {
        fdtab_take(fd, NULL);
        return false;
    }
    if (out != NULL)
        *out = f;
    return true;
}

void fdtab_after_fork(struct vfs *v)
{
    for (int i = 0; i < FDTAB_CHUNKS; i++) {
        struct fdtab_entry *chunk = atomic_load(&fdtab_chunks[i]);
        for (int k = 0; chunk != NULL && k < FDTAB_CHUNK; k++) {
            uint32_t seq = atomic_load(&chunk[k].seq);
            int fd = i * FDTAB_CHUNK + k;
            struct vfs_fd f;
            if ((seq & 1) != 0) { /* a thread that is not here was writing it */
                atomic_store(&chunk[k].seq, seq + 1);
                fdtab_identify(v, fd, NULL);
            }
            if (fdtab_get(fd, &f)) {
                f.borrowed = true;
                fdtab_set(fd, &f);
            }
        }
    }
}

size_t fdtab_own_list(int *fds, size_t n)
{
    struct vfs *v = volume_if_any();
    size_t have = v != NULL ? vfs_own_fds(v, fds, n) : 0;

    if (have > n)
        have = n;
    for (size_t i = 1; i < have; i++)
        for (size_t k = i; k > 0 && fds[k - 1] > fds[k]; k--) {
            int swap = fds[k];
            fds[k] = fds[k - 1];
            fds[k - 1] = swap;
        }
    return have;
}

bool fdtab_is_own(int fd)
{
    int own[OWN_MAX];
    size_t n = fdtab_own_list(own, OWN_MAX);

    for (size_t i = 0; i < n; i++)
        if (own[i] == fd)
            return true;
    return false;
}

/* The program has every number that its limit allows.  Above it there are others, which stay open
 * when it is back. */
static int dup_above(int fd, const struct rlimit *lim)
{
    struct rlimit all = {.rlim_cur = lim->rlim_max, .rlim_max = lim->rlim_max};

    if (lim->rlim_cur >= lim->rlim_max || setrlimit(RLIMIT_NOFILE, &all) != 0)
        return -1;
    int fresh = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, (int)lim->rlim_cur);
    setrlimit(RLIMIT_NOFILE, lim);
    return fresh;
}

/* High, where programs seldom look: below the limit, and below 1024 for those that use select(). */
static int dup_high(int fd)
{
    struct rlimit lim = {0, 0};
    int from = 1000;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < 1024)
        from = lim.rlim_cur > 32 ? (int)lim.rlim_cur - 24 : 16;
    int fresh = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, from);
    if (fresh < 0)
        fresh = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 3);
    return fresh >= 0 ? fresh : dup_above(fd, &lim);
}

void fdtab_make_way(int fd)
{
    struct vfs *v = volume_if_any();
    int fresh;

    if (v == NULL || !fdtab_is_own(fd))
        return;
    fresh = dup_high(fd);
    if (fresh < 0)
        return; /* no number left: the volume notices that its descriptor has gone */
    vfs_fd_moved(v, fd, fresh);
    REAL(close)(fd);
}
