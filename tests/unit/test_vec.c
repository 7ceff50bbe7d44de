/*
 * test_vec.c - arrays that grow: order, duplicates, the edges of a search.
 */
#include "core/base/vec.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdint.h>

struct pair {
    uint32_t key, value;
};

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void add(struct vec *v, uint32_t key, uint32_t value)
{
    struct pair *p = vec_add(v);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL(p->key, 0); /* zeroed, also in memory that realloc gave */
    *p = (struct pair){key, value};
}

static void test_empty(void)
{
    struct vec v = VEC_OF(struct pair);
    struct pair key = {1, 0};

    vec_sort(&v, by_key);
    vec_unique(&v, by_key);
    CU_ASSERT_EQUAL(v.len, 0);
    CU_ASSERT_EQUAL(vec_lower(&v, &key, by_key), 0);
    CU_ASSERT_PTR_NULL(vec_find(&v, &key, by_key));
    vec_free(&v);
}

static void test_sort_and_find(void)
{
    struct vec v = VEC_OF(struct pair);

    for (uint32_t i = 0; i < 1000; i++)
        add(&v, (i * 7919 + 1) % 1000 * 2 + 1, i);
    vec_sort(&v, by_key);
    CU_ASSERT_EQUAL(v.len, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        struct pair odd = {i * 2 + 1, 0}, even = {i * 2, 0};
        struct pair *p = vec_find(&v, &odd, by_key);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(p->key, odd.key);
        CU_ASSERT_PTR_NULL(vec_find(&v, &even, by_key));
        CU_ASSERT_EQUAL(vec_lower(&v, &even, by_key), i);
    }
    struct pair above = {2000, 0};
    CU_ASSERT_EQUAL(vec_lower(&v, &above, by_key), 1000);
    vec_free(&v);
    CU_ASSERT_EQUAL(v.len, 0);
    add(&v, 5, 5); /* usable again */
    vec_free(&v);
}

static void test_unique(void)
{
    struct vec v = VEC_OF(struct pair);
    const uint32_t keys[] = {3, 1, 3, 2, 1, 3};

    for (uint32_t i = 0; i < 6; i++)
        add(&v, keys[i], i);
    vec_sort(&v, by_key);
    vec_unique(&v, by_key);
    CU_ASSERT_EQUAL_FATAL(v.len, 3);
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(((struct pair *)vec_at(&v, i))->key, i + 1);
    struct pair key = {3, 0};
    CU_ASSERT_EQUAL(vec_lower(&v, &key, by_key), 2);
    vec_free(&v);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"an empty one", test_empty},
        {"sort and find", test_sort_and_find},
        {"the last of equals stays", test_unique},
        CU_TEST_INFO_NULL,
    };
    return suite_run("vec", tests);
}
