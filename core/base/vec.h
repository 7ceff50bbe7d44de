/*
 * vec - an array of equal items that grows, and is sorted once to be searched.
 *
 * Layer: base.  Threads: the caller's.
 */
#ifndef JFSPRE_CORE_BASE_VEC_H
#define JFSPRE_CORE_BASE_VEC_H

#include <stddef.h>

struct vec {
    void *data;
    size_t len, cap; /* items */
    size_t item;     /* bytes of one, set by VEC_OF() */
};

#define VEC_OF(type) ((struct vec){.item = sizeof(type)})

typedef int (*vec_order)(const void *a, const void *b); /* as qsort(3) */

/* Adds a zeroed item; NULL: out of memory, the array is as it was.  Moves the others. */
void *vec_add(struct vec *v);
void *vec_at(const struct vec *v, size_t i); /* i < len */
void vec_sort(struct vec *v, vec_order order);
/* Drops all but the last of each run of equal items; the array is sorted by the same order. */
void vec_unique(struct vec *v, vec_order order);
/* Index of the first item not below key, len when there is none.  Sorted array. */
size_t vec_lower(const struct vec *v, const void *key, vec_order order);
/* The first item equal to key, or NULL.  Sorted array. */
void *vec_find(const struct vec *v, const void *key, vec_order order);
void vec_free(struct vec *v); /* empty again, item size kept */

#endif
