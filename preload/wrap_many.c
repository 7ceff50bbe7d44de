/*
 * wrap_many.c - the calls of include/jfspre.h, which a preloaded program finds by dlsym.
 *
 * The header's own functions of these names are static and for programs; these are what they call.
 */
#include "preload/files.h"
#include "preload/heap.h"
#include "preload/preload.h"

EXPORT int jfspre_flush(void);
EXPORT int jfspre_create_many(int dir, const char *const *names, size_t n, mode_t mode,
                              int *errors);
EXPORT int jfspre_unlink_many(int dir, const char *const *names, size_t n, int *errors);

SLOW int flush(struct call *c)
{
    int committed = files_commit_all(c->v);
    int rc = vfs_flush(c->v);

    return committed < 0 ? committed : rc;
}

EXPORT int jfspre_flush(void)
{
    struct call c;

    if (volume_if_any() == NULL || guard_inside())
        return 0;
    call_begin(&c);
    int rc = ROOM(flush, &c);
    call_end(&c);
    return (int)to_libc(rc);
}

/* --- many names ------------------------------------------------------------------------------- */

struct many {
    int dir;
    const char *const *names;
    size_t n;
    bool create;
    mode_t mode;
    int *errors;
    int first;              /* errno of the first that failed */
    struct vfs_name *batch; /* room for n */
};

static void note(struct many *m, size_t i, int e)
{
    if (m->errors != NULL)
        m->errors[i] = e;
    if (m->first == 0)
        m->first = e;
}

/* By the single call, which serves any path. */
static void one(struct many *m, size_t i)
{
    int keep = errno, rc;

    if (m->create) {
        rc = openat(m->dir, m->names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, m->mode);
        if (rc >= 0)
            rc = close(rc);
    } else {
        rc = unlinkat(m->dir, m->names[i], 0);
    }
    note(m, i, rc < 0 ? errno : 0);
    errno = keep;
}

/* How many names from this one on are ours; they are in m->batch then. */
SLOW size_t gather(struct many *m, size_t from)
{
    struct vfs_loc loc;
    size_t n = 0;

    for (; from + n < m->n && route_find(m->dir, m->names[from + n], &loc); n++)
        m->batch[n] = (struct vfs_name){.base = loc.base, .path = loc.path};
    return n;
}

static void send(struct many *m, size_t from, size_t n)
{
    struct call c;

    call_begin(&c);
    for (size_t i = 0; i < n && c.err != 0; i++)
        m->batch[i].result = c.err;
    if (c.err == 0 && m->create)
        vfs_create_many(c.v, m->batch, n, m->mode);
    else if (c.err == 0)
        vfs_unlink_many(c.v, m->batch, n);
    call_end(&c);
    for (size_t i = 0; i < n; i++) {
        if (m->batch[i].result == VFS_ESCAPE)
            one(m, from + i);
        else
            note(m, from + i, -m->batch[i].result);
    }
}

SLOW int do_many(struct many *m)
{
    struct guard g;

    if (m->n > SIZE_MAX / sizeof(*m->batch))
        return (int)to_libc(-ENOMEM);
    guard_enter(&g);
    m->batch = jfspre_heap_malloc(m->n * sizeof(*m->batch) + 1);
    guard_leave(&g);
    if (m->batch == NULL)
        return (int)to_libc(-ENOMEM);
    for (size_t i = 0; i < m->n;) {
        size_t ours = gather(m, i);
        if (ours > 0)
            send(m, i, ours);
        else
            one(m, i);
        i += ours > 0 ? ours : 1;
    }
    guard_enter(&g);
    jfspre_heap_free(m->batch);
    guard_leave(&g);
    return (int)to_libc(-m->first);
}

EXPORT int jfspre_create_many(int dir, const char *const *names, size_t n, mode_t mode, int *errors)
{
    struct many m = {dir, names, n, true, mode, errors, 0, NULL};

    return ROOM(do_many, &m);
}

EXPORT int jfspre_unlink_many(int dir, const char *const *names, size_t n, int *errors)
{
    struct many m = {dir, names, n, false, 0, errors, 0, NULL};

    return ROOM(do_many, &m);
}
