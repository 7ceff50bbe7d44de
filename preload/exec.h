/*
 * exec - what every way to start a program has in common.
 *
 *   struct exec x;
 *   rc = exec_begin(&x, envp, EXEC_REPLACES);
 *   rc = exec_find(&x, dir, path, argv, flags), then the kernel is given x.target and x.env.envp
 *   exec_end(&x)                                 only reached when it failed, or was a spawn
 */
#ifndef JFSPRE_PRELOAD_EXEC_H
#define JFSPRE_PRELOAD_EXEC_H

#include "preload/exec_env.h"
#include "preload/exec_target.h"

enum exec_how {
    EXEC_REPLACES, /* this process becomes the program: what was written is committed */
    EXEC_SPAWNS,   /* a child does; this process goes on */
};

struct exec {
    struct exec_env env;
    struct exec_target target;
};

int exec_begin(struct exec *x, char *const envp[], enum exec_how how);
/* fds: a descriptor of ours is inherited that is close-on-exec here. */
int exec_begin_with(struct exec *x, char *const envp[], enum exec_how how, bool fds);
/* 0 or -errno.  Tells the user when the program cannot see what it is given. */
int exec_find(struct exec *x, int dir, const char *path, char *const argv[], int flags);
void exec_end(struct exec *x);

/* execve; on ENOENT and ENOEXEC as the functions of exec_target.h say.  Returns -errno. */
int exec_run(struct exec *x, int dir, const char *path, char *const argv[], int flags);

/* The n-th place where execvp looks for file, from 0.  1 and out, 0: no more; -errno. */
int exec_candidate(const char *file, int n, char *out, size_t len);

#endif
