/*
 * wrap_ftw.c - ftw and nftw for trees of ours: libc's walk with calls that we cannot see, so the
 * walk is done here, on top of our own exported calls.
 *
 * A directory is read whole and closed before its entries are visited: one descriptor at a time,
 * whatever the caller allows.
 */
#include "preload/preload.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef int ftw_fn(const char *, const struct stat *, int);
typedef int nftw_fn(const char *, const struct stat *, int, struct FTW *);

struct walk {
    ftw_fn *ftw; /* one of both */
    nftw_fn *nftw;
    int flags;
    dev_t dev;  /* FTW_MOUNT: stay here */
    void *seen; /* tree of directories visited, when symlinks are followed */
    char path[PATH_MAX];
};

struct visited {
    dev_t dev;
    ino_t ino;
};

static int visit(struct walk *w, size_t base, int level);

static int compare_visited(const void *a, const void *b)
{
    const struct visited *x = a, *y = b;

    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->dev < y->dev ? -1 : x->dev > y->dev;
}

/* 1: not seen before, 0: seen, -1 and errno. */
static int note(struct walk *w, const struct stat *st)
{
    struct visited *v = malloc(sizeof(*v));
    void *found;

    if (v == NULL)
        return -1;
    *v = (struct visited){st->st_dev, st->st_ino};
    found = tsearch(v, &w->seen, compare_visited);
    if (found != NULL && *(struct visited **)found == v)
        return 1;
    free(v);
    return found != NULL ? 0 : -1;
}

static int call(struct walk *w, const struct stat *st, int type, size_t base, int level)
{
    struct FTW at = {.base = (int)base, .level = level};

    if (w->nftw != NULL)
        return w->nftw(w->path, st, type, &at);
    /* ftw knows fewer types */
    type = type == FTW_SL ? FTW_F : type == FTW_DP ? FTW_D : type == FTW_SLN ? FTW_NS : type;
    return w->ftw(w->path, st, type);
}

/* What a call below names: with FTW_CHDIR the process stands in the parent. */
static const char *name_of(const struct walk *w, size_t base)
{
    return (w->flags & FTW_CHDIR) != 0 && w->path[base] != '\0' ? w->path + base : w->path;
}

/* The names of a directory, each ended by NUL, an empty one at the end.  malloc'ed; NULL and errno.
 */
static char *read_names(DIR *dir)
{
    size_t len = 0, cap = 1024;
    char *names = malloc(cap), *more;

    while (names != NULL) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL && errno != 0)
            break;
        size_t n = e != NULL ? strlen(e->d_name) + 1 : 1;
        if (len + n > cap) {
            if ((more = realloc(names, cap *= 2)) == NULL)
                break;
            names = more;
        }
        memcpy(names + len, e != NULL ? e->d_name : "", n);
        if (e == NULL)
            return names;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            len += n;
    }
    free(names);
    return NULL;
}

static int visit_entries(struct walk *w, const char *names, int level)
{
    size_t len = strlen(w->path);
    int rc = 0;

    for (; rc == 0 && *names != '\0'; names += strlen(names) + 1) {
        bool slash = len > 0 && w->path[len - 1] != '/';
        if (len + slash + strlen(names) >= sizeof(w->path)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (slash)
            w->path[len] = '/';
        strcpy(w->path + len + slash, names);
        rc = visit(w, len + slash, level + 1);
        w->path[len] = '\0';
        if ((w->flags & FTW_ACTIONRETVAL) != 0 && rc == FTW_SKIP_SUBTREE)
            rc = 0;
    }
    return (w->flags & FTW_ACTIONRETVAL) != 0 && rc == FTW_SKIP_SIBLINGS ? 0 : rc;
}

static int visit_dir(struct walk *w, const struct stat *st, size_t base, int level)
{
    bool depth = (w->flags & FTW_DEPTH) != 0, into = (w->flags & FTW_CHDIR) != 0;
    DIR *dir = opendir(name_of(w, base));
    int rc = 0;

    if (dir == NULL)
        return errno == EACCES ? call(w, st, FTW_DNR, base, level) : -1;
    char *names = read_names(dir);
    closedir(dir);
    if (names == NULL)
        return -1;
    if (!depth)
        rc = call(w, st, FTW_D, base, level);
    int up = -1;
    if (rc == 0 && into &&
        ((up = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || chdir(name_of(w, base)) < 0))
        rc = -1;
    if (rc == 0)
        rc = visit_entries(w, names, level);
    free(names);
    if (up >= 0) {
        if (fchdir(up) < 0 && rc == 0)
            rc = -1;
        close(up);
    }
    if (rc == 0 && depth)
        rc = call(w, st, FTW_DP, base, level);
    return rc;
}

static int visit(struct walk *w, size_t base, int level)
{
    bool physical = (w->flags & FTW_PHYS) != 0;
    const char *name = name_of(w, base);
    struct stat st;
    int type = FTW_F, fresh = 1;

    memset(&st, 0, sizeof(st));
    if ((physical ? lstat : stat)(name, &st) < 0) {
        if (errno != EACCES && errno != ENOENT)
            return -1;
        type = !physical && lstat(name, &st) == 0 && S_ISLNK(st.st_mode) ? FTW_SLN : FTW_NS;
        if (type == FTW_NS && level == 0)
            return -1;
    } else if (S_ISDIR(st.st_mode)) {
        type = FTW_D;
    } else if (S_ISLNK(st.st_mode)) {
        type = FTW_SL;
    }
    if (level == 0)
        w->dev = st.st_dev;
    if (type != FTW_NS && (w->flags & FTW_MOUNT) != 0 && st.st_dev != w->dev)
        return 0;
    if (type != FTW_D)
        return call(w, &st, type, base, level);
    if (!physical)
        fresh = note(w, &st);
    return fresh == 1 ? visit_dir(w, &st, base, level) : fresh;
}

static int walk(struct walk *w, const char *path)
{
    size_t len = strlen(path), base;
    int rc, home = -1;

    if (len == 0 || len >= sizeof(w->path))
        return (int)to_libc(len == 0 ? -ENOENT : -ENAMETOOLONG);
    memcpy(w->path, path, len + 1);
    while (len > 1 && w->path[len - 1] == '/')
        w->path[--len] = '\0';
    for (base = len; base > 0 && w->path[base - 1] != '/'; base--)
        ;
    if (base == len)
        base = 0; /* "/" */
    if ((w->flags & FTW_CHDIR) != 0) {
        char parent[PATH_MAX];
        memcpy(parent, w->path, base);
        parent[base] = '\0';
        home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (home < 0)
            return -1;
        if (base > 0 && chdir(parent) < 0) {
            close(home);
            return -1;
        }
    }
    rc = visit(w, base, 0);
    if ((w->flags & FTW_ACTIONRETVAL) != 0 && (rc == FTW_SKIP_SUBTREE || rc == FTW_SKIP_SIBLINGS))
        rc = 0;
    int err = errno;
    tdestroy(w->seen, free);
    if (home >= 0) {
        if (fchdir(home) < 0 && rc == 0) {
            err = errno;
            rc = -1;
        }
        close(home);
    }
    if (rc < 0)
        errno = err;
    return rc;
}

SLOW int ftw_ours(const char *path, ftw_fn *f, nftw_fn *nf, int flags)
{
    struct walk *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return -1;
    w->ftw = f;
    w->nftw = nf;
    w->flags = flags;
    int rc = walk(w, path);
    free(w);
    return rc;
}

EXPORT int ftw(const char *path, ftw_fn *f, int descriptors)
{
    if (route_native(AT_FDCWD, path))
        return REAL(ftw)(path, f, descriptors);
    return ftw_ours(path, f, NULL, 0);
}

EXPORT int nftw(const char *path, nftw_fn *f, int descriptors, int flags)
{
    if (route_native(AT_FDCWD, path))
        return REAL(nftw)(path, f, descriptors, flags);
    return ftw_ours(path, NULL, f, flags);
}
