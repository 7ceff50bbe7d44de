/*
 * test_overlay.c - what a process knows of names and inodes: learned, renewed, forgotten, ended by
 * another process's mark.
 */
#include "core/meta/overlay.h"

#include "core/base/clock.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[SCRATCH_MAX];
static struct board *board;
static struct overlay *known;

static void begin(void)
{
    char err[300];
    scratch_make("overlay", top);
    CU_ASSERT_EQUAL_FATAL(board_open(top, &board, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(overlay_new(board, &known), 0);
}

static void end(void)
{
    overlay_free(known);
    board_close(board);
    scratch_remove(top);
}

static struct node *learn(uint64_t ino, uint8_t type, uint64_t length)
{
    struct attr a = {.type = type, .length = length, .nlink = 1};
    return overlay_learn(known, ino, &a, board_now(board));
}

static void mark_elsewhere(uint64_t ino)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        board_after_fork(board);
        board_mark(board, ino, 0);
        _exit(0);
    }
    waitpid(pid, &status, 0);
}

static enum known entry(struct node *dir, const char *name, uint64_t *ino)
{
    uint8_t type;
    return overlay_entry(known, dir, name, strlen(name), &type, ino);
}

static void test_nodes(void)
{
    begin();
    CU_ASSERT_PTR_NULL(overlay_node(known, 5));
    struct node *n = learn(5, TYPE_FILE, 7);
    CU_ASSERT_PTR_EQUAL(overlay_node(known, 5), n);
    overlay_set_target(n, "target", 3);
    CU_ASSERT_STRING_EQUAL(n->target, "tar");
    n->is_mine = true;
    CU_ASSERT_PTR_EQUAL(learn(5, TYPE_FILE, 8), n); /* renewed; what else is known stays */
    CU_ASSERT(n->a.length == 8 && n->is_mine);
    board_mark(board, 5, 0); /* our own mark ends nothing */
    CU_ASSERT_PTR_EQUAL(overlay_node(known, 5), n);
    overlay_forget(known, 5);
    overlay_forget(known, 5);
    CU_ASSERT_PTR_NULL(overlay_node(known, 5));
    end();
}

/* What one was known to have is not the next one's; many of them, forgotten and learned again. */
static void test_used_again(void)
{
    enum { MANY = 3000 };
    size_t wrong = 0;
    begin();
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < MANY; i++) {
            struct node *n = learn(100 + i * (round == 1 ? 4096 : 1), TYPE_FILE, i);
            wrong += n->target != NULL || n->records_ns != 0 || n->is_mine || n->a.length != i;
            overlay_set_target(n, "target", 6);
            overlay_set_records(n, "records", 7);
            n->is_mine = true;
        }
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t ino = 100 + i * (round == 1 ? 4096 : 1);
            struct node *n = overlay_node(known, ino);
            wrong += n == NULL || n->ino != ino || n->a.length != i;
            if (round < 2)
                overlay_forget(known, ino);
            wrong += round < 2 && overlay_node(known, ino) != NULL;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    end();
}

/* Within a call the clock stands still. */
static void test_calls(void)
{
    begin();
    overlay_begin_call(known);
    uint64_t now = overlay_now(known);
    for (uint64_t ms = clock_mono_ms(); clock_mono_ms() <= ms + 1;)
        continue;
    CU_ASSERT_EQUAL(overlay_now(known), now);
    CU_ASSERT_EQUAL(learn(5, TYPE_FILE, 7)->told_ns, now);
    overlay_end_call(known);
    CU_ASSERT(overlay_now(known) > now);
    CU_ASSERT(learn(5, TYPE_FILE, 7)->told_ns > now);
    end();
}

static void test_marked_elsewhere(void)
{
    begin();
    learn(5, TYPE_FILE, 7);
    learn(6, TYPE_FILE, 7);
    uint64_t before = board_now(board);
    mark_elsewhere(5);
    CU_ASSERT_PTR_NULL(overlay_node(known, 5));
    CU_ASSERT_PTR_NOT_NULL(overlay_node(known, 6));
    CU_ASSERT_PTR_NOT_NULL(learn(5, TYPE_FILE, 9)); /* after it: believed */
    CU_ASSERT_PTR_NOT_NULL(overlay_node(known, 5));
    overlay_forget(known, 5);
    struct attr a = {.type = TYPE_FILE};
    overlay_learn(known, 5, &a, before); /* an answer from before it */
    CU_ASSERT_PTR_NULL(overlay_node(known, 5));
    end();
}

static void test_entries(void)
{
    uint64_t ino;
    begin();
    struct node *d = learn(10, TYPE_DIRECTORY, 0), *e = learn(11, TYPE_DIRECTORY, 0);
    CU_ASSERT_EQUAL(entry(d, "a", &ino), NOT_KNOWN);
    CU_ASSERT(overlay_add(known, d, "a", 1, TYPE_FILE, 20));
    CU_ASSERT(entry(d, "a", &ino) == PRESENT && ino == 20);
    CU_ASSERT_EQUAL(entry(d, "b", &ino), NOT_KNOWN);
    CU_ASSERT_EQUAL(entry(e, "a", &ino), NOT_KNOWN);
    CU_ASSERT_EQUAL(d->count, 1);
    CU_ASSERT(overlay_add(known, d, "a", 1, TYPE_FILE, 21)); /* replaced, not one more */
    CU_ASSERT(entry(d, "a", &ino) == PRESENT && ino == 21 && d->count == 1);
    overlay_set_complete(known, d);
    CU_ASSERT_EQUAL(entry(d, "b", &ino), ABSENT);
    overlay_remove(known, d, "b", 1);
    CU_ASSERT_EQUAL(d->count, 1);
    overlay_remove(known, d, "a", 1);
    CU_ASSERT(entry(d, "a", &ino) == ABSENT && d->count == 0);
    overlay_set_complete(known, e); /* an empty one */
    CU_ASSERT_EQUAL(entry(e, "a", &ino), ABSENT);
    end();
}

/* A listing that begins anew knows nothing of the old one, and neither does a node learned anew. */
static void test_listings(void)
{
    uint64_t ino;
    begin();
    struct node *d = learn(10, TYPE_DIRECTORY, 0);
    overlay_add(known, d, "a", 1, TYPE_FILE, 20);
    overlay_set_complete(known, d);
    overlay_start_listing(known, d);
    CU_ASSERT(entry(d, "a", &ino) == NOT_KNOWN && d->count == 0 && !d->is_complete);
    overlay_add(known, d, "a", 1, TYPE_FILE, 20);
    overlay_forget(known, 10);
    d = learn(10, TYPE_DIRECTORY, 0);
    CU_ASSERT_EQUAL(entry(d, "a", &ino), NOT_KNOWN);
    overlay_clear(known);
    CU_ASSERT_PTR_NULL(overlay_node(known, 10));
    end();
}

#define MANY 20000

static void test_many(void)
{
    char name[300];
    uint64_t ino;
    bool right = true;

    begin();
    learn(10, TYPE_DIRECTORY, 0);
    for (unsigned i = 0; i < MANY; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "%0*u", 1 + (int)(i % 250), i);
        right = right && learn(100 + i, TYPE_FILE, i) != NULL;
        right = right && overlay_add(known, overlay_node(known, 10), name, n, TYPE_FILE, 100 + i);
    }
    struct node *d = overlay_node(known, 10);
    CU_ASSERT_EQUAL(d->count, MANY);
    overlay_set_complete(known, d);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%0*u", 1 + (int)(i % 250), i);
        right = right && entry(d, name, &ino) == PRESENT && ino == 100 + i;
        struct node *n = overlay_node(known, 100 + i);
        right = right && n != NULL && n->a.length == i;
    }
    CU_ASSERT(right);
    CU_ASSERT_EQUAL(entry(d, "x", &ino), ABSENT);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"nodes", test_nodes},     {"used again", test_used_again},
        {"calls", test_calls},     {"marked elsewhere", test_marked_elsewhere},
        {"entries", test_entries}, {"listings", test_listings},
        {"many", test_many},       CU_TEST_INFO_NULL,
    };
    return suite_run("overlay", tests);
}
