/*
 * wrap_proc.c - new processes without exec.
 *
 * vfork is exported as fork (symbols.def): a wrapper cannot return twice from a shared stack, and a
 * child that shares our tables would change the parent's.  fork itself runs the handlers of
 * pthread_atfork; _Fork and syscall(SYS_clone) do not, so they are called here.  A clone() that
 * libc does not see goes unseen: such a child may use what it inherited and exec.
 */
#include "preload/exec_file.h"
#include "preload/files.h"
#include "preload/popen.h"
#include "preload/preload.h"
#include "preload/proc.h"
#include "preload/spawn_actions.h"
#include "preload/streams.h"

#include <pty.h>
#include <stdlib.h>
#include <utmp.h>

/* Another thread of the parent may have held these locks. */
static void child_starts(void)
{
    streams_after_fork();
    spawn_actions_after_fork();
    popen_after_fork();
}

/* A child may tell others of what it saw its parent do, before it has looked at the volume. */
EXPORT pid_t fork(void)
{
    (void)room_is_enough(); /* looked at in the child, this thread would be the first */
    tell_others();
    exec_file_before_fork();
    pid_t pid = REAL(fork)();
    if (pid == 0)
        child_starts();
    return pid;
}

long proc_fork(long (*how)(const long *arg), const long *arg)
{
    struct guard g;

    if (volume_if_any() == NULL)
        return how(arg);
    tell_others();
    guard_enter(&g);
    volume_before_fork();
    long pid = how(arg);
    if (pid < 0)
        pid = -errno;
    volume_after_fork(pid == 0);
    if (pid == 0)
        child_starts();
    guard_leave(&g);
    return to_libc(pid);
}

static long plain_fork(const long *arg)
{
    (void)arg;
    return REAL(_Fork)();
}

EXPORT pid_t _Fork(void)
{
    return (pid_t)proc_fork(plain_fork, NULL);
}

/* libc's chdir to "/" and dup2 over 0, 1, 2 happen inside itself. */
EXPORT int daemon(int keep_dir, int keep_std)
{
    if (volume_if_any() == NULL)
        return REAL(daemon)(keep_dir, keep_std);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0)
        _exit(0);
    if (setsid() < 0)
        return -1;
    if (!keep_dir)
        (void)!chdir("/");
    int fd = keep_std ? -1 : open("/dev/null", O_RDWR);
    if (keep_std)
        return 0;
    if (fd < 0)
        return -1;
    for (int to = 0; to <= 2; to++)
        dup2(fd, to);
    if (fd > 2)
        close(fd);
    return 0;
}

/* libc has put a terminal on 0, 1 and 2. */
static void standard_replaced(void)
{
    struct call c;

    if (volume_if_any() == NULL)
        return;
    call_begin(&c);
    for (int fd = 0; fd <= 2; fd++) {
        struct vfs_fd f;
        if (!fdtab_take(fd, &f))
            continue;
        files_lost(&f, vfs_commit(c.v, fd, &f));
        vfs_release(c.v, &f);
    }
    heard_forget(0, 2);
    call_end(&c);
}

EXPORT int login_tty(int fd)
{
    int rc = REAL(login_tty)(fd);

    if (rc == 0)
        standard_replaced();
    return rc;
}

EXPORT pid_t forkpty(int *master, char *name, const struct termios *term,
                     const struct winsize *size)
{
    tell_others();
    pid_t pid = REAL(forkpty)(master, name, term, size);

    if (pid == 0) {
        child_starts();
        standard_replaced();
    }
    return pid;
}
