/*
 * queues.h - what the tests of queues share: a board with one queue of this process, and ops that
 * say which ones they are.
 */
#ifndef JFSPRE_TESTS_UNIT_QUEUES_H
#define JFSPRE_TESTS_UNIT_QUEUES_H

#include "core/meta/queue.h"
#include "tests/lib/scratch.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static char top[SCRATCH_MAX];
static struct board *board;
static struct queue *own;

static inline void begin(void)
{
    char err[300];
    scratch_make("queue", top);
    CU_ASSERT_EQUAL_FATAL(board_open(top, &board, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
}

static inline void end(void)
{
    queue_close(own);
    board_close(board);
    scratch_remove(top);
}

/* An op that says which one it is. */
static inline int put_to(struct queue *q, unsigned number, struct queue_ref *ref)
{
    char path[32];
    struct queue_ref r;
    snprintf(path, sizeof path, "f%u", number);
    struct op op = {
        .kind = OP_MKDIR, .base = 1, .ino = number, .path = path, .data = path, .data_len = 4};
    return queue_put(q, &op, NULL, ref != NULL ? ref : &r);
}

static inline int put(unsigned number)
{
    return put_to(own, number, NULL);
}

/* Is it as put() made it? */
static inline bool is_op(const struct op *op, unsigned number)
{
    char path[32];
    snprintf(path, sizeof path, "f%u", number);
    return op->kind == OP_MKDIR && op->ino == number && strcmp(op->path, path) == 0 &&
           strcmp(op->path2, "") == 0 && op->data_len == 4;
}

/* Sends the first group.  How many ops it had, -1: there was none. */
static inline int send_group(struct queue *q, uint64_t seq, unsigned first)
{
    struct queue_batch g;
    int rc = queue_batch(q, NULL, &g);
    CU_ASSERT(rc >= 0);
    if (rc != 1)
        return -1;
    CU_ASSERT_EQUAL(g.seq, seq);
    for (size_t i = 0; i < g.n; i++)
        CU_ASSERT(is_op(&g.ops[i], first + (unsigned)i));
    int n = (int)g.n;
    CU_ASSERT_EQUAL(queue_sent(q, &g), (uint32_t)n);
    queue_batch_free(&g);
    return n;
}

static inline uint32_t set_data(void *ctx, uint8_t *data, uint32_t len, uint32_t room,
                                const uint8_t *record, uint32_t record_len)
{
    const char *text = ctx;
    CU_ASSERT(room >= len);
    if (*text == '\0')
        return 0;
    memcpy(data, text, 4);
    return 4;
}

static inline int fold(struct queue_ref *ref, const char *text)
{
    return queue_fold(own, ref, NULL, NULL, set_data, (void *)(uintptr_t)text);
}

static inline unsigned drain_all(struct queue *q)
{
    struct queue_batch g;
    unsigned n = 0;
    while (queue_batch(q, NULL, &g) == 1) {
        n += queue_sent(q, &g);
        queue_batch_free(&g);
    }
    return n;
}

static inline void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

#endif
