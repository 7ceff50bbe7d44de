/*
 * wrap_fts.c - fts for trees of ours: libc's walks with calls that we cannot see, so the walk is
 * done here, on top of our own exported calls, in libc's structures.
 *
 * Names are taken relative to the directory the process is in (as with FTS_NOCHDIR), so every entry
 * has a path of its own and fts_accpath is fts_path.  The sets of ours are in a list: the other
 * calls tell by it whether a set is libc's.
 *
 * An entry lives until fts_read() has gone on to its sibling or, of a directory, to its parent.
 */
#include "preload/preload.h"

#include <dirent.h>
#include <fts.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_ONLY 1 /* fts_flags: made by fts_children(FTS_NAMEONLY), not to be visited */

struct set {
    FTS fts;    /* first: the program's pointer */
    FTSENT top; /* parent of the paths given */
    struct set *next;
};

static struct set *sets;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct set *set_of(FTS *f)
{
    struct set *s;

    pthread_mutex_lock(&lock);
    for (s = sets; s != NULL && &s->fts != f; s = s->next)
        ;
    pthread_mutex_unlock(&lock);
    return s;
}

/* --- entries -------------------------------------------------------------------------------------
 */

struct entry {
    struct stat st;
    FTSENT e; /* last: its name goes on behind it, and the path behind that */
};

static FTSENT *entry_new(FTSENT *parent, const char *name)
{
    const char *dir = parent->fts_level >= FTS_ROOTLEVEL ? parent->fts_path : "";
    size_t n = strlen(dir), len = strlen(name);
    bool slash = n > 0 && dir[n - 1] != '/';
    struct entry *x = calloc(1, sizeof(*x) + len + n + slash + len + 1);

    if (x == NULL)
        return NULL;
    FTSENT *p = &x->e;
    memcpy(p->fts_name, name, len + 1);
    p->fts_path = p->fts_accpath = p->fts_name + len + 1;
    memcpy(p->fts_path, dir, n);
    p->fts_path[n] = '/';
    memcpy(p->fts_path + n + slash, name, len + 1);
    p->fts_pathlen = (unsigned short)(n + slash + len);
    p->fts_namelen = (unsigned short)len;
    p->fts_parent = parent;
    p->fts_level = (short)(parent->fts_level + 1);
    p->fts_instr = FTS_NOINSTR;
    p->fts_statp = &x->st;
    return p;
}

static void entry_free(FTSENT *p)
{
    free((char *)p - offsetof(struct entry, e));
}

static void list_free(FTSENT *p)
{
    while (p != NULL) {
        FTSENT *next = p->fts_link;
        entry_free(p);
        p = next;
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static unsigned short info_of_dir(FTSENT *p)
{
    if (p->fts_level > FTS_ROOTLEVEL && is_dots(p->fts_name))
        return FTS_DOT;
    for (FTSENT *up = p->fts_parent; up->fts_level >= FTS_ROOTLEVEL; up = up->fts_parent)
        if (up->fts_ino == p->fts_ino && up->fts_dev == p->fts_dev) {
            p->fts_cycle = up;
            return FTS_DC;
        }
    return FTS_D;
}

/* Fills what stat says; returns fts_info. */
static unsigned short entry_stat(const struct set *s, FTSENT *p, bool follow)
{
    struct stat *st = p->fts_statp;

    follow = follow || (s->fts.fts_options & FTS_LOGICAL) != 0;
    if ((follow ? stat : lstat)(p->fts_path, st) < 0) {
        int err = errno;
        if (follow && lstat(p->fts_path, st) == 0) {
            errno = 0;
            return FTS_SLNONE;
        }
        p->fts_errno = err;
        memset(st, 0, sizeof(*st));
        return FTS_NS;
    }
    p->fts_dev = st->st_dev;
    p->fts_ino = st->st_ino;
    p->fts_nlink = st->st_nlink;
    if (S_ISDIR(st->st_mode))
        return info_of_dir(p);
    return S_ISLNK(st->st_mode) ? FTS_SL : S_ISREG(st->st_mode) ? FTS_F : FTS_DEFAULT;
}

/* --- lists of entries ----------------------------------------------------------------------------
 */

static FTSENT *list_sort(const struct set *s, FTSENT *first, size_t n)
{
    FTSENT **all = s->fts.fts_compar != NULL && n > 1 ? malloc(n * sizeof(FTSENT *)) : NULL;
    size_t i = 0;

    if (all == NULL)
        return first;
    for (FTSENT *p = first; p != NULL; p = p->fts_link)
        all[i++] = p;
    qsort(all, n, sizeof(FTSENT *), s->fts.fts_compar);
    for (i = 0; i < n; i++)
        all[i]->fts_link = i + 1 < n ? all[i + 1] : NULL;
    first = all[0];
    free(all);
    return first;
}

/* The entries of cur.  NULL with errno 0 when there are none; a directory that cannot be read is
 * told in cur->fts_info. */
static FTSENT *list_build(const struct set *s, FTSENT *cur, bool names_only)
{
    bool no_stat =
        (s->fts.fts_options & FTS_NOSTAT) != 0 && (s->fts.fts_options & FTS_PHYSICAL) != 0;
    FTSENT *first = NULL, **tail = &first;
    DIR *dir = opendir(cur->fts_path);
    size_t n = 0;

    if (dir == NULL) {
        cur->fts_info = FTS_DNR;
        cur->fts_errno = errno;
        return NULL;
    }
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        if (d == NULL)
            break;
        if (is_dots(d->d_name) && (s->fts.fts_options & FTS_SEEDOT) == 0)
            continue;
        FTSENT *p = entry_new(cur, d->d_name);
        if (p == NULL)
            break;
        if (names_only || (no_stat && d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
            p->fts_info = FTS_NSOK;
        else
            p->fts_info = entry_stat(s, p, false);
        *tail = p;
        tail = &p->fts_link;
        n++;
    }
    int err = errno;
    closedir(dir);
    if (err != 0) {
        list_free(first);
        cur->fts_info = FTS_ERR;
        cur->fts_errno = err;
        errno = err;
        return NULL;
    }
    errno = 0;
    return list_sort(s, first, n);
}

/* --- the calls -----------------------------------------------------------------------------------
 */

typedef int compare_fn(const FTSENT **, const FTSENT **);

static bool any_ours(char *const *paths)
{
    for (; paths != NULL && *paths != NULL; paths++)
        if (route_is_ours(AT_FDCWD, *paths))
            return true;
    return false;
}

/* Of a path given, fts_name is the last part only. */
static void root_name(FTSENT *p)
{
    const char *last = strrchr(p->fts_name, '/');

    if (last == NULL || (last == p->fts_name && last[1] == '\0'))
        return;
    p->fts_namelen = (unsigned short)strlen(++last);
    memmove(p->fts_name, last, p->fts_namelen + 1u);
}

static int add_roots(struct set *s, char *const *paths)
{
    FTSENT *first = NULL, **tail = &first;
    size_t n = 0;

    for (; *paths != NULL; paths++, n++) {
        FTSENT *p = **paths != '\0' ? entry_new(&s->top, *paths) : NULL;
        if (p == NULL) {
            list_free(first);
            return **paths != '\0' ? -ENOMEM : -ENOENT;
        }
        *tail = p;
        tail = &p->fts_link;
        p->fts_info = entry_stat(s, p, (s->fts.fts_options & FTS_COMFOLLOW) != 0);
    }
    s->fts.fts_child = list_sort(s, first, n);
    for (FTSENT *p = s->fts.fts_child; p != NULL; p = p->fts_link)
        root_name(p);
    return 0;
}

SLOW FTS *open_ours(char *const *paths, int options, compare_fn *compare)
{
    struct set *s;
    int rc;

    if ((options & ~FTS_OPTIONMASK) != 0)
        return to_libc_null(-EINVAL);
    if ((s = calloc(1, sizeof(*s))) == NULL)
        return NULL;
    s->top.fts_level = FTS_ROOTPARENTLEVEL;
    s->fts.fts_options = options;
    s->fts.fts_compar = (int (*)(const void *, const void *))compare;
    if ((rc = add_roots(s, paths)) < 0) {
        free(s);
        return to_libc_null(rc);
    }
    pthread_mutex_lock(&lock);
    s->next = sets;
    sets = s;
    pthread_mutex_unlock(&lock);
    return &s->fts;
}

EXPORT FTS *fts_open(char *const *paths, int options, compare_fn *compare)
{
    if (!any_ours(paths))
        return REAL(fts_open)(paths, options, compare);
    return open_ours(paths, options, compare);
}

/* p was returned and is a directory to go into: its first entry, or p again when it has none. */
static FTSENT *go_down(struct set *s, FTSENT *p)
{
    bool other_fs = (s->fts.fts_options & FTS_XDEV) != 0 && p->fts_dev != s->fts.fts_dev;

    if (p->fts_instr == FTS_SKIP || other_fs) {
        list_free(s->fts.fts_child);
        s->fts.fts_child = NULL;
        p->fts_info = FTS_DP;
        return p;
    }
    FTSENT *first = s->fts.fts_child;
    s->fts.fts_child = NULL;
    if (first != NULL && (first->fts_flags & NAME_ONLY) != 0) {
        list_free(first);
        first = NULL;
    }
    if (first == NULL)
        first = list_build(s, p, false);
    if (first == NULL) {
        if (p->fts_info == FTS_D)
            p->fts_info = FTS_DP;
        return p;
    }
    return first;
}

/* The next after p on its level that is not to be skipped, or its parent for the second time.  p is
 * freed.  NULL at the end. */
static FTSENT *go_on(struct set *s, FTSENT *p)
{
    for (;;) {
        FTSENT *next = p->fts_link, *up = p->fts_parent;
        entry_free(p);
        if (next == NULL) {
            if (up->fts_level < FTS_ROOTLEVEL)
                return NULL;
            up->fts_info = up->fts_errno != 0 ? FTS_ERR : FTS_DP;
            return up;
        }
        p = next;
        if (p->fts_instr == FTS_SKIP)
            continue;
        if (p->fts_instr == FTS_FOLLOW) {
            p->fts_info = entry_stat(s, p, true);
            p->fts_instr = FTS_NOINSTR;
        }
        return p;
    }
}

static FTSENT *next_of(struct set *s, FTSENT *p)
{
    unsigned short instr = p->fts_instr;

    p->fts_instr = FTS_NOINSTR;
    if (instr == FTS_AGAIN) {
        p->fts_info = entry_stat(s, p, false);
        return p;
    }
    if (instr == FTS_FOLLOW && (p->fts_info == FTS_SL || p->fts_info == FTS_SLNONE)) {
        p->fts_info = entry_stat(s, p, true);
        return p;
    }
    p->fts_instr = instr;
    if (p->fts_info == FTS_D)
        return go_down(s, p);
    return go_on(s, p);
}

EXPORT FTSENT *fts_read(FTS *f)
{
    struct set *s = set_of(f);

    if (s == NULL)
        return REAL(fts_read)(f);
    FTSENT *p = f->fts_cur;
    if (p == NULL && f->fts_child != NULL) { /* the first call */
        p = f->fts_child;
        f->fts_child = NULL;
    } else if (p != NULL && p != &s->top) {
        p = next_of(s, p);
    } else {
        p = NULL;
    }
    if (p != NULL && p->fts_level == FTS_ROOTLEVEL && p->fts_info == FTS_D)
        f->fts_dev = p->fts_dev;
    f->fts_cur = p != NULL ? p : &s->top; /* top: at the end */
    if (p == NULL)
        errno = 0;
    return p;
}

EXPORT FTSENT *fts_children(FTS *f, int instr)
{
    struct set *s = set_of(f);
    FTSENT *p = f->fts_cur;

    if (s == NULL)
        return REAL(fts_children)(f, instr);
    if (instr != 0 && instr != FTS_NAMEONLY)
        return to_libc_null(-EINVAL);
    errno = 0;
    if (p == NULL)
        return f->fts_child; /* before the first fts_read(): the paths given */
    if (p == &s->top || p->fts_info != FTS_D)
        return NULL;
    list_free(f->fts_child);
    f->fts_child = list_build(s, p, instr == FTS_NAMEONLY);
    for (FTSENT *c = f->fts_child; instr == FTS_NAMEONLY && c != NULL; c = c->fts_link)
        c->fts_flags = NAME_ONLY;
    return f->fts_child;
}

EXPORT int fts_set(FTS *f, FTSENT *p, int instr)
{
    if (set_of(f) == NULL)
        return REAL(fts_set)(f, p, instr);
    if (instr < 0 || instr > FTS_SKIP)
        return (int)to_libc(-EINVAL);
    p->fts_instr = (unsigned short)instr;
    return 0;
}

EXPORT int fts_close(FTS *f)
{
    struct set *s = set_of(f), **at;
    FTSENT *p = f->fts_cur;

    if (s == NULL)
        return REAL(fts_close)(f);
    pthread_mutex_lock(&lock);
    for (at = &sets; *at != s; at = &(*at)->next)
        ;
    *at = s->next;
    pthread_mutex_unlock(&lock);
    list_free(f->fts_child);
    while (p != NULL && p != &s->top) {
        FTSENT *up = p->fts_parent;
        list_free(p);
        p = up;
    }
    free(s);
    return 0;
}
