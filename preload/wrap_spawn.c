/*
 * wrap_spawn.c - posix_spawn and posix_spawnp.
 *
 * libc starts the child with calls inside itself.  That is right as long as they meet nothing of
 * ours: the program is looked up here and its environment completed, the rest is libc's.  When an
 * action opens or enters something of ours, the child is forked here and takes the steps through
 * our own wrappers.
 */
#include "preload/exec.h"
#include "preload/files.h"
#include "preload/preload.h"
#include "preload/spawn_actions.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct spawn {
    pid_t *pid;
    const char *file;
    const posix_spawn_file_actions_t *fa;
    const posix_spawnattr_t *attr;
    char *const *argv;
    bool search;
    const struct spawn_action *action;
    size_t actions;
};

/* --- the program ------------------------------------------------------------------------------ */

static bool is_program(const char *path, int *err)
{
    struct stat st;

    if (stat(path, &st) != 0 || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0) {
        if (errno == EACCES)
            *err = -EACCES;
        return false;
    }
    if (!S_ISREG(st.st_mode))
        *err = -EACCES;
    return S_ISREG(st.st_mode);
}

/* May the search in PATH meet a directory of ours? */
static bool search_is_native(const char *file)
{
    char path[PATH_MAX];
    int got;

    for (int n = 0; (got = exec_candidate(file, n, path, sizeof(path))) != 0; n++)
        if (got > 0 && !route_native(AT_FDCWD, path))
            return false;
    return true;
}

static int search(const char *file, char *path, size_t len)
{
    int err = -ENOENT, got;

    for (int n = 0; (got = exec_candidate(file, n, path, len)) != 0; n++)
        if (got > 0 && is_program(path, &err))
            return 0;
    return err;
}

/* --- libc's way ------------------------------------------------------------------------------- */

static int spawn_natively(const struct spawn *s, struct exec *x)
{
    char path[PATH_MAX];
    const char *file = s->file;

    if (s->search && strchr(file, '/') == NULL) {
        if (search_is_native(file))
            return -REAL(posix_spawnp)(s->pid, file, s->fa, s->attr, s->argv, x->env.envp);
        int err = search(file, path, sizeof(path));
        if (err < 0)
            return err;
        file = path;
    }
    int rc = exec_find(x, AT_FDCWD, file, s->argv, 0);
    const struct exec_target *t = &x->target;
    if (rc == 0)
        rc = -REAL(posix_spawn)(s->pid, t->path, s->fa, s->attr, t->argv, x->env.envp);
    if (rc == -ENOENT && (rc = exec_target_again(&x->target)) == 0)
        rc = -REAL(posix_spawn)(s->pid, t->path, s->fa, s->attr, t->argv, x->env.envp);
    return rc;
}

/* --- our way ---------------------------------------------------------------------------------- */

static int set_attributes(const posix_spawnattr_t *attr)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    struct sched_param param;
    sigset_t set;
    short flags = 0;
    int policy;
    pid_t group;

    if (attr == NULL)
        return 0;
    posix_spawnattr_getflags(attr, &flags);
    posix_spawnattr_getschedparam(attr, &param);
    posix_spawnattr_getschedpolicy(attr, &policy);
    posix_spawnattr_getpgroup(attr, &group);
    posix_spawnattr_getsigdefault(attr, &set);
    for (int sig = 1; (flags & POSIX_SPAWN_SETSIGDEF) != 0 && sig < NSIG; sig++)
        if (sigismember(&set, sig) == 1)
            sigaction(sig, &dfl, NULL);
    if ((flags & POSIX_SPAWN_SETSCHEDULER) != 0) {
        if (sched_setscheduler(0, policy, &param) < 0)
            return -errno;
    } else if ((flags & POSIX_SPAWN_SETSCHEDPARAM) != 0 && sched_setparam(0, &param) < 0) {
        return -errno;
    }
    if ((flags & POSIX_SPAWN_SETSID) != 0 && setsid() < 0)
        return -errno;
    if ((flags & POSIX_SPAWN_SETPGROUP) != 0 && setpgid(0, group) != 0)
        return -errno;
    if ((flags & POSIX_SPAWN_RESETIDS) != 0 && (setegid(getgid()) != 0 || seteuid(getuid()) != 0))
        return -errno;
    return 0;
}

/* After the actions, as the last step before exec. */
static void set_mask(const posix_spawnattr_t *attr)
{
    short flags = 0;
    sigset_t set;

    if (attr == NULL || posix_spawnattr_getflags(attr, &flags) != 0 ||
        (flags & POSIX_SPAWN_SETSIGMASK) == 0)
        return;
    posix_spawnattr_getsigmask(attr, &set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

static int do_open(const struct spawn_action *a)
{
    close(a->fd); /* "it shall be closed before the new file is opened" */
    int fd = open(a->path, a->flags, a->mode);
    if (fd < 0)
        return -errno;
    if (fd == a->fd)
        return 0;
    int rc = dup2(fd, a->fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int do_dup2(const struct spawn_action *a)
{
    if (a->fd != a->to)
        return dup2(a->fd, a->to) < 0 ? -errno : 0;
    /* "it shall be inherited": close-on-exec goes. */
    int flags = fcntl(a->fd, F_GETFD);
    return flags < 0 || fcntl(a->fd, F_SETFD, flags & ~FD_CLOEXEC) < 0 ? -errno : 0;
}

/* report: the pipe to the parent, which no action may take away. */
static int do_action(const struct spawn_action *a, int *report)
{
    int target = a->kind == SPAWN_DUP2 ? a->to : a->fd;

    if (target == *report && a->kind != SPAWN_CLOSEFROM) {
        int fresh = fcntl(*report, F_DUPFD_CLOEXEC, 3);
        if (fresh < 0)
            return -errno;
        close(*report);
        *report = fresh;
    }
    switch (a->kind) {
    case SPAWN_OPEN:
        return do_open(a);
    case SPAWN_CLOSE:
        close(a->fd);
        return 0;
    case SPAWN_DUP2:
        return do_dup2(a);
    case SPAWN_CHDIR:
        return chdir(a->path) != 0 ? -errno : 0;
    case SPAWN_FCHDIR:
        return fchdir(a->fd) != 0 ? -errno : 0;
    case SPAWN_CLOSEFROM:
        if (a->fd > *report)
            return close_range((unsigned)a->fd, ~0u, 0) != 0 ? -errno : 0;
        if (a->fd < *report && close_range((unsigned)a->fd, (unsigned)*report - 1, 0) != 0)
            return -errno;
        return close_range((unsigned)*report + 1, ~0u, 0) != 0 ? -errno : 0;
    case SPAWN_TCSETPGRP:
        return tcsetpgrp(a->fd, getpgrp()) != 0 ? -errno : 0;
    }
    return -EINVAL;
}

static _Noreturn void child(const struct spawn *s, char *const envp[], int report)
{
    struct exec x = {.target = {.helds = 0}};
    char path[PATH_MAX];
    const char *file = s->file;
    int rc = set_attributes(s->attr);

    for (size_t i = 0; i < s->actions && rc == 0; i++)
        rc = do_action(&s->action[i], &report);
    if (rc == 0 && s->search && strchr(file, '/') == NULL) {
        rc = search(file, path, sizeof(path));
        file = path;
    }
    if (rc == 0)
        rc = exec_begin(&x, envp, EXEC_REPLACES);
    if (rc == 0) {
        set_mask(s->attr);
        rc = exec_run(&x, AT_FDCWD, file, s->argv, 0);
    }
    REAL(write)(report, &rc, sizeof(rc));
    REAL(_exit)(127);
}

static int spawn_ours(const struct spawn *s, char *const envp[])
{
    int report[2], rc = 0;

    if (pipe2(report, O_CLOEXEC) != 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        REAL(close)(report[0]);
        child(s, envp, report[1]);
    }
    int err = -errno;
    REAL(close)(report[1]);
    if (pid < 0) {
        REAL(close)(report[0]);
        return err;
    }
    ssize_t got;
    do
        got = REAL(read)(report[0], &rc, sizeof(rc));
    while (got < 0 && errno == EINTR);
    REAL(close)(report[0]);
    if (got == (ssize_t)sizeof(rc)) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return rc;
    }
    if (s->pid != NULL)
        *s->pid = pid;
    return 0;
}

/* --- which ------------------------------------------------------------------------------------ */

/* Does a step that libc would take inside itself meet a path of ours? */
static bool meets_us(const struct spawn *s)
{
    bool moved = false;

    for (size_t i = 0; i < s->actions; i++) {
        const struct spawn_action *a = &s->action[i];
        if (a->kind == SPAWN_OPEN || a->kind == SPAWN_CHDIR) {
            if (!route_native(AT_FDCWD, a->path))
                return true;
        } else if (a->kind == SPAWN_FCHDIR && fdtab_may(a->fd)) {
            return true;
        }
        moved = moved || a->kind == SPAWN_CHDIR || a->kind == SPAWN_FCHDIR;
    }
    return moved && *s->file != '/' && !route_native(AT_FDCWD, s->file);
}

/* A descriptor of ours that only an action makes inheritable. */
static bool passes_ours(const struct spawn *s)
{
    bool any = false;

    for (size_t i = 0; i < s->actions; i++) {
        struct vfs_fd f;
        struct call c;
        int fd = s->action[i].fd;
        if (s->action[i].kind != SPAWN_DUP2 || !fdtab_may(fd) || !fdtab_get(fd, &f))
            continue;
        call_begin(&c);
        if (c.v != NULL)
            vfs_direct(c.v, fd, &f, VFS_USE_DIRECT);
        call_end(&c);
        any = true;
    }
    return any;
}

SLOW int spawn(const struct spawn *s, char *const envp[])
{
    struct exec x;

    if (meets_us(s))
        return -spawn_ours(s, envp);
    int rc = exec_begin_with(&x, envp, EXEC_SPAWNS, passes_ours(s));
    if (rc == 0)
        rc = spawn_natively(s, &x);
    exec_end(&x);
    return -rc;
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    struct spawn s = {pid, path, fa, attr, argv, false, NULL, 0};

    s.action = spawn_actions_get(fa, &s.actions);
    return ROOM(spawn, &s, envp);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    struct spawn s = {pid, file, fa, attr, argv, true, NULL, 0};

    s.action = spawn_actions_get(fa, &s.actions);
    return ROOM(spawn, &s, envp);
}
