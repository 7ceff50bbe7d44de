/*
 * program - what a program is, and whether libjfspre.so can serve it.
 *
 * The loader ignores LD_PRELOAD for static and setuid programs, and Go programs make their system
 * calls without libc: such a program would see the native tree instead of the volume, so it is
 * named before it runs.
 */
#ifndef JFSPRE_TOOLS_PROGRAM_H
#define JFSPRE_TOOLS_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Finds a program as execvp(3) does.  0; -ENOENT, -EACCES. */
int program_find(const char *name, char *out, size_t cap);

struct program_verdict {
    bool served;
    char path[PATH_MAX]; /* of the file that decides: an interpreter when it is a script */
    char why[256];       /* when it is not served: "it is statically linked, ..." */
};

/* Looks at a program and, when it is a script, at its interpreter.  0, or -errno when it cannot be
 * read (then nothing is known). */
int program_check(const char *path, struct program_verdict *out);

/* The same for the library itself: 0 when this is a shared object for this machine. */
int program_check_library(const char *path, char *why, size_t cap);

#endif
