/*
 * test_heap.c - the memory of core inside a program: pieces do not overlap, grow and shrink with
 * their contents, foreign pointers go to libc, many threads at once; and the sort beside it.
 */
#include "preload/heap.c"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdio.h>

static const size_t sizes[] = {0,    1,     15,    16,    17,     32,     33,      48,
                               100,  4096,  65519, 65520, 65521,  98304,  131072,  262144,
                               5000, 80000, 80001, 1,     300000, 999999, 3000000, 24};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static bool holds(const unsigned char *p, size_t n, unsigned char with)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != with)
            return false;
    return true;
}

static void test_pieces(void)
{
    unsigned char *p[SIZES];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            p[i] = jfspre_heap_malloc(sizes[i]);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
            CU_ASSERT_EQUAL((uintptr_t)p[i] % 16, 0);
            memset(p[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < SIZES; i++)
            CU_ASSERT(holds(p[i], sizes[i], (unsigned char)(i + 1)));
        for (size_t i = 0; i < SIZES; i++)
            jfspre_heap_free(p[i]);
    }
    jfspre_heap_free(NULL);
}

/* Each size in the smallest class that holds it; a large piece comes back to who asks again. */
static void test_classes(void)
{
    size_t wrong = 0;

    for (size_t n = 1; n <= class_bytes(CLASSES - 1) + 1; n += n < 5000 ? 1 : n / 300) {
        unsigned c = class_of(n);
        wrong += (c < CLASSES && class_bytes(c) < n) || (c > 0 && class_bytes(c - 1) >= n);
    }
    for (unsigned c = 0; c < CLASSES; c++)
        wrong += class_of(class_bytes(c)) != c || class_of(class_bytes(c) + 1) != c + 1;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(class_of(0), 0);
    CU_ASSERT_EQUAL(class_of(SIZE_MAX), CLASSES);
    char *p = jfspre_heap_malloc(1000000);
    jfspre_heap_free(p);
    char *again = jfspre_heap_malloc(1000000);
    CU_ASSERT_PTR_EQUAL(p, again);
    jfspre_heap_free(again);
}

static void test_zeroed(void)
{
    unsigned char *p = jfspre_heap_malloc(1000);

    memset(p, 0xff, 1000);
    jfspre_heap_free(p);
    p = jfspre_heap_calloc(10, 100);
    CU_ASSERT(holds(p, 1000, 0));
    jfspre_heap_free(p);
    CU_ASSERT_PTR_NULL(jfspre_heap_calloc(SIZE_MAX / 2, 3));
    CU_ASSERT_PTR_NULL(jfspre_heap_malloc(SIZE_MAX));
    CU_ASSERT_PTR_NULL(jfspre_heap_malloc(SIZE_MAX - 4000));
}

static void test_realloc(void)
{
    unsigned char *p = NULL;

    for (size_t n = 1; n < 1000000; n = n * 3 / 2 + 1) {
        p = jfspre_heap_realloc(p, n);
        CU_ASSERT(holds(p, n * 2 / 3 - n / 100, 7) || n < 4);
        memset(p, 7, n);
    }
    p = jfspre_heap_realloc(p, 10);
    CU_ASSERT(holds(p, 10, 7));
    CU_ASSERT(piece_of(p)->bytes < 1000);
    jfspre_heap_free(p);
}

static void test_foreign(void)
{
    char *p = strdup("from libc");

    p = jfspre_heap_realloc(p, 5000);
    CU_ASSERT_STRING_EQUAL(p, "from libc");
    jfspre_heap_free(p);
    p = jfspre_heap_strdup("ours");
    CU_ASSERT_STRING_EQUAL(p, "ours");
    CU_ASSERT_EQUAL(piece_of(p)->magic, MAGIC);
    jfspre_heap_free(p);
    p = jfspre_heap_strndup("long enough", 4);
    CU_ASSERT_STRING_EQUAL(p, "long");
    jfspre_heap_free(p);
}

static void *churn(void *arg)
{
    unsigned char *p[64] = {NULL}, mine = (unsigned char)(uintptr_t)arg;
    uint32_t x = mine, bad = 0;

    for (int i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        unsigned char **at = &p[x >> 26];
        if (*at != NULL)
            bad += !holds(*at, 20, mine);
        jfspre_heap_free(*at);
        size_t n = 20 + (x >> 8) % 3000;
        *at = jfspre_heap_malloc(n);
        memset(*at, mine, n);
    }
    for (int i = 0; i < 64; i++)
        jfspre_heap_free(p[i]);
    return (void *)(uintptr_t)bad;
}

static void test_threads(void)
{
    pthread_t t[4];
    void *bad;

    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, churn, (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &bad);
        CU_ASSERT_PTR_NULL(bad);
    }
}

static int by_number(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void test_sort(void)
{
    static int32_t v[1000], w[1000];
    uint32_t x = 1;

    for (size_t n = 0; n < 1000; n = n < 20 ? n + 1 : n * 2 + 1) {
        for (size_t i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            v[i] = w[i] = (int32_t)(x >> (n % 3 == 0 ? 30 : 4));
        }
        jfspre_heap_qsort(v, n, sizeof(*v), by_number);
        qsort(w, n, sizeof(*w), by_number);
        CU_ASSERT(memcmp(v, w, n * sizeof(*v)) == 0);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"pieces", test_pieces},   {"classes", test_classes}, {"zeroed", test_zeroed},
        {"realloc", test_realloc}, {"foreign", test_foreign}, {"threads", test_threads},
        {"sort", test_sort},       CU_TEST_INFO_NULL,
    };

    return suite_run("heap", tests);
}
