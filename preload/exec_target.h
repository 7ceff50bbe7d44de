/*
 * exec_target - from the file that a caller wants to run to what the kernel can run.
 *
 * A program of ours is run from its staging file.  A script of ours is run by its interpreter with
 * the name that the caller used, as the kernel would; the interpreter may be ours as well, and a
 * native script may have one of ours.
 */
#ifndef JFSPRE_PRELOAD_EXEC_TARGET_H
#define JFSPRE_PRELOAD_EXEC_TARGET_H

#include "core/vfs/vfs.h"

#include <limits.h>

#define TARGET_SCRIPTS 5 /* one behind the other, as the kernel allows */

struct exec_target {
    /* for execveat(2) */
    int dir;
    const char *path;
    char *const *argv;
    int flags;
    /* storage */
    int held[TARGET_SCRIPTS + 1]; /* keep staging files in place until exec closes them */
    int helds;
    char buf[PATH_MAX];    /* a staging file or what a climb out of the volume led to */
    char script[PATH_MAX]; /* the last script's name */
    char interp[TARGET_SCRIPTS][256];
    char arg[TARGET_SCRIPTS][256];
    int scripts;
    char **row; /* argv when it is not the caller's */
    size_t bytes;
};

/* 0 or -errno; either way exec_target_free() afterwards.  Outside a guard. */
int exec_target_find(struct exec_target *t, int dir, const char *path, char *const argv[],
                     int flags);
/* t failed with -ENOENT: is it a native script with an interpreter of ours?  Then t is made anew:
 * 0; else -ENOENT. */
int exec_target_again(struct exec_target *t);
/* t failed with -ENOEXEC: /bin/sh reads it, as execvp(3) has it.  0 or -errno. */
int exec_target_shell(struct exec_target *t, const char *path, char *const argv[]);
void exec_target_free(struct exec_target *t);

#endif
