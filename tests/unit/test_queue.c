/*
 * test_queue.c - queues of pending changes: appended to, folded into, drained, emptied and rewound;
 * files and file systems that are full; whose they are.
 */
#include "core/format/record.h"
#include "tests/lib/suite.h"
#include "tests/unit/queues.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- put and drain ---------------------------------------------------------------------------- */

static void test_ops(void)
{
    uint32_t groups[] = {7, 8, 9};
    struct op op = {.kind = OP_RENAME,
                    .cred = {.uid = 1, .gid = 2, .ngroups = 3, .groups = groups},
                    .now = {4, 5},
                    .base = 6,
                    .base2 = 7,
                    .path = "from",
                    .path2 = "to",
                    .data = "1234567",
                    .data_len = 7};
    struct queue_ref ref;
    struct queue_batch g;

    begin();
    CU_ASSERT(queue_is_empty(own));
    CU_ASSERT(!board_is_pending(board, queue_number(own)));
    CU_ASSERT_EQUAL(queue_batch(own, NULL, &g), 0);
    CU_ASSERT_EQUAL(queue_put(own, &op, NULL, &ref), 0);
    CU_ASSERT(board_is_pending(board, queue_number(own)));
    CU_ASSERT(!queue_is_empty(own));
    memset(groups, 0, sizeof groups); /* it has all it needs */
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT_EQUAL(g.n, 1);
    CU_ASSERT_EQUAL(g.seq, 1);
    CU_ASSERT_EQUAL(g.ops->kind, OP_RENAME);
    CU_ASSERT_EQUAL(g.ops->base2, 7);
    CU_ASSERT_EQUAL(g.ops->now.nsec, 5);
    CU_ASSERT_EQUAL(g.ops->cred.ngroups, 3);
    CU_ASSERT_EQUAL(g.ops->cred.groups[2], 9);
    CU_ASSERT_STRING_EQUAL(g.ops->path, "from");
    CU_ASSERT_STRING_EQUAL(g.ops->path2, "to");
    CU_ASSERT(g.ops->data_len == 7 && memcmp(g.ops->data, "1234567", 7) == 0);
    CU_ASSERT(!queue_is_empty(own));
    CU_ASSERT_EQUAL(queue_sent(own, &g), 1);
    CU_ASSERT_EQUAL(queue_sent(own, &g), 0); /* another drainer, later */
    CU_ASSERT(queue_is_empty(own));
    CU_ASSERT(!board_is_pending(board, queue_number(own)));
    queue_batch_free(&g);
    end();
}

static void test_groups(void)
{
    struct queue_fill fill;
    struct queue_batch a, b, c, d;

    begin();
    for (unsigned i = 1; i <= 3; i++)
        CU_ASSERT_EQUAL(put(i), 0);
    queue_fill(own, &fill);
    CU_ASSERT_EQUAL(fill.ops, 3);
    CU_ASSERT_EQUAL(fill.waiting, 3);
    CU_ASSERT(fill.bytes > 0 && fill.pending == fill.bytes);
    queue_cut(own);
    queue_cut(own); /* nothing is open: no empty group, no number lost */
    queue_fill(own, &fill);
    CU_ASSERT_EQUAL(fill.ops, 0);
    CU_ASSERT_EQUAL(fill.waiting, 3);
    put(4);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &a), 1);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, &a.next, &b), 1); /* closes it */
    put(5);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, &b.next, &c), 1);
    CU_ASSERT_EQUAL(queue_batch(own, &c.next, &d), 0);
    CU_ASSERT(a.n == 3 && b.n == 1 && a.seq == 1 && b.seq == 2);
    CU_ASSERT(is_op(b.ops, 4));
    CU_ASSERT_EQUAL(queue_waiting(own), 5);
    queue_batch_free(&a);
    queue_batch_free(&b);
    queue_batch_free(&c);
    CU_ASSERT_EQUAL(send_group(own, 1, 1), 3);
    CU_ASSERT_EQUAL(queue_waiting(own), 2);
    CU_ASSERT_EQUAL(send_group(own, 2, 4), 1);
    CU_ASSERT_EQUAL(send_group(own, 3, 5), 1);
    CU_ASSERT_EQUAL(send_group(own, 4, 6), -1);
    end();
}

/* Who reads a group and is stopped may find the file emptied and used anew when it goes on. */
static void test_stopped_reader(void)
{
    struct queue_batch g;
    struct queue_place next;
    struct queue *other;

    begin();
    for (unsigned i = 1; i <= 50; i++)
        put(i);
    CU_ASSERT_EQUAL_FATAL(queue_open(board, queue_number(own), &other), 0);
    CU_ASSERT_EQUAL_FATAL(queue_batch(other, NULL, &g), 1);
    CU_ASSERT_EQUAL(send_group(own, 1, 1), 50);
    queue_tidy(own, true);
    for (unsigned i = 101; i <= 150; i++)
        put(i);
    CU_ASSERT_EQUAL(g.n, 50);
    bool same = true;
    for (size_t i = 0; i < g.n; i++)
        same = same && is_op(&g.ops[i], 1 + (unsigned)i);
    CU_ASSERT(same);
    memset((void *)(uintptr_t)g.ops[7].data, 'x', 4); /* as if it gave a pack its size */
    CU_ASSERT_EQUAL(queue_sent(other, &g), 0);
    next = g.next;
    queue_batch_free(&g);
    CU_ASSERT_EQUAL_FATAL(queue_batch(other, &next, &g), 1); /* the first, not what is there now */
    CU_ASSERT(g.seq == 2 && g.n == 50 && is_op(g.ops, 101));
    queue_batch_free(&g);
    queue_forget(other);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT_EQUAL(memcmp(g.ops[7].data, "f108", 4), 0);
    queue_batch_free(&g);
    CU_ASSERT_EQUAL(send_group(own, 2, 101), 50);
    end();
}

/* --- folds ------------------------------------------------------------------------------------ */

static void test_fold(void)
{
    struct queue_ref a, b, nowhere = {0};
    struct queue_batch g;

    begin();
    put_to(own, 1, &a);
    put_to(own, 2, &b);
    CU_ASSERT_EQUAL(fold(&a, "aaaa"), 1);
    CU_ASSERT_EQUAL(fold(&a, "bbbb"), 1);
    CU_ASSERT_EQUAL(fold(&b, ""), 1);     /* cancelled */
    CU_ASSERT_EQUAL(fold(&b, "cccc"), 0); /* it is none any more */
    CU_ASSERT_EQUAL(fold(&nowhere, "d"), 0);
    put(3);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT_EQUAL(fold(&a, "dddd"), 0); /* closed */
    CU_ASSERT_EQUAL(g.n, 2);
    CU_ASSERT(is_op(&g.ops[0], 1) && memcmp(g.ops[0].data, "bbbb", 4) == 0);
    CU_ASSERT(is_op(&g.ops[1], 3));
    CU_ASSERT_EQUAL(queue_sent(own, &g), 3);
    queue_batch_free(&g);
    CU_ASSERT(queue_is_empty(own));
    queue_tidy(own, true);
    put(1); /* lies where the first one did */
    CU_ASSERT_EQUAL(fold(&a, "eeee"), 0);
    CU_ASSERT_EQUAL(send_group(own, 2, 1), 1);
    end();
}

/* What the undo cannot hold is not folded into. */
static void test_fold_long(void)
{
    char path[PATH_LEN_MAX + 1];
    struct queue_ref ref;
    struct op op = {.kind = OP_MKDIR, .path = path, .data = "1234", .data_len = 4};

    begin();
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    CU_ASSERT_EQUAL(queue_put(own, &op, NULL, &ref), 0);
    CU_ASSERT_EQUAL(fold(&ref, "aaaa"), 0);
    end();
}

/* --- packs ------------------------------------------------------------------------------------ */

static uint32_t packed; /* bytes */
static int pack_code;
static bool pack_dies;
static uint64_t packed_in;

static int pack(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
    if (pack_dies)
        raise(SIGKILL);
    if (pack_code < 0)
        return pack_code;
    packed_in = id;
    *off = packed;
    packed += len;
    return 0;
}

static int put_content(uint64_t fresh, bool *used)
{
    struct op_content c = {.bytes = "content", .len = 7};
    struct op op = {.kind = OP_WRITE, .base = 9, .content = &c};
    struct queue_packer pk = {.pack = pack, .fresh = fresh};
    struct queue_ref ref;
    int rc = queue_put(own, &op, &pk, &ref);
    *used = pk.used;
    return rc;
}

static void test_packs(void)
{
    struct queue_batch g;
    struct record r;
    bool used;

    begin();
    CU_ASSERT_EQUAL(put_content(0, &used), -EAGAIN); /* it needs a number */
    CU_ASSERT(queue_is_empty(own));
    put(1);
    CU_ASSERT(put_content(50, &used) == 0 && used && packed_in == 50);
    CU_ASSERT(put_content(51, &used) == 0 && !used && packed_in == 50);
    pack_code = -ENOSPC;
    CU_ASSERT(put_content(51, &used) == -ENOSPC && !used);
    pack_code = 0;
    queue_cut(own);
    CU_ASSERT(put_content(51, &used) == 0 && used && packed_in == 51);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT(g.n == 3 && g.pack == 50);
    for (size_t i = 1; i < 3; i++) {
        CU_ASSERT(g.ops[i].pack == 50 && g.ops[i].content == NULL && g.ops[i].data_len == 28);
        CU_ASSERT_EQUAL(record_decode((const uint8_t *)g.ops[i].data + 4, RECORD_BYTES, &r), 0);
        CU_ASSERT(r.id == 50 && r.off == (i - 1) * 7 && r.len == 7);
    }
    queue_sent(own, &g);
    queue_batch_free(&g);
    CU_ASSERT_EQUAL_FATAL(queue_batch(own, NULL, &g), 1);
    CU_ASSERT(g.n == 1 && g.pack == 51);
    queue_batch_free(&g);
    end();
}

/* Killed when the pack is there, or refused one, by the end of the process. */
static void begin_pack(bool dies)
{
    bool used;
    pid_t pid = fork();
    if (pid == 0) {
        if (queue_claim(board, &own) != 0 || queue_orphan(own) != 0)
            _exit(1);
        pack_dies = dies;
        pack_code = -EIO;
        put_content(50, &used);
        _exit(!used && queue_waiting(own) == 0 ? 0 : 2);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(dies ? WIFSIGNALED(status) : status == 0);
}

static void test_orphans(void)
{
    struct queue *q;
    bool used;
    int status;

    begin();
    for (int dies = 0; dies < 2; dies++) {
        queue_close(own);
        begin_pack(dies);
        CU_ASSERT(board_is_pending(board, 0)); /* so that others come */
        CU_ASSERT_EQUAL_FATAL(queue_open(board, 0, &q), 0);
        CU_ASSERT_EQUAL(queue_orphan(q), 50);
        queue_orphan_gone(q, 49);
        CU_ASSERT_EQUAL(queue_orphan(q), 50);
        CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
        CU_ASSERT_EQUAL(queue_number(own), 0);
        CU_ASSERT_EQUAL(queue_orphan(own), 50);
        queue_orphan_gone(q, 50);
        CU_ASSERT_EQUAL(queue_orphan(own), 0);
        queue_forget(q);
    }
    /* of an owner that lives it is no orphan: it tries again */
    pack_code = -EIO;
    CU_ASSERT(put_content(51, &used) == -EIO && !used);
    pack_code = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(queue_open(board, 0, &q) != 0 || queue_orphan(q) != 0);
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT(put_content(51, &used) == 0 && used);
    queue_close(own);
    CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
    CU_ASSERT_EQUAL(queue_orphan(own), 0); /* a group has it */
    end();
}

/* --- rewind and tidy -------------------------------------------------------------------------- */

static void test_rewind(void)
{
    begin();
    for (unsigned i = 1; i <= 3; i++) {
        put(i);
        queue_cut(own);
    }
    CU_ASSERT_EQUAL(queue_rewind(own, 0), -ENOENT); /* nothing was sent: nothing to go back to */
    for (unsigned i = 1; i <= 3; i++)
        CU_ASSERT_EQUAL(send_group(own, i, i), 1);
    CU_ASSERT_EQUAL(queue_rewind(own, 3), -ENOENT);
    CU_ASSERT_EQUAL(queue_rewind(own, 77), -ENOENT);
    CU_ASSERT_EQUAL(queue_rewind(own, 1), 0);
    CU_ASSERT_EQUAL(queue_waiting(own), 2);
    CU_ASSERT(board_is_pending(board, queue_number(own)));
    put(4);
    CU_ASSERT_EQUAL(send_group(own, 2, 2), 1);
    CU_ASSERT_EQUAL(queue_rewind(own, 0), 0);
    for (unsigned i = 1; i <= 4; i++)
        CU_ASSERT_EQUAL(send_group(own, i, i), 1);
    queue_tidy(own, false); /* young */
    CU_ASSERT_EQUAL(queue_rewind(own, 3), 0);
    queue_tidy(own, true); /* something is pending */
    CU_ASSERT_EQUAL(send_group(own, 4, 4), 1);
    queue_tidy(own, true);
    CU_ASSERT_EQUAL(queue_rewind(own, 3), -ENOENT);
    put(5);
    CU_ASSERT_EQUAL(send_group(own, 5, 5), 1); /* numbers go on */
    end();
}

static off_t memory_of(const struct queue *q)
{
    char path[300];
    struct stat sb;
    snprintf(path, sizeof path, "%s/%u", board_dir(board), queue_number(q));
    return stat(path, &sb) == 0 ? (off_t)sb.st_blocks * 512 : -1;
}

static uint8_t big[60000];

static int put_big(struct queue_ref *ref)
{
    struct op op = {.kind = OP_SETXATTR, .data = big, .data_len = sizeof big};
    return queue_put(own, &op, NULL, ref);
}

static void test_full(void)
{
    struct queue_ref ref;
    unsigned n = 0;
    int rc;

    begin();
    while ((rc = put_big(&ref)) == 0)
        if (++n % 100 == 0)
            queue_cut(own);
    CU_ASSERT_EQUAL(rc, -ENOSPC);
    CU_ASSERT(n > QUEUE_BYTES / sizeof big * 9 / 10);
    CU_ASSERT_EQUAL(put_big(&ref), -ENOSPC);
    CU_ASSERT_EQUAL(queue_waiting(own), n);
    CU_ASSERT_EQUAL(drain_all(own), n);
    CU_ASSERT_EQUAL(put_big(&ref), -ENOSPC); /* not before it is emptied */
    CU_ASSERT(memory_of(own) > (off_t)QUEUE_BYTES / 2);
    queue_tidy(own, false); /* young, but there is too much of it */
    queue_tidy(own, true);
    CU_ASSERT(memory_of(own) <= 5 << 20); /* what stays ready, and no more */
    CU_ASSERT_EQUAL(put_big(&ref), 0);
    CU_ASSERT_EQUAL(drain_all(own), 1);
    end();
}

/* A store to memory that the file system does not have would kill the process. */
static void test_full_file_system(void)
{
    struct queue_ref ref;
    struct board *b;
    struct queue *q;
    char dir[300], err[300];
    unsigned n = 0;
    int rc;

    begin();
    snprintf(dir, sizeof dir, "%s/small", top);
    mkdir(dir, 0700);
    if (mount("none", dir, "tmpfs", 0, "size=2m") != 0) {
        suite_skip("no tmpfs of its own, %s", strerror(errno));
        end();
        return;
    }
    queue_close(own);
    board_close(board);
    CU_ASSERT_EQUAL_FATAL(board_open(dir, &board, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
    while ((rc = put_big(&ref)) == 0)
        n++;
    CU_ASSERT_EQUAL(rc, -ENOSPC);
    CU_ASSERT(n > 10);
    pid_t pid = fork(); /* another process wants a queue */
    if (pid == 0) {
        alarm(20);
        _exit(queue_claim(board, &q) == -ENOSPC ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(drain_all(own), n);
    queue_tidy(own, true);
    CU_ASSERT_EQUAL(put_big(&ref), 0);
    char path[320];
    snprintf(path, sizeof path, "%s/fill", dir);
    FILE *f = fopen(path, "w");
    for (int i = 0; f != NULL && i < 64; i++)
        fwrite(big, 1, sizeof big, f);
    if (f != NULL)
        fclose(f);
    snprintf(path, sizeof path, "%s/second", dir);
    mkdir(path, 0700);
    CU_ASSERT_EQUAL(board_open(path, &b, err, sizeof err), -ENOSPC);
    queue_close(own);
    board_close(board);
    umount(dir);
    CU_ASSERT_EQUAL_FATAL(board_open(top, &board, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
    end();
}

/* --- claims ----------------------------------------------------------------------------------- */

/* A child that claims one and tells its number, then lives until it is killed. */
static pid_t claimant(int *number)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct queue *q;
        int rc = queue_claim(board, &q);
        int n = rc == 0 ? (int)queue_number(q) : rc;
        if (rc == 0)
            put_to(q, 1000 + (unsigned)n, NULL);
        if (write(ends[1], &n, sizeof n) != sizeof n)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (read(ends[0], number, sizeof *number) != sizeof *number)
        *number = -1000;
    close(ends[0]);
    return pid;
}

static void test_claims(void)
{
    pid_t pid[BOARD_QUEUES];
    int number, last = BOARD_QUEUES - 1;
    struct queue *q;

    begin();
    CU_ASSERT_EQUAL(queue_number(own), 0);
    CU_ASSERT_EQUAL(queue_open(board, 7, &q), -ENOENT);
    for (int i = 1; i < BOARD_QUEUES; i++) {
        pid[i] = claimant(&number);
        CU_ASSERT_EQUAL(number, i);
    }
    pid[0] = claimant(&number);
    CU_ASSERT_EQUAL(number, -EAGAIN);
    end_child(pid[0]);
    CU_ASSERT(board_others_pending(board, 0));
    for (int i = 1; i < BOARD_QUEUES; i++)
        CU_ASSERT(board_is_pending(board, (uint32_t)i));
    end_child(pid[last]);
    pid[last] = claimant(&number); /* a dead owner's; what was pending in it stays */
    CU_ASSERT_EQUAL(number, last);
    CU_ASSERT_EQUAL_FATAL(queue_open(board, (uint32_t)last, &q), 0);
    CU_ASSERT_EQUAL(queue_waiting(q), 2);
    CU_ASSERT_EQUAL(drain_all(q), 2);
    queue_forget(q);
    for (int i = 1; i < BOARD_QUEUES; i++)
        end_child(pid[i]);
    end();
}

/* One that is closed is free, with what is pending; one that a child forgets is not. */
static void test_free(void)
{
    struct queue *q;
    int status;

    begin();
    put(1);
    pid_t pid = fork();
    if (pid == 0) {
        queue_forget(own);
        int rc = queue_claim(board, &q);
        _exit(rc == 0 && queue_number(q) == 1 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    queue_close(own);
    pid = fork();
    if (pid == 0) {
        int rc = queue_claim(board, &q);
        _exit(rc == 0 && queue_number(q) == 0 && queue_waiting(q) == 1 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(queue_claim(board, &own), 0);
    end();
}

/* --- what drainers tell ----------------------------------------------------------------------- */

/* What made an inode is not the rename of it that is waited for. */
static void test_expected(void)
{
    const struct op make = {.kind = OP_MAKE, .ino = 7}, move = {.kind = OP_RENAME, .ino = 7};
    const struct op other = {.kind = OP_RENAME, .ino = 8}, remove = {.kind = OP_UNLINK, .ino = 7};
    begin();
    uint64_t expected = queue_expect(own, &move);
    CU_ASSERT(!queue_refuse(own, &make));
    CU_ASSERT(!queue_refuse(own, &other));
    CU_ASSERT(!queue_refuse(own, &remove));
    CU_ASSERT(queue_acknowledge(own, expected));
    CU_ASSERT(!queue_refuse(own, &move));
    expected = queue_expect(own, &move);
    CU_ASSERT(queue_refuse(own, &move));
    CU_ASSERT(!queue_refuse(own, &move));
    CU_ASSERT(!queue_acknowledge(own, expected));
    queue_expect(own, &make);
    queue_expect(own, NULL);
    CU_ASSERT(!queue_refuse(own, &make));
    CU_ASSERT(!queue_refuse(own, &(struct op){.kind = OP_WRITE}));
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"ops", test_ops},
        {"groups", test_groups},
        {"a stopped reader", test_stopped_reader},
        {"fold", test_fold},
        {"fold, too long", test_fold_long},
        {"packs", test_packs},
        {"packs that were begun", test_orphans},
        {"rewind and tidy", test_rewind},
        {"full", test_full},
        {"full file system", test_full_file_system},
        {"claims", test_claims},
        {"free", test_free},
        {"expected", test_expected},
        CU_TEST_INFO_NULL,
    };
    return suite_run("queue", tests);
}
