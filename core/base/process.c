/*
 * process.c - see process.h.
 */
#include "core/base/process.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a user namespace shows of ids without a mapping: they may get one by somebody else's hand.
 */
#define OVERFLOW_ID 65534

/* Zeros in a child. */
struct kept_page {
    _Atomic pid_t pid;
    _Atomic uint64_t epoch; /* ids that were kept in another one are out of date */
};

static struct kept_page *_Atomic kept;
static _Atomic uint64_t epochs;
static _Atomic bool watched;

struct kept_ids {
    uint64_t epoch; /* 0: none */
    struct process_ids ids;
};
static __thread struct kept_ids mine __attribute__((tls_model("initial-exec")));

static __attribute__((noinline)) struct kept_page *make_page(void)
{
    static _Atomic bool failed;
    struct kept_page *none = NULL;

    if (atomic_load_explicit(&failed, memory_order_relaxed))
        return NULL;
    struct kept_page *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || madvise(p, sizeof *p, MADV_WIPEONFORK) != 0) {
        if (p != MAP_FAILED)
            munmap(p, sizeof *p);
        atomic_store(&failed, true);
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&kept, &none, p)) {
        munmap(p, sizeof *p);
        p = none;
    }
    return p;
}

/* NULL: this kernel cannot. */
static inline struct kept_page *page(void)
{
    struct kept_page *p = atomic_load_explicit(&kept, memory_order_acquire);
    return p != NULL ? p : make_page();
}

pid_t process_id(void)
{
    struct kept_page *p = page();
    pid_t pid = p != NULL ? atomic_load_explicit(&p->pid, memory_order_relaxed) : 0;

    if (pid != 0)
        return pid;
    pid = getpid();
    if (p != NULL)
        atomic_store_explicit(&p->pid, pid, memory_order_relaxed);
    return pid;
}

static uint64_t new_epoch(void)
{
    return atomic_fetch_add(&epochs, 1) + 1;
}

static void ask(struct process_ids *ids)
{
    gid_t all[1024];
    int n;

    ids->uid = geteuid();
    ids->gid = getegid();
    ids->ngroups = 0;
    ids->left_out = 0;
    n = ids->uid != 0 ? getgroups(1024, all) : 0;
    for (int i = 0; i < n && i < PROCESS_GROUPS_MAX; i++)
        ids->groups[ids->ngroups++] = all[i];
    if (n > PROCESS_GROUPS_MAX)
        ids->left_out = (unsigned)n - PROCESS_GROUPS_MAX;
}

static __attribute__((noinline)) const struct process_ids *ask_again(struct kept_page *p)
{
    uint64_t epoch = p != NULL ? atomic_load(&p->epoch) : 0;

    if (p != NULL && epoch == 0) {
        uint64_t fresh = new_epoch();
        if (atomic_compare_exchange_strong(&p->epoch, &epoch, fresh))
            epoch = fresh;
    }
    ask(&mine.ids);
    mine.epoch = mine.ids.uid != OVERFLOW_ID && mine.ids.gid != OVERFLOW_ID ? epoch : 0;
    return &mine.ids;
}

const struct process_ids *process_ids(void)
{
    struct kept_page *p = atomic_load_explicit(&watched, memory_order_relaxed) ? page() : NULL;
    uint64_t epoch = p != NULL ? atomic_load(&p->epoch) : 0;

    return epoch != 0 && mine.epoch == epoch ? &mine.ids : ask_again(p);
}

void process_ids_are_watched(void)
{
    atomic_store(&watched, true);
}

void process_ids_changed(void)
{
    struct kept_page *p = atomic_load(&kept);

    if (p != NULL)
        atomic_store(&p->epoch, new_epoch());
}
