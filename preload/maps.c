/*
 * maps.c - see maps.h.  A table of fixed size under a spin lock that is held for a walk over the
 * table only, never over a call into the volume.
 */
#include "preload/maps.h"

#include "preload/files.h"

#include <stdint.h>
#include <unistd.h>

#define MAPS_MAX 1024

_Atomic int maps_count; /* rows in use are below this */

static struct map {
    uintptr_t from, to; /* from == to: free */
    struct vfs_fd file;
} map[MAPS_MAX];
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        ;
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static uintptr_t page_up(uintptr_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    return (n + page - 1) & ~(page - 1);
}

static struct map *put(uintptr_t from, uintptr_t to, const struct vfs_fd *file)
{
    for (int i = 0; i < MAPS_MAX; i++) {
        if (map[i].from != map[i].to)
            continue;
        map[i] = (struct map){from, to, *file};
        if (i >= maps_count)
            maps_count = i + 1;
        return &map[i];
    }
    return NULL;
}

static bool same_file(const struct vfs_fd *a, const struct vfs_fd *b)
{
    return a->slot == b->slot && a->gen == b->gen;
}

static bool is_mapped(const struct vfs_fd *file)
{
    for (int i = 0; i < maps_count; i++)
        if (map[i].from != map[i].to && same_file(&map[i].file, file))
            return true;
    return false;
}

/* Cuts [from, to) out of one row that meets it; *file is that row's.  false: no row does. */
static bool cut(uintptr_t from, uintptr_t to, struct vfs_fd *file)
{
    for (int i = 0; i < maps_count; i++) {
        struct map *m = &map[i];
        if (m->from == m->to || m->to <= from || to <= m->from)
            continue;
        *file = m->file;
        if (m->from < from && to < m->to)
            put(to, m->to, file); /* no room: the tail is forgotten, exit() finds the file anew */
        if (m->from < from)
            m->to = from;
        else if (to < m->to)
            m->from = to;
        else
            m->from = m->to = 0;
        return true;
    }
    return false;
}

bool maps_add(void *addr, size_t len, const struct vfs_fd *f)
{
    uintptr_t from = (uintptr_t)addr;

    lock();
    bool done = put(from, from + page_up(len), f) != NULL;
    unlock();
    return done;
}

void maps_remove(struct vfs *v, void *addr, size_t len)
{
    uintptr_t from = (uintptr_t)addr, to = from + page_up(len);
    struct vfs_fd file;

    for (;;) {
        lock();
        bool found = cut(from, to, &file);
        bool last = found && !is_mapped(&file);
        unlock();
        if (!found)
            return;
        if (!last)
            continue;
        files_lost(&file, vfs_commit(v, -1, &file));
        if (!files_is_open(&file))
            vfs_release(v, &file);
    }
}

void maps_move(void *old, size_t old_len, void *fresh, size_t len)
{
    uintptr_t from = (uintptr_t)old, to = from + page_up(old_len);
    uintptr_t at = (uintptr_t)fresh;
    struct vfs_fd file;

    lock();
    if (cut(from, to, &file))
        put(at, at + page_up(len), &file);
    unlock();
}

/* The first row from *i on that meets the range. */
static bool next(int *i, uintptr_t from, uintptr_t to, struct vfs_fd *file)
{
    bool found = false;

    lock();
    for (; *i < maps_count && !found; ++*i) {
        const struct map *m = &map[*i];
        if ((found = m->from != m->to && from < m->to && m->from < to))
            *file = m->file;
    }
    unlock();
    return found;
}

static int commit_range(struct vfs *v, uintptr_t from, uintptr_t to)
{
    struct vfs_fd file;
    int rc = 0;

    for (int i = 0; next(&i, from, to, &file);) {
        int one = vfs_commit(v, -1, &file);
        if (rc == 0)
            rc = one;
    }
    return rc;
}

int maps_commit(struct vfs *v, void *addr, size_t len)
{
    return commit_range(v, (uintptr_t)addr, (uintptr_t)addr + page_up(len));
}

int maps_commit_all(struct vfs *v)
{
    return commit_range(v, 0, UINTPTR_MAX);
}
