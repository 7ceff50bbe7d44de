/*
 * wrap_syscall.c - syscall(2): node, cmake, rustc and allocators use it.  Numbers that mean
 * something of ours go to the wrapper of the same meaning (syscalls.def); everything else goes to
 * the kernel as it came, never refused.
 */
#include "core/base/process.h"
#include "preload/preload.h"
#include "preload/proc.h"

#include <dirent.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <utime.h>

#define I(n) ((int)arg[n])
#define P(n) ((void *)arg[n])
#define L(n) (arg[n])

#define ANY      true
#define FD       fdtab_may(I(0))
#define IO       (fdtab_may(I(0)) || volume_if_any() != NULL)
#define PATH_(n) (!route_native(AT_FDCWD, P(n)))
#define AT_(n)   by_dir(I(n), P((n) + 1))
#define PATH2    (PATH_(0) || PATH_(1))
#define AT2      (AT_(0) || AT_(2))

/* An empty or absent path means the descriptor itself. */
static bool by_dir(int dir, const char *path)
{
    if (path == NULL || *path == '\0')
        return dir == AT_FDCWD ? atomic_load(&route_cwd) != 0 : fdtab_may(dir);
    return !route_native(dir, path);
}

static bool changes_ids(long number)
{
    switch (number) {
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
        return true;
    default:
        return false;
    }
}

/* Without a wrapper of the same arguments. */
static bool tells(long number)
{
    switch (number) {
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_clone:
    case SYS_clone3:
#ifdef SYS_vfork
    case SYS_vfork:
#endif
        return true;
    default:
        return changes_ids(number);
    }
}

/* A child with memory of its own, on the same stack. */
static bool forks(long number, const long *arg)
{
#ifdef SYS_fork
    if (number == SYS_fork)
        return true;
#endif
    if (number == SYS_clone)
        return (arg[0] & CLONE_VM) == 0 && arg[1] == 0;
    const struct clone_args *a = (const void *)arg[0];
    return number == SYS_clone3 && (size_t)arg[1] >= CLONE_ARGS_SIZE_VER0 &&
           (a->flags & CLONE_VM) == 0 && a->stack == 0;
}

/* arg: the number, then its arguments. */
static long natively(const long *arg)
{
    return REAL(syscall)(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]);
}

EXPORT long syscall(long number, ...)
{
    long all[7] = {number}, *arg = all + 1;
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(ap, long);
    va_end(ap);
    if (guard_inside())
        return natively(all);
    switch (number) {
#include "gen/syscalls.inc"
    }
    if (number == SYS_rt_sigaction && P(1) != NULL)
        guard_note_handler(I(0), *(void **)P(1)); /* the kernel's struct begins with it */
    if (forks(number, arg))
        return proc_fork(natively, all);
    if (number == SYS_io_uring_setup)
        volume_unseen();
    if (tells(number))
        tell_others();
    long rc = natively(all);
    if (changes_ids(number))
        process_ids_changed();
    if (number == SYS_waitid && rc == 0)
        heard();
    return rc;
}
