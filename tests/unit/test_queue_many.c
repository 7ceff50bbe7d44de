/*
 * test_queue_many.c - a queue that several processes drain at once, or whose owner and drainers are
 * killed at any instruction.
 *
 * STEP=n (13) kills at every n-th place only.
 */
#include "tests/lib/suite.h"
#include "tests/unit/queues.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- several at once -------------------------------------------------------------------------- */

#define AT_ONCE 30000

static struct shared {
    _Atomic unsigned puts, sent, next, wrong;
    _Atomic uint64_t seq;
    _Atomic unsigned folded, over, packed;
} * shared;

/* Drains until all was sent.  With the right to drain, ops come in order, groups by number. */
static void drainer(bool asks)
{
    struct queue_batch g;
    struct queue *q;

    alarm(100);
    if (queue_open(board, 0, &q) != 0)
        _exit(1);
    while (shared->sent < AT_ONCE) {
        if (asks && queue_begin(q, 10000) != 0)
            _exit(2);
        int rc = queue_batch(q, NULL, &g);
        if (rc < 0)
            _exit(3);
        for (size_t i = 0; rc == 1 && i < g.n; i++)
            if (!is_op(&g.ops[i], (asks ? shared->next : (unsigned)g.ops->ino) + (unsigned)i))
                shared->wrong++;
        if (rc == 1) {
            uint32_t n = queue_sent(q, &g);
            if (asks && (n != g.n || g.seq != ++shared->seq))
                shared->wrong++;
            shared->next += n;
            shared->sent += n;
            queue_batch_free(&g);
        }
        if (asks)
            queue_end(q);
    }
    _exit(0);
}

static void at_once(bool asks)
{
    pid_t pid[2];
    int status;

    begin();
    memset(shared, 0, sizeof *shared);
    shared->next = 1;
    for (int i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            drainer(asks);
    }
    for (unsigned i = 1; i <= AT_ONCE; i++) {
        int rc = put(i);
        while (rc == -ENOSPC) {
            queue_tidy(own, true);
            rc = put(i);
        }
        CU_ASSERT_EQUAL(rc, 0);
        if (i % 200 == 0)
            queue_cut(own);
        if (i % 5000 == 0)
            queue_tidy(own, true);
    }
    for (int i = 0; i < 2; i++) {
        waitpid(pid[i], &status, 0);
        CU_ASSERT_EQUAL(status, 0);
    }
    CU_ASSERT_EQUAL(shared->sent, AT_ONCE);
    CU_ASSERT_EQUAL(shared->wrong, 0);
    CU_ASSERT(queue_is_empty(own));
    CU_ASSERT_EQUAL(queue_waiting(own), 0);
    end();
}

static void test_two_drainers(void)
{
    at_once(true);
}

static void test_two_without_right(void)
{
    at_once(false);
}

/* --- killed ----------------------------------------------------------------------------------- */

static void test_right_to_drain(void)
{
    int ends[2], status;
    char c;

    begin();
    CU_ASSERT_EQUAL(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (queue_begin(own, 1000) != 0 || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CU_ASSERT_EQUAL(read(ends[0], &c, 1), 1);
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    CU_ASSERT_EQUAL(queue_begin(own, 20), -ETIMEDOUT);
    end_child(pid);
    CU_ASSERT_EQUAL(queue_begin(own, 1000), 0);
    queue_end(own);
    CU_ASSERT_EQUAL(queue_begin(own, 1000), 0); /* it is a mutex again */
    queue_end(own);
    close(ends[0]);
    close(ends[1]);
    end();
}

static uint32_t fold_and_die(void *ctx, uint8_t *data, uint32_t len, uint32_t room,
                             const uint8_t *record, uint32_t record_len)
{
    memset(data, 'z', len / 2);
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_killed_in_fold(void)
{
    struct queue_ref ref;
    struct queue_batch g;
    int status;

    begin();
    pid_t pid = fork();
    if (pid == 0) {
        put_to(own, 1234, &ref);
        put(1235);
        queue_fold(own, &ref, NULL, NULL, fold_and_die, NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFSIGNALED(status));
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT_EQUAL(g.n, 2);
    CU_ASSERT(is_op(&g.ops[0], 1234) && memcmp(g.ops[0].data, "f123", 4) == 0);
    CU_ASSERT(is_op(&g.ops[1], 1235));
    queue_batch_free(&g);
    end();
}

/* What a victim does while it is watched; before that it has put 1 and 2, in a closed group, and 3.
 */
enum {
    KILL_PUT,
    KILL_PUT_FIRST,
    KILL_PACK,
    KILL_PACK_FIRST,
    KILL_FOLD,
    KILL_CANCEL,
    KILL_CUT,
    KILL_SENT,
    KILL_TIDY,
    KILL_REWIND,
    KILLS
};

#define PACK 50

static int pack(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
    shared->packed = (unsigned)id;
    *off = 0;
    return 0;
}

/* An op as put(4) makes it, with its data in a new pack. */
static void put_packed(void)
{
    struct op_content c = {.bytes = "f4", .len = 2};
    struct op op = {.kind = OP_MKDIR, .base = 1, .ino = 4, .path = "f4", .content = &c};
    struct queue_packer pk = {.pack = pack, .fresh = PACK};
    struct queue_ref ref;
    queue_put(own, &op, &pk, &ref);
}

static bool puts_fourth(int what)
{
    return what == KILL_PUT || what == KILL_PUT_FIRST || what == KILL_PACK ||
           what == KILL_PACK_FIRST;
}

static void victim(int what)
{
    struct queue_ref ref;
    struct queue_batch g;

    put(1);
    put(2);
    queue_cut(own);
    put_to(own, 3, &ref);
    if (what == KILL_PUT_FIRST || what == KILL_PACK_FIRST)
        queue_cut(own);
    if (what == KILL_TIDY || what == KILL_REWIND)
        drain_all(own);
    if (what == KILL_SENT && queue_batch(own, NULL, &g) != 1)
        _exit(1);
    shared->puts = 3;
    raise(SIGSTOP);
    switch (what) {
    case KILL_PUT:
    case KILL_PUT_FIRST:
        put(4);
        shared->puts = 4;
        break;
    case KILL_PACK:
    case KILL_PACK_FIRST:
        put_packed();
        shared->puts = 4;
        break;
    case KILL_FOLD:
        fold(&ref, "FOLD");
        shared->folded = 1;
        break;
    case KILL_CANCEL:
        fold(&ref, "");
        shared->folded = 1;
        break;
    case KILL_CUT:
        queue_cut(own);
        break;
    case KILL_SENT:
        queue_sent(own, &g);
        break;
    case KILL_TIDY:
        queue_tidy(own, true);
        break;
    case KILL_REWIND:
        queue_rewind(own, 1);
        break;
    }
    shared->over = 1;
    _exit(0);
}

#define MOST 100000 /* instructions: no change has a tenth of that, with a sanitizer either */

/* Kills it after n instructions.  False: it was through by then.  The exit is not stepped through:
 * a sanitizer has several times more to do there than in all that is looked at. */
static bool killed_after(pid_t pid, int n)
{
    int status;

    waitpid(pid, &status, 0);
    for (int i = 0; i < n; i++) {
        int how = shared->over ? PTRACE_CONT : PTRACE_SINGLESTEP;
        CU_ASSERT_EQUAL_FATAL(ptrace(how, pid, NULL, NULL), 0);
        waitpid(pid, &status, 0);
        if (WIFEXITED(status)) {
            CU_ASSERT(shared->over && WEXITSTATUS(status) == 0);
            return false;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return true;
}

/* The ops that are there, in order and once, groups by number; then those of a successor. */
static bool is_whole(int what)
{
    unsigned next = 1, most = puts_fourth(what) ? 5 : 4;
    bool begins = what != KILL_SENT && what != KILL_TIDY && what != KILL_REWIND, whole = true;
    uint64_t seq = 0;
    struct queue_batch g;
    struct queue *q;

    if (queue_claim(board, &q) != 0)
        return false;
    uint64_t orphan = queue_orphan(q), pack_of = 0;
    /* A successor goes on where the dead one was. */
    for (unsigned i = 10; i < 13; i++)
        whole = put_to(q, i, NULL) == 0 && whole;
    for (int i = 0; i < 10 && queue_batch(q, NULL, &g) == 1; i++) {
        if (seq == 0 && !begins) {
            seq = g.seq - 1;
            next = g.n > 0 ? (unsigned)g.ops->ino : 10;
        }
        whole = whole && g.seq == ++seq;
        pack_of = g.pack != 0 ? g.pack : pack_of;
        for (size_t k = 0; k < g.n; k++) {
            bool is_folded = memcmp(g.ops[k].data, "FOLD", 4) == 0;
            if (next < 10 && g.ops[k].ino == 10) { /* behind what was acknowledged */
                whole = whole &&
                        (next >= most || next > shared->puts || (what == KILL_CANCEL && next == 3));
                next = 10;
            }
            whole = whole && (is_op(&g.ops[k], next) || g.ops[k].pack == PACK);
            if (next == 3 && shared->folded)
                whole = whole && is_folded && what == KILL_FOLD;
            next++;
        }
        whole = whole && queue_sent(q, &g) >= g.n;
        queue_batch_free(&g);
    }
    /* A pack that was made is known, as one of a group or as nobody's. */
    if (shared->packed != 0)
        whole = whole && (pack_of == PACK) == (orphan == 0);
    whole = whole && (orphan == 0 || orphan == PACK);
    whole = whole && next == 13 && queue_is_empty(q) && queue_waiting(q) == 0 &&
            !board_is_pending(board, queue_number(q));
    queue_tidy(q, true);
    put_to(q, 1, NULL);
    whole =
        whole && queue_batch(q, NULL, &g) == 1 && g.seq == seq + 1 && g.n == 1 && is_op(g.ops, 1);
    queue_batch_free(&g);
    queue_close(q);
    return whole;
}

static void test_killed(void)
{
    static const char *const name[KILLS] = {"put",  "put the first", "pack", "pack the first",
                                            "fold", "cancel",        "cut",  "sent",
                                            "tidy", "rewind"};
    int step = getenv("STEP") != NULL ? atoi(getenv("STEP")) : 13;

    if (getenv("MEMCHECK") != NULL) {
        suite_skip("the instructions would be those of valgrind");
        return;
    }
    for (int what = 0; what < KILLS; what++) {
        bool more = true;
        int n = 0, wrong = 0;
        for (; more && n < MOST; n += step) {
            begin();
            queue_close(own);
            own = NULL;
            memset(shared, 0, sizeof *shared);
            pid_t pid = fork();
            if (pid == 0) {
                if (queue_claim(board, &own) != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
                    _exit(1);
                victim(what);
            }
            more = killed_after(pid, n);
            if (!is_whole(what) && wrong++ == 0)
                printf("\nkilled in %s after %d instructions ", name[what], n);
            end();
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT(n > 50 && !more);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"two drainers", test_two_drainers},
        {"two drainers without the right", test_two_without_right},
        {"right to drain", test_right_to_drain},
        {"killed in a fold", test_killed_in_fold},
        {"killed at each instruction", test_killed},
        CU_TEST_INFO_NULL,
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    return suite_run("queue, many", tests);
}
