/*
 * vec.c - see vec.h.
 */
#include "core/base/vec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ITEMS 64

void *vec_add(struct vec *v)
{
    if (v->len == v->cap) {
        size_t cap = v->cap ? v->cap + v->cap / 2 : FIRST_ITEMS;
        if (cap > SIZE_MAX / v->item)
            return NULL;
        void *data = realloc(v->data, cap * v->item);
        if (!data)
            return NULL;
        v->data = data;
        v->cap = cap;
    }
    return memset((char *)v->data + v->len++ * v->item, 0, v->item);
}

void *vec_at(const struct vec *v, size_t i)
{
    return (char *)v->data + i * v->item;
}

void vec_sort(struct vec *v, vec_order order)
{
    if (v->len > 1)
        qsort(v->data, v->len, v->item, order);
}

void vec_unique(struct vec *v, vec_order order)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->len; i++) {
        if (i + 1 < v->len && order(vec_at(v, i), vec_at(v, i + 1)) == 0)
            continue;
        if (kept != i)
            memcpy(vec_at(v, kept), vec_at(v, i), v->item);
        kept++;
    }
    v->len = kept;
}

size_t vec_lower(const struct vec *v, const void *key, vec_order order)
{
    size_t low = 0, high = v->len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order(vec_at(v, mid), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void *vec_find(const struct vec *v, const void *key, vec_order order)
{
    size_t i = vec_lower(v, key, order);

    return i < v->len && order(vec_at(v, i), key) == 0 ? vec_at(v, i) : NULL;
}

void vec_free(struct vec *v)
{
    free(v->data);
    v->data = NULL;
    v->len = v->cap = 0;
}
