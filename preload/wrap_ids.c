/*
 * wrap_ids.c - calls that change who the program is: its ids are kept by core, which is told.
 * unshare and setns change what they are called (user namespaces).
 */
#include "core/base/process.h"
#include "preload/preload.h"

#include <grp.h>
#include <sched.h>

/* clang-format off */
#define IDS_CALL(name, params, args)       \
    EXPORT int name params                 \
    {                                      \
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
