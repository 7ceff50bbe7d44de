/*
 * heap.c - see heap.h.  Sizes are rounded up to a power of two or one and a half of it; each class
 * has a list of free pieces, cut from chunks that are never given back (a large one is a chunk of
 * its own: a batch takes them again and again).  What is larger than the last class is a mapping
 * that is given back.
 */
#include "preload/heap.h"

#include "preload/raw.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES (256u << 10)
#define CLASSES     32 /* 32, 48, 64, 96, ... bytes, the header included */
#define MAGIC       UINT64_C(0xf8e5a7d0c2b94631)

struct piece {
    size_t bytes;   /* header included */
    uint64_t magic; /* where libc's malloc keeps a size, which this is none of */
    char data[];
};

static struct piece *free_list[CLASSES];
static char *chunk, *chunk_end;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Of a free piece: the next one of its list. */
static struct piece **next_of(struct piece *p)
{
    return (struct piece **)p->data;
}

static size_t class_bytes(unsigned c)
{
    size_t power = (size_t)32 << (c / 2);

    return c % 2 == 0 ? power : power + power / 2;
}

/* CLASSES: none is large enough. */
static unsigned class_of(size_t bytes)
{
    if (bytes <= class_bytes(0))
        return 0;
    unsigned power = 63 - (unsigned)__builtin_clzl(bytes - 1); /* 2^power < bytes <= 2^(power+1) */
    unsigned c = 2 * (power - 5) + (class_bytes(2 * (power - 5) + 1) < bytes ? 2 : 1);
    return c < CLASSES ? c : CLASSES;
}

/* more: MAP_POPULATE or 0. */
static void *map(size_t bytes, int more)
{
    long at = raw_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);

    return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* Locked. */
static struct piece *cut(size_t bytes)
{
    if (bytes > CHUNK_BYTES / 4)
        return map(bytes, 0);
    if ((size_t)(chunk_end - chunk) < bytes) {
        /* What is left of the old one is less than a piece: lost.  Who needs a second one needs all
         * of it, and one call costs less than a fault a page. */
        char *fresh = map(CHUNK_BYTES, chunk != NULL ? MAP_POPULATE : 0);
        if (fresh == NULL)
            return NULL;
        chunk = fresh;
        chunk_end = fresh + CHUNK_BYTES;
    }
    struct piece *p = (struct piece *)chunk;
    chunk += bytes;
    return p;
}

static struct piece *take(unsigned c)
{
    struct piece *p;

    pthread_mutex_lock(&lock);
    if (free_list[c] != NULL) {
        p = free_list[c];
        free_list[c] = *next_of(p);
    } else {
        p = cut(class_bytes(c));
    }
    pthread_mutex_unlock(&lock);
    if (p != NULL)
        p->bytes = class_bytes(c);
    return p;
}

void *jfspre_heap_malloc(size_t n)
{
    size_t bytes;
    struct piece *p = NULL;

    if (!__builtin_add_overflow(n, sizeof(*p) + 4095, &bytes)) {
        unsigned c = class_of(n + sizeof(*p));
        bytes &= ~(size_t)4095;
        p = c < CLASSES ? take(c) : map(bytes, 0);
        if (p != NULL && c == CLASSES)
            p->bytes = bytes;
    }
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    p->magic = MAGIC;
    return p->data;
}

static struct piece *piece_of(void *data)
{
    return (struct piece *)((char *)data - offsetof(struct piece, data));
}

/* Of a piece of libc's this reads libc's own words before it. */
__attribute__((no_sanitize("address"))) static bool is_ours(const struct piece *p)
{
    return p->magic == MAGIC;
}

void jfspre_heap_free(void *data)
{
    if (data == NULL)
        return;
    struct piece *p = piece_of(data);
    if (!is_ours(p)) {
        free(data);
        return;
    }
    unsigned c = class_of(p->bytes);
    if (c == CLASSES) {
        raw_syscall3(SYS_munmap, p, p->bytes, 0);
        return;
    }
    p->magic = 0; /* a second free of it ends in libc's complaint */
    pthread_mutex_lock(&lock);
    *next_of(p) = free_list[c];
    free_list[c] = p;
    pthread_mutex_unlock(&lock);
}

void *jfspre_heap_calloc(size_t n, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    p = jfspre_heap_malloc(bytes);
    return p != NULL ? memset(p, 0, bytes) : NULL;
}

void *jfspre_heap_realloc(void *data, size_t n)
{
    if (data == NULL)
        return jfspre_heap_malloc(n);
    struct piece *p = piece_of(data);
    if (!is_ours(p))
        return realloc(data, n);
    size_t have = p->bytes - sizeof(*p);
    if (n <= have && n >= have / 4)
        return data;
    void *fresh = jfspre_heap_malloc(n);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, data, n < have ? n : have);
    jfspre_heap_free(data);
    return fresh;
}

char *jfspre_heap_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = jfspre_heap_malloc(n + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *jfspre_heap_strdup(const char *s)
{
    return jfspre_heap_strndup(s, strlen(s));
}

void heap_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void heap_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

void heap_start_afresh(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(free_list, 0, sizeof(free_list));
    chunk = chunk_end = NULL;
}

/* --- sorting
 * -------------------------------------------------------------------------------------- */

static void swap(char *a, char *b, size_t size)
{
    while (size-- > 0) {
        char c = *a;
        *a++ = *b;
        *b++ = c;
    }
}

/* Lets the item at i sink in the heap of n items. */
static void sink(char *base, size_t i, size_t n, size_t size,
                 int (*order)(const void *, const void *))
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && order(base + child * size, base + (child + 1) * size) < 0)
            child++;
        if (order(base + i * size, base + child * size) >= 0)
            return;
        swap(base + i * size, base + child * size, size);
    }
}

void jfspre_heap_qsort(void *base, size_t n, size_t size, int (*order)(const void *, const void *))
{
    for (size_t i = n / 2; i-- > 0;)
        sink(base, i, n, size, order);
    for (size_t left = n; left > 1; left--) {
        swap(base, (char *)base + (left - 1) * size, size);
        sink(base, 0, left - 1, size, order);
    }
}
