/*
 * wrap_ids.c - calls that change who the program is: its ids are kept by core, which is told.
 * unshare and setns change what they are called (user namespaces).  What is pending is sent before:
 * another user does not come to it, and must see it.
 */
#include "core/base/process.h"
#include "preload/preload.h"

#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

static nlink_t threads(void)
{
    struct stat sb;
    return stat("/proc/self/task", &sb) == 0 ? sb.st_nlink : 0;
}

/* The kernel refuses most of them while there are threads: ours goes, and comes again.  One that
 * was joined still counts for a moment. */
static void before_change(void)
{
    struct call c;
    nlink_t before = 0;

    if (volume_if_any() == NULL || guard_inside())
        return;
    call_begin(&c);
    if (c.v != NULL) {
        vfs_flush(c.v);
        before = threads();
        if (!vfs_stop(c.v))
            before = 0;
    }
    for (int i = 0; i < 100 && before != 0 && threads() >= before; i++)
        usleep(100);
    call_end(&c);
}

/* clang-format off */
#define IDS_CALL(name, params, args)       \
    EXPORT int name params                 \
    {                                      \
        before_change();                   \
        int rc = REAL(name) args;          \
        process_ids_changed();             \
        return rc;                         \
    }
IDS_CALL(setuid, (uid_t uid), (uid))
IDS_CALL(setgid, (gid_t gid), (gid))
IDS_CALL(seteuid, (uid_t uid), (uid))
IDS_CALL(setegid, (gid_t gid), (gid))
IDS_CALL(setreuid, (uid_t real, uid_t effective), (real, effective))
IDS_CALL(setregid, (gid_t real, gid_t effective), (real, effective))
IDS_CALL(setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
IDS_CALL(setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
IDS_CALL(setgroups, (size_t n, const gid_t *groups), (n, groups))
IDS_CALL(initgroups, (const char *user, gid_t group), (user, group))
IDS_CALL(unshare, (int flags), (flags))
IDS_CALL(setns, (int fd, int type), (fd, type))
/* clang-format on */
