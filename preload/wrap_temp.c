/*
 * wrap_temp.c - names made up: mkstemp and its kin, on templates of ours.  libc makes them inside
 * itself with calls that we do not see.
 */
#include "preload/preload.h"
#include "preload/raw.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRIES 1000

static void randomise(char *xs)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static _Atomic uint64_t turn;
    uint64_t r;

    if (raw_syscall3(SYS_getrandom, &r, sizeof(r), 0) != (long)sizeof(r))
        r = (uint64_t)(uintptr_t)&r * 6364136223846793005u + ++turn * 1442695040888963407u;
    for (int i = 0; i < 6; i++, r /= 62)
        xs[i] = letters[r % 62];
}

/* Where the six X of name are, before a suffix; NULL: the template is wrong. */
static char *find_xs(char *name, int suffix)
{
    size_t len = strlen(name);

    if (suffix < 0 || len < 6 + (size_t)suffix)
        return NULL;
    char *xs = name + len - (size_t)suffix - 6;
    return memcmp(xs, "XXXXXX", 6) == 0 ? xs : NULL;
}

static int try_file(const char *name, int flags)
{
    return open(name, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
}

static int try_dir(const char *name, int unused)
{
    return mkdir(name, 0700);
}

static int try_name(const char *name, int unused)
{
    struct stat st;

    if (lstat(name, &st) == 0)
        return (int)to_libc(-EEXIST);
    return errno == ENOENT ? 0 : -1;
}

static int make(char *name, int suffix, int flags, int (*try)(const char *, int))
{
    char *xs = find_xs(name, suffix);

    if (xs == NULL)
        return (int)to_libc(-EINVAL);
    for (int i = 0; i < TRIES; i++) {
        int saved = errno;
        randomise(xs);
        int rc = try(name, flags);
        if (rc >= 0) {
            errno = saved;
            return rc;
        }
        if (errno != EEXIST)
            break;
    }
    return -1;
}

static bool native(const char *name)
{
    return route_native(AT_FDCWD, name);
}

EXPORT int mkstemp(char *name)
{
    return native(name) ? REAL(mkstemp)(name) : make(name, 0, 0, try_file);
}

EXPORT int mkostemp(char *name, int flags)
{
    return native(name) ? REAL(mkostemp)(name, flags) : make(name, 0, flags, try_file);
}

EXPORT int mkstemps(char *name, int suffix)
{
    return native(name) ? REAL(mkstemps)(name, suffix) : make(name, suffix, 0, try_file);
}

EXPORT int mkostemps(char *name, int suffix, int flags)
{
    return native(name) ? REAL(mkostemps)(name, suffix, flags)
                        : make(name, suffix, flags, try_file);
}

EXPORT char *mkdtemp(char *name)
{
    if (native(name))
        return REAL(mkdtemp)(name);
    return make(name, 0, 0, try_dir) == 0 ? name : NULL;
}

EXPORT char *mktemp(char *name)
{
    if (native(name))
        return REAL(mktemp)(name);
    if (make(name, 0, 0, try_name) != 0)
        *name = '\0';
    return name;
}

static bool is_dir(const char *path)
{
    struct stat st;

    return path != NULL && *path != '\0' && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The directory that libc would take: $TMPDIR, dir, /tmp.  Only when that is ours is it done here.
 */
EXPORT char *tempnam(const char *dir, const char *prefix)
{
    const char *from = secure_getenv("TMPDIR");
    char *name;

    if (!is_dir(from))
        from = is_dir(dir) ? dir : NULL;
    if (from == NULL || native(from))
        return REAL(tempnam)(dir, prefix);
    if (asprintf(&name, "%s/%.5sXXXXXX", from,
                 prefix != NULL && *prefix != '\0' ? prefix : "file") < 0)
        return NULL;
    if (make(name, 0, 0, try_name) == 0)
        return name;
    free(name);
    return NULL;
}
