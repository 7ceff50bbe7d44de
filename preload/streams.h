/*
 * streams - the stdio streams on descriptors of ours.  libc writes their buffers after everything
 * of ours has run, so exit() has to flush them before the last commit.
 */
#ifndef JFSPRE_PRELOAD_STREAMS_H
#define JFSPRE_PRELOAD_STREAMS_H

#include <stdio.h>

void streams_add(FILE *fp);
void streams_remove(FILE *fp); /* not in the list is fine */

/* Flushes them, standard output and standard error too.  One that another thread holds is left
 * out: it may be held for ever by a read. */
void streams_flush(void);

/* From here on what streams like this one send and receive is seen; any stream on a file stands for
 * all. */
void streams_watch(FILE *fp);

/* In a forked child. */
void streams_after_fork(void);

#endif
