/*
 * exec_env - the environment of a program that is started from here.
 *
 * It must find us (LD_PRELOAD), the volume (JFSPRE_*, META_PASSWORD as this process was given
 * them), and that it inherits something of ours (JFSPRE_FDS, JFSPRE_CWD), whatever the caller
 * passes: many programs start others with an environment of their own.
 *
 * Memory comes from mmap: the caller may be a child forked while malloc's locks were held.
 */
#ifndef JFSPRE_PRELOAD_EXEC_ENV_H
#define JFSPRE_PRELOAD_EXEC_ENV_H

#include <stdbool.h>
#include <stddef.h>

struct exec_env {
    char *const *envp; /* the caller's own when nothing has to change */
    bool ours;         /* it inherits descriptors or the directory of ours */
    void *mem;
    size_t bytes;
};

/* In the constructor: remembers what was given to this process. */
void exec_env_start(char **env);

/* fds, cwd: what is inherited.  0 or -ENOMEM. */
int exec_env_make(struct exec_env *e, char *const envp[], bool fds, bool cwd);
void exec_env_free(struct exec_env *e);

/* Pages, for what exec needs.  NULL: none left. */
void *exec_alloc(size_t bytes);
void exec_free(void *mem, size_t bytes);

#endif
