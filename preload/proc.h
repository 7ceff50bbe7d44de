/*
 * proc - a fork that runs no handlers of pthread_atfork.
 */
#ifndef JFSPRE_PRELOAD_PROC_H
#define JFSPRE_PRELOAD_PROC_H

/* how(arg) makes a child with memory of its own, which goes on behind it as the parent does, and
 * answers as a libc call: a process id, 0 in the child, or -1 and errno.  So does this. */
long proc_fork(long (*how)(const long *arg), const long *arg);

#endif
