/*
 * test_queue.c - queues of pending changes: appended to, folded into, drained by several, emptied
 * and rewound; files and file systems that are full; owners killed at any instruction.
 *
 * STEP=n (29) kills at every n-th place only.
 */
#include "core/format/record.h"
#include "core/meta/queue.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[200];
static struct board *board;
static struct queue *own;

/* --- scaffolding ------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    return remove(path);
}

static void begin(void)
{
    char err[300];
    const char *tmp = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/queue-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
    CU_ASSERT_EQUAL_FATAL(board_open(top, &board, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(queue_claim(board, &own), 0);
}

static void end(void)
{
    queue_close(own);
    board_close(board);
    nftw(top, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

/* An op that says which one it is. */
static int put_to(struct queue *q, unsigned number, struct queue_ref *ref)
{
    char path[32];
    struct queue_ref r;
    snprintf(path, sizeof path, "f%u", number);
    struct op op = {
        .kind = OP_MKDIR, .base = 1, .ino = number, .path = path, .data = path, .data_len = 4};
    return queue_put(q, &op, NULL, ref != NULL ? ref : &r);
}

static int put(unsigned number)
{
    return put_to(own, number, NULL);
}

/* Is it as put() made it? */
static bool is_op(const struct op *op, unsigned number)
{
    char path[32];
    snprintf(path, sizeof path, "f%u", number);
    return op->kind == OP_MKDIR && op->ino == number && strcmp(op->path, path) == 0 &&
           strcmp(op->path2, "") == 0 && op->data_len == 4;
}

/* Sends the first group.  How many ops it had, -1: there was none. */
static int send_group(struct queue *q, uint64_t seq, unsigned first)
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

static uint32_t set_data(void *ctx, uint8_t *data, uint32_t len, uint32_t room,
                         const uint8_t *record, uint32_t record_len)
{
    const char *text = ctx;
    CU_ASSERT(room >= len);
    memcpy(data, text, 4);
    return *text != '\0' ? 4 : 0;
}

static int fold(struct queue_ref *ref, const char *text)
{
    return queue_fold(own, ref, NULL, NULL, set_data, (void *)(uintptr_t)text);
}

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
static uint64_t packed_in;

static int pack(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
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

static unsigned drain_all(struct queue *q)
{
    struct queue_batch g;
    unsigned n = 0;
    while (queue_batch(q, NULL, &g) == 1) {
        n += queue_sent(q, &g);
        queue_batch_free(&g);
    }
    return n;
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
    CU_ASSERT(memory_of(own) <= 2 << 20);
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
        printf("(no tmpfs of its own: %s) ", strerror(errno));
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

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
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

/* --- several at once -------------------------------------------------------------------------- */

#define AT_ONCE 30000

static struct shared {
    _Atomic unsigned puts, sent, next, wrong;
    _Atomic uint64_t seq;
    _Atomic unsigned folded, cut, tidied, drained;
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
    KILL_FOLD,
    KILL_CANCEL,
    KILL_CUT,
    KILL_SENT,
    KILL_TIDY,
    KILL_REWIND,
    KILLS
};

static void victim(int what)
{
    struct queue_ref ref;
    struct queue_batch g;

    put(1);
    put(2);
    queue_cut(own);
    put_to(own, 3, &ref);
    if (what == KILL_PUT_FIRST)
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
        shared->drained = 1;
        break;
    case KILL_TIDY:
        queue_tidy(own, true);
        break;
    case KILL_REWIND:
        queue_rewind(own, 1);
        break;
    }
    _exit(0);
}

/* Kills it after n instructions.  False: it came to its end. */
static bool killed_after(pid_t pid, int n)
{
    int status;

    waitpid(pid, &status, 0);
    for (int i = 0; i < n; i++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
            return false;
        waitpid(pid, &status, 0);
        if (WIFEXITED(status)) {
            CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
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
    unsigned next = 1, most = what == KILL_PUT || what == KILL_PUT_FIRST ? 5 : 4;
    bool begins = what != KILL_SENT && what != KILL_TIDY && what != KILL_REWIND, whole = true;
    uint64_t seq = 0;
    struct queue_batch g;
    struct queue *q;

    if (queue_claim(board, &q) != 0)
        return false;
    /* A successor goes on where the dead one was. */
    for (unsigned i = 10; i < 13; i++)
        whole = put_to(q, i, NULL) == 0 && whole;
    for (int i = 0; i < 10 && queue_batch(q, NULL, &g) == 1; i++) {
        if (seq == 0 && !begins) {
            seq = g.seq - 1;
            next = g.n > 0 ? (unsigned)g.ops->ino : 10;
        }
        whole = whole && g.seq == ++seq;
        for (size_t k = 0; k < g.n; k++) {
            bool is_folded = memcmp(g.ops[k].data, "FOLD", 4) == 0;
            if (next < 10 && g.ops[k].ino == 10) { /* behind what was acknowledged */
                whole = whole &&
                        (next >= most || next > shared->puts || (what == KILL_CANCEL && next == 3));
                next = 10;
            }
            whole = whole && is_op(&g.ops[k], next);
            if (next == 3 && shared->folded)
                whole = whole && is_folded && what == KILL_FOLD;
            next++;
        }
        whole = whole && queue_sent(q, &g) >= g.n;
        queue_batch_free(&g);
    }
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
    static const char *const name[KILLS] = {"put", "put the first", "fold", "cancel",
                                            "cut", "sent",          "tidy", "rewind"};
    int step = getenv("STEP") != NULL ? atoi(getenv("STEP")) : 29;

    for (int what = 0; what < KILLS; what++) {
        bool more = true;
        int n = 0, wrong = 0;
        for (; more && n < 20000; n += step) {
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
        CU_ASSERT(n > 50);
    }
}

int main(void)
{
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("queue", NULL, NULL);
    CU_add_test(s, "ops", test_ops);
    CU_add_test(s, "groups", test_groups);
    CU_add_test(s, "a stopped reader", test_stopped_reader);
    CU_add_test(s, "fold", test_fold);
    CU_add_test(s, "fold, too long", test_fold_long);
    CU_add_test(s, "packs", test_packs);
    CU_add_test(s, "rewind and tidy", test_rewind);
    CU_add_test(s, "full", test_full);
    CU_add_test(s, "full file system", test_full_file_system);
    CU_add_test(s, "claims", test_claims);
    CU_add_test(s, "free", test_free);
    CU_add_test(s, "two drainers", test_two_drainers);
    CU_add_test(s, "two drainers without the right", test_two_without_right);
    CU_add_test(s, "right to drain", test_right_to_drain);
    CU_add_test(s, "killed in a fold", test_killed_in_fold);
    CU_add_test(s, "killed at each instruction", test_killed);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    int failed = (int)CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
