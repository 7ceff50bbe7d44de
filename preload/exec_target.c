/*
 * exec_target.c - see exec_target.h.
 */
#include "preload/exec_target.h"

#include "preload/exec_env.h"
#include "preload/exec_file.h"
#include "preload/preload.h"

#include <stdio.h>
#include <string.h>

#define HEAD_ROOM (2 * TARGET_SCRIPTS)

/* Puts n strings in front of argv[1..]; argv[0] goes, as the kernel has it for scripts. */
static int put_before(struct exec_target *t, const char *const text[], size_t n)
{
    if (t->row == NULL) {
        size_t count = 0;
        while (t->argv != NULL && t->argv[count] != NULL)
            count++;
        t->bytes = (HEAD_ROOM + count + 3) * sizeof(char *);
        t->row = exec_alloc(t->bytes);
        if (t->row == NULL)
            return -ENOMEM;
        char **from = t->row + HEAD_ROOM + 1;
        for (size_t i = 0; i < count; i++)
            from[i] = t->argv[i];
        if (count == 0)
            from[0] = (char *)(uintptr_t) "";
        t->argv = from;
    }
    char **at = (char **)(uintptr_t)t->argv + 1 - n;
    for (size_t i = 0; i < n; i++)
        at[i] = (char *)(uintptr_t)text[i];
    t->argv = at;
    return 0;
}

/* The script's name as its interpreter is to open it: the kernel's rule for execveat(2). */
static int name_script(struct exec_target *t, int dir, const char *path)
{
    int n;

    if (*path == '\0')
        n = snprintf(t->script, sizeof(t->script), "/dev/fd/%d", dir);
    else if (*path != '/' && dir != AT_FDCWD)
        n = snprintf(t->script, sizeof(t->script), "/dev/fd/%d/%s", dir, path);
    else
        n = snprintf(t->script, sizeof(t->script), "%s", path);
    return n < (int)sizeof(t->script) ? 0 : -ENAMETOOLONG;
}

/* file: where the script's bytes are; dir, path: as it was called. */
static int put_script(struct exec_target *t, const struct shebang *s, const char *file)
{
    if (t->scripts == TARGET_SCRIPTS)
        return -ELOOP;
    char *interp = strcpy(t->interp[t->scripts], s->interp);
    char *arg = strcpy(t->arg[t->scripts], s->arg);
    /* An interpreter that cannot see us could not open the name either. */
    if (route_native(AT_FDCWD, interp) && exec_file_unseen(interp) != NULL)
        strcpy(t->script, file);
    const char *text[] = {interp, arg, t->script};
    if (t->scripts > 0)
        text[2] = t->argv[0]; /* an interpreter that is a script: its own name, put there before */
    if (*arg == '\0')
        text[1] = text[2];
    t->scripts++;
    return put_before(t, text, *arg == '\0' ? 2 : 3);
}

/* "If the file identified by dirfd and a non-NULL pathname is a symbolic link, then the call fails
 * with the error ELOOP." */
static int refuse_link(struct route *r)
{
    struct vfs_stat st;
    int rc = vfs_stat(r->v, &r->loc, true, &st);

    return rc == 0 && st.attr.type == TYPE_SYMLINK ? -ELOOP : rc;
}

static int find(struct exec_target *t, int dir, const char *path, int flags)
{
    struct shebang s;
    struct route r;

    for (;;) {
        t->dir = dir;
        t->path = path;
        t->flags = flags;
        bool by_fd = *path == '\0' && (flags & AT_EMPTY_PATH) != 0;
        if (!(by_fd ? route_base(&r, dir) : route_follow(&r, dir, path)))
            return 0;
        long rc = r.err;
        if (rc == 0 && (flags & AT_SYMLINK_NOFOLLOW) != 0)
            rc = refuse_link(&r);
        if (rc == 0)
            rc = vfs_exec_path(r.v, &r.loc, t->buf, sizeof(t->buf));
        if (rc >= 0)
            t->held[t->helds++] = (int)rc;
        if (route_put(&r, rc)) {
            strcpy(t->buf, r.loc.native);
            t->dir = AT_FDCWD;
            t->path = t->buf;
            t->flags = 0;
            return 0;
        }
        if (rc < 0)
            return (int)rc;
        if (!exec_file_script(t->buf, &s)) {
            t->dir = AT_FDCWD;
            t->path = t->buf;
            t->flags = 0;
            return 0;
        }
        rc = t->scripts == 0 ? name_script(t, dir, path) : 0;
        if (rc == 0)
            rc = put_script(t, &s, t->buf);
        if (rc < 0)
            return (int)rc;
        dir = AT_FDCWD;
        path = t->interp[t->scripts - 1];
        flags = 0;
    }
}

int exec_target_find(struct exec_target *t, int dir, const char *path, char *const argv[],
                     int flags)
{
    t->argv = argv;
    t->helds = t->scripts = 0;
    t->row = NULL;
    return find(t, dir, path, flags);
}

int exec_target_again(struct exec_target *t)
{
    struct shebang s;

    if (t->dir != AT_FDCWD || *t->path == '\0' || !exec_file_script(t->path, &s) ||
        route_native(AT_FDCWD, s.interp))
        return -ENOENT;
    int rc = t->scripts == 0 ? name_script(t, t->dir, t->path) : 0;
    if (rc == 0)
        rc = put_script(t, &s, t->path);
    return rc < 0 ? rc : find(t, AT_FDCWD, t->interp[t->scripts - 1], 0);
}

int exec_target_shell(struct exec_target *t, const char *path, char *const argv[])
{
    static const char shell[] = "/bin/sh";
    const char *text[] = {shell, path};

    exec_target_free(t);
    t->argv = argv;
    t->helds = t->scripts = 0;
    int rc = put_before(t, text, 2);
    return rc < 0 ? rc : find(t, AT_FDCWD, shell, 0);
}

void exec_target_free(struct exec_target *t)
{
    struct call c;

    exec_free(t->row, t->bytes);
    t->row = NULL;
    if (t->helds == 0)
        return;
    call_begin(&c);
    while (t->helds > 0)
        REAL(close)(t->held[--t->helds]);
    call_end(&c);
}
