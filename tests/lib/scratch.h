/*
 * scratch - a test's own directory.
 */
#ifndef JFSPRE_TESTS_LIB_SCRATCH_H
#define JFSPRE_TESTS_LIB_SCRATCH_H

#define SCRATCH_MAX 200

/* A fresh one below TMPDIR, or /tmp; ends the program when there is none to be had. */
void scratch_make(const char *name, char out[SCRATCH_MAX]);
void scratch_remove(const char *path); /* a file, or a directory with all below it */

#endif
