/*
 * route.c - see route.h.
 *
 * The test that every path of the process goes through is one pass: does it contain the prefix's
 * last component?  A path that starts outside cannot enter the prefix without naming it, whatever
 * `..` it takes, so a miss proves that the path is libc's.  Only a hit is looked at closely, which
 * may cost a getcwd.
 */
#include "preload/route.h"

#include "preload/fdtab.h"
#include "preload/init.h"
#include "preload/raw.h"
#include "preload/real.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX_DEPTH_MAX 32
#define FIRST_PAGE       4096

_Atomic uint64_t route_cwd;

/* Set once by the constructor. */
static char prefix[PATH_MAX];
static struct {
    const char *name;
    size_t len;
} part[PREFIX_DEPTH_MAX];
static int parts; /* 0: nothing is served */

bool route_set_prefix(const char *p)
{
    char *to = prefix;

    if (*p != '/' || strlen(p) >= sizeof(prefix))
        return false;
    for (int n = 0;; n++) {
        p += strspn(p, "/");
        size_t len = strcspn(p, "/");
        if (len == 0) {
            parts = n;
            return n > 0;
        }
        if (n == PREFIX_DEPTH_MAX || (len == 2 && p[0] == '.' && p[1] == '.')) {
            prefix[0] = '\0';
            return false;
        }
        if (len == 1 && *p == '.') {
            n--;
        } else {
            *to++ = '/';
            part[n].name = memcpy(to, p, len);
            part[n].len = len;
            to += len;
        }
        p += len;
    }
}

const char *route_prefix(void)
{
    return prefix;
}

static bool names_prefix(const char *path)
{
    const char *last = part[parts - 1].name;
    size_t len = part[parts - 1].len;

    for (;;) {
        while (*path == '/')
            path++;
        if (*path == *last && strncmp(path, last, len) == 0 &&
            (path[len] == '/' || path[len] == '\0'))
            return true;
        while (*path != '/') {
            if (*path == '\0')
                return false;
            path++;
        }
    }
}

static bool is_below(const char *path, const char *dir)
{
    return strncmp(path, dir, strlen(dir)) == 0;
}

bool route_native(int dir, const char *path)
{
    if (parts == 0 || guard_inside() || (intptr_t)path < FIRST_PAGE || *path == '\0')
        return true; /* also what is no pointer at all: the kernel answers EFAULT */
    uint64_t cwd = atomic_load_explicit(&route_cwd, memory_order_relaxed);
    if (*path != '/') {
        if (dir == AT_FDCWD ? cwd != 0 : fdtab_may(dir))
            return false;
    } else if ((cwd != 0 || atomic_load_explicit(&fdtab_any, memory_order_relaxed)) &&
               (is_below(path, "/proc/") || is_below(path, "/dev/"))) {
        return false;
    }
    return !names_prefix(path);
}

/* How far a lexical walk from the root has come. */
struct progress {
    int depth; /* components so far */
    int match; /* how many of them, from the first, are the prefix's */
};

/* Walks path.  When the whole prefix has been passed: what is left of path, else NULL. */
static const char *walk(struct progress *at, const char *path)
{
    for (;;) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (len == 0)
            return NULL;
        if (len == 2 && path[0] == '.' && path[1] == '.') {
            if (at->depth > 0)
                at->depth--;
            if (at->match > at->depth)
                at->match = at->depth;
        } else if (len != 1 || path[0] != '.') {
            if (at->match == at->depth && part[at->match].len == len &&
                memcmp(path, part[at->match].name, len) == 0)
                at->match++;
            at->depth++;
        }
        path += len;
        if (at->match == parts)
            return path;
    }
}

/* Native path of a native directory. */
static bool path_of_dir(int dir, char *out, size_t len)
{
    char link[40];

    if (dir == AT_FDCWD)
        return raw_syscall3(SYS_getcwd, out, len, 0) > 0 && out[0] == '/';
    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    long n = raw_syscall4(SYS_readlinkat, AT_FDCWD, link, out, len - 1);
    if (n <= 0 || out[0] != '/')
        return false;
    out[n] = '\0';
    return true;
}

/* A number at *p, which moves behind it; -1 when there is none. */
static int number(const char **p)
{
    long n = 0;
    const char *s = *p;

    if (*s < '0' || *s > '9')
        return -1;
    for (; *s >= '0' && *s <= '9'; s++)
        if ((n = n * 10 + *s - '0') > INT_MAX)
            return -1;
    *p = s;
    return (int)n;
}

/* The process's directory below /proc: what follows it, or NULL. */
static const char *skip_proc_self(const char *path)
{
    const char *p = path + 6;

    if (!is_below(path, "/proc/"))
        return NULL;
    if (is_below(p, "self/"))
        return p + 5;
    if (is_below(p, "thread-self/"))
        return p + 12;
    int pid = number(&p);
    return pid > 0 && *p == '/' && pid == raw_syscall3(SYS_getpid, 0, 0, 0) ? p + 1 : NULL;
}

/* A link of the kernel's that leads to an object of ours?  Sets *ino and *rest (what follows). */
static bool magic(const char *path, uint64_t *ino, const char **rest)
{
    const char *p = skip_proc_self(path);
    struct vfs_fd f;
    int fd = -1;

    if (p != NULL && is_below(p, "cwd") && (p[3] == '/' || p[3] == '\0')) {
        *rest = p + 3;
        *ino = atomic_load(&route_cwd);
        return *ino != 0;
    }
    if (p != NULL && is_below(p, "fd/"))
        p += 3;
    else if (is_below(path, "/dev/fd/"))
        p = path + 8;
    else
        p = NULL;
    if (p != NULL)
        fd = number(&p);
    else if (strcmp(path, "/dev/stdin") == 0)
        p = "", fd = 0;
    else if (strcmp(path, "/dev/stdout") == 0)
        p = "", fd = 1;
    else if (strcmp(path, "/dev/stderr") == 0)
        p = "", fd = 2;
    if (fd < 0 || (*p != '/' && *p != '\0') || !fdtab_may(fd) || !fdtab_get(fd, &f))
        return false;
    *ino = f.ino;
    *rest = p;
    return true;
}

int route_magic_fd(const char *path)
{
    const char *p = skip_proc_self(path);

    if (p != NULL && is_below(p, "fd/"))
        p += 3;
    else if (is_below(path, "/dev/fd/"))
        p = path + 8;
    else if (strcmp(path, "/dev/stdin") == 0)
        return 0;
    else if (strcmp(path, "/dev/stdout") == 0)
        return 1;
    else if (strcmp(path, "/dev/stderr") == 0)
        return 2;
    else
        return -1;
    int fd = number(&p);
    return *p == '\0' ? fd : -1;
}

bool route_below(const char *path, struct vfs_loc *loc)
{
    struct progress at = {0, 0};

    loc->base = INO_ROOT;
    loc->path = parts != 0 ? walk(&at, path) : NULL;
    return loc->path != NULL;
}

static bool find_absolute(const char *path, bool follow, struct vfs_loc *loc)
{
    return (magic(path, &loc->base, &loc->path) && (follow || *loc->path != '\0')) ||
           route_below(path, loc);
}

/* From a native directory to the prefix. */
static bool find_from_native(int dir, const char *path, struct vfs_loc *loc)
{
    struct progress at = {0, 0};

    if (!names_prefix(path) || !path_of_dir(dir, loc->native, sizeof(loc->native)))
        return false;
    if (walk(&at, loc->native) != NULL)
        return false; /* a directory below the mount point that others see: not the volume's */
    loc->base = INO_ROOT;
    loc->path = walk(&at, path);
    return loc->path != NULL;
}

static bool base_of(int dir, uint64_t *ino)
{
    struct vfs_fd f;

    if (dir == AT_FDCWD)
        return (*ino = atomic_load(&route_cwd)) != 0;
    if (!fdtab_may(dir) || !fdtab_get(dir, &f))
        return false;
    *ino = f.ino;
    return true;
}

static bool find(int dir, const char *path, bool follow, struct vfs_loc *loc)
{
    bool ours;

    if (route_native(dir, path))
        return false;
    if (*path == '/') {
        ours = find_absolute(path, follow, loc);
    } else {
        loc->path = path;
        ours = base_of(dir, &loc->base) || find_from_native(dir, path, loc);
    }
    if (ours && strnlen(path, PATH_MAX) == PATH_MAX)
        loc->path = path; /* the volume says so, also where the rest would do */
    return ours;
}

bool route_find(int dir, const char *path, struct vfs_loc *loc)
{
    return find(dir, path, false, loc);
}

__attribute__((noinline)) static bool looks_ours(int dir, const char *path)
{
    struct vfs_loc loc;

    return find(dir, path, false, &loc);
}

bool route_is_ours(int dir, const char *path)
{
    return !route_native(dir, path) && looks_ours(dir, path);
}

void call_begin(struct call *c)
{
    guard_enter(&c->guard);
    c->err = 0;
    c->v = volume(&c->err);
}

void call_end(struct call *c)
{
    guard_leave(&c->guard);
}

static bool begin(struct route *r, bool found)
{
    if (!found)
        return false;
    call_begin(&r->call);
    r->v = r->call.v;
    r->err = r->call.err;
    r->fd = -1;
    return true;
}

bool route_at(struct route *r, int dir, const char *path)
{
    return begin(r, find(dir, path, false, &r->loc));
}

bool route_follow(struct route *r, int dir, const char *path)
{
    if (!begin(r, find(dir, path, true, &r->loc)))
        return false;
    int fd = *path == '/' && *r->loc.path == '\0' ? route_magic_fd(path) : -1;
    if (fd >= 0 && fdtab_get(fd, &r->f) && r->f.ino == r->loc.base)
        r->fd = fd;
    return true;
}

static bool names_dir(const char *path, int flags)
{
    return (flags & AT_EMPTY_PATH) != 0 && (path == NULL || *path == '\0');
}

bool route_native_flags(int dir, const char *path, int flags)
{
    if (!names_dir(path, flags))
        return route_native(dir, path);
    return guard_inside() ||
           (dir == AT_FDCWD ? atomic_load_explicit(&route_cwd, memory_order_relaxed) == 0
                            : !fdtab_may(dir));
}

bool route_base(struct route *r, int dir)
{
    if (guard_inside() || !base_of(dir, &r->loc.base))
        return false;
    r->loc.path = "";
    begin(r, true);
    r->fd = dir != AT_FDCWD && fdtab_get(dir, &r->f) ? dir : -1;
    return true;
}

bool route_flags(struct route *r, int dir, const char *path, int flags)
{
    if (names_dir(path, flags))
        return route_base(r, dir);
    return (flags & AT_SYMLINK_NOFOLLOW) != 0 ? route_at(r, dir, path) : route_follow(r, dir, path);
}

/* The volume names what lies above its root "prefix/..": there need be no such directory for the
 * kernel, so the parts that cancel each other are taken out. */
static void climb_out(char *path)
{
    size_t n = strlen(prefix);
    int left = parts;

    if (strncmp(path, prefix, n) != 0 || path[n] != '/')
        return;
    const char *rest = path + n;
    for (;;) {
        const char *name = rest + strspn(rest, "/");
        size_t len = strcspn(name, "/");
        if (len == 2 && name[0] == '.' && name[1] == '.')
            left -= left > 0;
        else if (len != 1 || name[0] != '.')
            break;
        rest = name + len;
    }
    char *to = left > 0 ? path + (part[left - 1].name + part[left - 1].len - prefix) : path;
    if (left == 0 && *rest == '\0')
        rest = "/";
    memmove(to, rest, strlen(rest) + 1);
}

const char *route_climb(struct vfs_loc *loc)
{
    climb_out(loc->native);
    return loc->native;
}

bool route_put(struct route *r, long rc)
{
    call_end(&r->call);
    if (rc != VFS_ESCAPE)
        return false;
    route_climb(&r->loc);
    return true;
}
