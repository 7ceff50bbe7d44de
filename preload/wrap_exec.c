/*
 * wrap_exec.c - execve and the seven functions that libc builds on it, inside itself.
 */
#include "preload/exec.h"
#include "preload/preload.h"

#include <alloca.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

SLOW int replace(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    struct exec x;
    int rc = exec_begin(&x, envp, EXEC_REPLACES);

    if (rc == 0)
        rc = exec_run(&x, dir, path, argv, flags);
    exec_end(&x);
    return (int)to_libc(rc);
}

/* Errors after which the next directory of PATH is tried, as libc does. */
static bool goes_on(int rc)
{
    return rc == -EACCES || rc == -ENOENT || rc == -ESTALE || rc == -ENOTDIR || rc == -ENODEV ||
           rc == -ETIMEDOUT;
}

static int run_or_shell(struct exec *x, const char *path, char *const argv[])
{
    int rc = exec_run(x, AT_FDCWD, path, argv, 0);

    if (rc == -ENOEXEC && (rc = exec_target_shell(&x->target, path, argv)) == 0) {
        REAL(execve)(x->target.path, x->target.argv, x->env.envp);
        rc = -errno;
    }
    return rc;
}

static int run_found(struct exec *x, const char *file, char *const argv[])
{
    char path[PATH_MAX];
    bool denied = false;
    int rc = -ENOENT;

    if (strchr(file, '/') != NULL)
        return run_or_shell(x, file, argv);
    if (*file == '\0')
        return -ENOENT;
    if (strlen(file) > NAME_MAX)
        return -ENAMETOOLONG;
    for (int n = 0;; n++) {
        int got = exec_candidate(file, n, path, sizeof(path));
        if (got == 0)
            return denied ? -EACCES : rc;
        if (got < 0)
            continue; /* too long to exist */
        rc = run_or_shell(x, path, argv);
        if (!goes_on(rc))
            return rc;
        denied = denied || rc == -EACCES;
    }
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    return ROOM(replace, AT_FDCWD, path, argv, envp, 0);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    return ROOM(replace, dir, path, argv, envp, flags);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    if (fd < 0)
        return (int)to_libc(-EINVAL);
    return ROOM(replace, fd, "", argv, envp, AT_EMPTY_PATH);
}

EXPORT int execv(const char *path, char *const argv[])
{
    return ROOM(replace, AT_FDCWD, path, argv, environ, 0);
}

SLOW int execvpe_ours(const char *file, char *const argv[], char *const envp[])
{
    struct exec x;
    int rc = exec_begin(&x, envp, EXEC_REPLACES);

    if (rc == 0)
        rc = run_found(&x, file, argv);
    exec_end(&x);
    return (int)to_libc(rc);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    return ROOM(execvpe_ours, file, argv, envp);
}

EXPORT int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

/* The arguments from `first` to the NULL, as an array on the caller's stack, which is where libc
 * puts it too: exec may follow a fork that caught malloc's locks. */
#define GATHER(argv, first, ap)                                                                    \
    do {                                                                                           \
        size_t n_ = 1;                                                                             \
        va_start(ap, first);                                                                       \
        for (const char *a_ = first; a_ != NULL; n_++)                                             \
            a_ = va_arg(ap, const char *);                                                         \
        va_end(ap);                                                                                \
        argv = alloca((n_ + 1) * sizeof(char *));                                                  \
        argv[0] = (char *)(uintptr_t)first;                                                        \
        va_start(ap, first);                                                                       \
        for (size_t i_ = 1; i_ < n_; i_++)                                                         \
            argv[i_] = va_arg(ap, char *);                                                         \
    } while (0)

EXPORT int execl(const char *path, const char *first, ...)
{
    char **argv;
    va_list ap;

    GATHER(argv, first, ap);
    va_end(ap);
    return ROOM(replace, AT_FDCWD, path, argv, environ, 0);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    char **argv;
    va_list ap;

    GATHER(argv, first, ap);
    char *const *envp = va_arg(ap, char *const *);
    va_end(ap);
    return ROOM(replace, AT_FDCWD, path, argv, envp, 0);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    char **argv;
    va_list ap;

    GATHER(argv, first, ap);
    va_end(ap);
    return execvpe(file, argv, environ);
}
