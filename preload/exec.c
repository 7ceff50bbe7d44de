/*
 * exec.c - see exec.h.
 */
#include "preload/exec.h"

#include "preload/exec_file.h"
#include "preload/files.h"
#include "preload/preload.h"

#include <stdlib.h>
#include <string.h>

int exec_begin(struct exec *x, char *const envp[], enum exec_how how)
{
    return exec_begin_with(x, envp, how, false);
}

int exec_begin_with(struct exec *x, char *const envp[], enum exec_how how, bool fds)
{
    bool cwd = atomic_load(&route_cwd) != 0;
    struct call c;

    x->target.helds = 0;
    x->target.row = NULL;
    if (volume_if_any() != NULL && !guard_inside()) {
        call_begin(&c);
        if (how == EXEC_REPLACES)
            files_commit_own(c.v);
        fds = files_inherit(c.v) || fds;
        /* The program may tell others before it looks at the volume, or without us. */
        if (vfs_is_pending(c.v))
            vfs_flush(c.v);
        call_end(&c);
    }
    return exec_env_make(&x->env, envp, fds, cwd);
}

static bool names_prefix(const char *arg)
{
    const char *prefix = route_prefix();
    size_t n = strlen(prefix);

    return n > 1 && strncmp(arg, prefix, n) == 0 && (arg[n] == '/' || arg[n] == '\0');
}

static bool touches_us(const struct exec *x)
{
    if (x->env.ours)
        return true;
    for (char *const *arg = x->target.argv; arg != NULL && *arg != NULL; arg++)
        if (names_prefix(*arg))
            return true;
    return false;
}

int exec_find(struct exec *x, int dir, const char *path, char *const argv[], int flags)
{
    struct exec_target *t = &x->target;

    exec_target_free(t);
    int rc = exec_target_find(t, dir, path, argv, flags);
    if (rc == 0 && t->dir == AT_FDCWD && *t->path != '\0' && touches_us(x))
        exec_file_tell(t->path, t->scripts > 0  ? t->interp[t->scripts - 1]
                                : *path == '\0' ? t->path
                                                : path);
    return rc;
}

void exec_end(struct exec *x)
{
    exec_target_free(&x->target);
    exec_env_free(&x->env);
}

static int run_target(struct exec *x)
{
    struct exec_target *t = &x->target;

    if (t->dir == AT_FDCWD && t->flags == 0)
        REAL(execve)(t->path, t->argv, x->env.envp);
    else
        REAL(execveat)(t->dir, t->path, t->argv, x->env.envp, t->flags);
    return -errno;
}

int exec_run(struct exec *x, int dir, const char *path, char *const argv[], int flags)
{
    int rc = exec_find(x, dir, path, argv, flags);

    if (rc == 0)
        rc = run_target(x);
    if (rc == -ENOENT && (rc = exec_target_again(&x->target)) == 0)
        rc = run_target(x);
    return rc;
}

int exec_candidate(const char *file, int n, char *out, size_t len)
{
    const char *dirs = getenv("PATH");
    size_t name = strlen(file);

    if (dirs == NULL)
        dirs = "/bin:/usr/bin";
    for (; n > 0; n--) {
        dirs += strcspn(dirs, ":");
        if (*dirs++ == '\0')
            return 0;
    }
    size_t dir = strcspn(dirs, ":");
    if (dir + name + 2 > len)
        return -ENAMETOOLONG;
    memcpy(out, dirs, dir);
    if (dir > 0)
        out[dir++] = '/';
    memcpy(out + dir, file, name + 1);
    return 1;
}
