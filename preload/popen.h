/*
 * popen - the streams that popen made here, not libc.
 */
#ifndef JFSPRE_PRELOAD_POPEN_H
#define JFSPRE_PRELOAD_POPEN_H

#include <stdbool.h>
#include <stdio.h>

bool popen_made(FILE *fp);   /* one load when there are none */
void popen_after_fork(void); /* in a forked child */

#endif
