/*
 * wrap_scan.c - scandir: a whole directory into an array.  Written on top of our own readdir; the
 * program's filter and comparison are called outside the guard.
 */
#include "preload/preload.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef int filter_fn(const struct dirent *);
typedef int compare_fn(const struct dirent **, const struct dirent **);

struct list {
    struct dirent **entry;
    size_t n, cap;
};

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->entry[i]);
    free(l->entry);
}

static bool list_add(struct list *l, const struct dirent *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap > 0 ? 2 * l->cap : 32;
        struct dirent **more = realloc(l->entry, cap * sizeof(*more));
        if (more == NULL)
            return false;
        l->entry = more;
        l->cap = cap;
    }
    struct dirent *copy = malloc(e->d_reclen);
    if (copy == NULL)
        return false;
    memcpy(copy, e, e->d_reclen);
    l->entry[l->n++] = copy;
    return true;
}

/* 0 or an errno. */
static int list_fill(struct list *l, DIR *dir, filter_fn *filter)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL)
            return errno;
        if (filter != NULL) {
            errno = 0; /* "... filter may set it" */
            if (filter(e) == 0)
                continue;
        }
        if (!list_add(l, e))
            return ENOMEM;
    }
}

SLOW int scandirat_ours(int dir, const char *path, struct dirent ***out, filter_fn *filter,
                        compare_fn *compare)
{
    int before = errno;
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct list l = {0};
    int err;

    if (d == NULL) {
        err = errno;
        if (fd >= 0)
            close(fd);
        return (int)to_libc(-err);
    }
    err = list_fill(&l, d, filter);
    closedir(d);
    if (err != 0) {
        list_free(&l);
        return (int)to_libc(-err);
    }
    if (compare != NULL && l.n > 0)
        qsort(l.entry, l.n, sizeof(*l.entry), (int (*)(const void *, const void *))compare);
    *out = l.entry;
    errno = before;
    return (int)l.n;
}

EXPORT int scandir(const char *restrict path, struct dirent ***restrict out, filter_fn *filter,
                   compare_fn *compare)
{
    if (route_native(AT_FDCWD, path))
        return REAL(scandir)(path, out, filter, compare);
    return scandirat_ours(AT_FDCWD, path, out, filter, compare);
}

EXPORT int scandirat(int dir, const char *restrict path, struct dirent ***restrict out,
                     filter_fn *filter, compare_fn *compare)
{
    if (route_native(dir, path))
        return REAL(scandirat)(dir, path, out, filter, compare);
    return scandirat_ours(dir, path, out, filter, compare);
}
