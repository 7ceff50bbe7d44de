/*
 * test_order.c - names in the order of a listing or of inodes, whichever is followed.
 */
#include "core/meta/order.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#define NAMES 200

/* Inodes go down as the listing goes on, by threes. */
static uint64_t ino_of(int i)
{
    return (uint64_t)(3 * NAMES - 3 * i);
}

static struct order *listed(void)
{
    struct order *o = NULL;
    char name[256];
    for (int i = 0; i < NAMES; i++) {
        int n = snprintf(name, sizeof(name), "name %0*d", i % 2 == 0 ? 4 : 200, i);
        CU_ASSERT(order_add(&o, name, (size_t)n, ino_of(i)));
    }
    return o;
}

static void test_listing(void)
{
    struct order *o = listed();
    char name[256];
    CU_ASSERT_EQUAL(order_count(o), NAMES);
    CU_ASSERT_EQUAL(order_find(o, 7777), -1);
    for (int i = 0; i < NAMES; i++) {
        size_t len;
        uint64_t ino;
        const char *p = order_name(o, (size_t)i, &len, &ino);
        int n = snprintf(name, sizeof(name), "name %0*d", i % 2 == 0 ? 4 : 200, i);
        CU_ASSERT(ino == ino_of(i) && len == (size_t)n && memcmp(p, name, len) == 0);
        CU_ASSERT_EQUAL(order_find(o, ino), i);
    }
    CU_ASSERT_EQUAL(order_asked(o), 1);
    CU_ASSERT_EQUAL(order_asked(o), 2);
    order_free(o);
    order_free(NULL);
}

/* Who asks for the next one keeps the order, who asks for another changes it, and back. */
static void test_following(void)
{
    struct order *o = listed();
    order_follow(o, ino_of(9)); /* nothing was given yet */
    CU_ASSERT_EQUAL(order_find(o, ino_of(9)), 9);
    order_gave(o, 50);
    order_follow(o, ino_of(50));
    CU_ASSERT_EQUAL(order_find(o, ino_of(50)), 50);
    order_follow(o, ino_of(60));
    CU_ASSERT_EQUAL(order_find(o, ino_of(60)), NAMES - 1 - 60);
    order_follow(o, ino_of(3)); /* nothing was given in this order */
    CU_ASSERT_EQUAL(order_find(o, ino_of(3)), NAMES - 1 - 3);
    order_gave(o, 5);
    order_follow(o, ino_of(70));
    CU_ASSERT_EQUAL(order_find(o, ino_of(70)), 70);
    order_gave(o, NAMES); /* all: from the start again */
    order_follow(o, ino_of(0));
    CU_ASSERT_EQUAL(order_find(o, ino_of(0)), 0);
    order_free(o);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"listing", test_listing},
        {"following", test_following},
        CU_TEST_INFO_NULL,
    };
    return suite_run("order", tests);
}
