/*
 * heap - memory of core and hiredis, apart from the program's.
 *
 * A signal handler may call open, stat, unlink and write, also when the signal came in the middle
 * of malloc: core must not need a lock that the interrupted thread holds.  objcopy renames core's
 * malloc and its kin to these.  Signals are blocked while a thread is inside core (guard.h), so the
 * lock here is never held by an interrupted one.
 *
 * A pointer of libc's malloc may be given to free and realloc: it is recognised.
 */
#ifndef JFSPRE_PRELOAD_HEAP_H
#define JFSPRE_PRELOAD_HEAP_H

#include <stddef.h>

void *jfspre_heap_malloc(size_t n);
void *jfspre_heap_calloc(size_t n, size_t size);
void *jfspre_heap_realloc(void *p, size_t n);
void jfspre_heap_free(void *p);
char *jfspre_heap_strdup(const char *s);
char *jfspre_heap_strndup(const char *s, size_t n);

/* In place: libc's may allocate. */
void jfspre_heap_qsort(void *base, size_t n, size_t size, int (*order)(const void *, const void *));

void heap_before_fork(void);
void heap_after_fork(void);
void heap_start_afresh(void); /* in a child: what there is may be half written, and is left alone */

#endif
