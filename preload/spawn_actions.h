/*
 * spawn_actions - what a posix_spawn_file_actions_t holds, which libc does not give back.
 *
 * Kept beside libc's object, by its address.  Needed when an action names a path of ours: libc
 * would open it inside itself.
 */
#ifndef JFSPRE_PRELOAD_SPAWN_ACTIONS_H
#define JFSPRE_PRELOAD_SPAWN_ACTIONS_H

#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum spawn_kind {
    SPAWN_OPEN,      /* fd, path, flags, mode */
    SPAWN_CLOSE,     /* fd */
    SPAWN_DUP2,      /* fd -> to */
    SPAWN_CHDIR,     /* path */
    SPAWN_FCHDIR,    /* fd */
    SPAWN_CLOSEFROM, /* fd */
    SPAWN_TCSETPGRP, /* fd */
};

struct spawn_action {
    enum spawn_kind kind;
    int fd, to, flags;
    mode_t mode;
    char *path;
};

/* Copies of a->path are made.  0 or an error number. */
int spawn_actions_add(const posix_spawn_file_actions_t *fa, const struct spawn_action *a);
void spawn_actions_drop(const posix_spawn_file_actions_t *fa);

/* The actions in order, borrowed until the object changes; *n 0 when there are none. */
const struct spawn_action *spawn_actions_get(const posix_spawn_file_actions_t *fa, size_t *n);

/* In a forked child. */
void spawn_actions_after_fork(void);

#endif
