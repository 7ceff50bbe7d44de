/*
 * wrap_refuse.c - the REFUSE rows: an honest errno for what is ours, a tail call to libc otherwise.
 *
 * No header that declares these names is included: every wrapper has the shape (long x 6) -> long,
 * under which both supported processors pass the arguments of any of them on unchanged.  The kind
 * of a row says where its path is.
 */
#include "preload/real.h"
#include "preload/route.h"
#include "preload/to_libc.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define AT_FDCWD     (-100)
#define AF_UNIX_     1
#define SUN_PATH_    2 /* offset of sun_path */
#define SUN_PATH_LEN 108

/* A socket's address: its path need not end with NUL, and begins with one in the abstract space. */
static bool sockaddr_is_ours(const void *addr, unsigned long len)
{
    char path[SUN_PATH_LEN + 1];
    unsigned short family;

    if (addr == NULL || len <= SUN_PATH_ || len > SUN_PATH_ + SUN_PATH_LEN)
        return false;
    memcpy(&family, addr, sizeof(family));
    if (family != AF_UNIX_)
        return false;
    memcpy(path, (const char *)addr + SUN_PATH_, len - SUN_PATH_);
    path[len - SUN_PATH_] = '\0';
    return route_is_ours(AT_FDCWD, path);
}

#define IS_OURS_PATH(a, b, c, d, e)     route_is_ours(AT_FDCWD, (const char *)a)
#define IS_OURS_PATH2(a, b, c, d, e)    route_is_ours(AT_FDCWD, (const char *)b)
#define IS_OURS_AT(a, b, c, d, e)       route_is_ours((int)a, (const char *)b)
#define IS_OURS_FD_PATH(a, b, c, d, e)  route_is_ours(AT_FDCWD, (const char *)b)
#define IS_OURS_FANOTIFY(a, b, c, d, e) route_is_ours((int)d, (const char *)e)
#define IS_OURS_SOCKADDR(a, b, c, d, e) sockaddr_is_ours((const void *)b, (unsigned)c)

typedef long any_fn(long, long, long, long, long, long);

#define SYM(family, name)
#define ALIAS(family, name, target)
#define OWN(family, name)
#define REFUSE(family, name, kind, err)                                                            \
    EXPORT long name(long a, long b, long c, long d, long e, long f);                              \
    EXPORT long name(long a, long b, long c, long d, long e, long f)                               \
    {                                                                                              \
        if (IS_OURS_##kind(a, b, c, d, e))                                                         \
            return to_libc(-(err));                                                                \
        return ((any_fn *)real_slot(REAL_##name))(a, b, c, d, e, f);                               \
    }
#include "preload/symbols.def"
