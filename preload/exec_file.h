/*
 * exec_file - what kind of program a native file is, from its first bytes.
 */
#ifndef JFSPRE_PRELOAD_EXEC_FILE_H
#define JFSPRE_PRELOAD_EXEC_FILE_H

#include <stdbool.h>

#define SHEBANG_BYTES 256 /* that the kernel looks at */

struct shebang {
    char interp[SHEBANG_BYTES];
    char arg[SHEBANG_BYTES]; /* "": none */
};

/* Is it a script?  The line as the kernel reads it. */
bool exec_file_script(const char *path, struct shebang *out);

/* Why we cannot be loaded into it, as half a sentence; NULL: we can, or it cannot be looked at.
 * Scripts are judged by their interpreter. */
const char *exec_file_unseen(const char *path);

/* Says so, once for each path and tree of processes below this one.  name: as the user knows it. */
void exec_file_tell(const char *path, const char *name);

/* Before a fork: makes the memory that the tree shares for `once`. */
void exec_file_before_fork(void);

#endif
