/*
 * test_meta_calls.c - core/meta on a real Redis: requests, keys that are damaged, slices that
 * nobody refers to any more.
 */
#include "tests/core/metas.h"

/* --- calls ------------------------------------------------------------------------------------ */

static void test_calls(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");
    struct op ops[40] = {{0}};
    struct op_result res[40];
    char names[40][16];

    CU_ASSERT_EQUAL(meta_call(m, ops, 0, res), 0);
    CU_ASSERT_EQUAL(lookup(m, ""), 0);
    CU_ASSERT_EQUAL(lookup(m, "absent"), -ENOENT);
    for (size_t n = 1; n <= 40; n += 13) {
        struct moment before = clock_now();

        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof(names[i]), "d%zu-%zu", n, i);
            ops[i] = op_on(OP_MKDIR, names[i]);
            CU_ASSERT_EQUAL(meta_new_inode(m, &ops[i].ino), 0);
        }
        ops[n - 1].path = names[0]; /* twice, unless it is the only one */
        CU_ASSERT_EQUAL_FATAL(meta_call(m, ops, n, res), 0);
        for (size_t i = 0; i < n; i++) {
            bool is_twin = n > 1 && i == n - 1;

            CU_ASSERT_EQUAL(res[i].code, is_twin ? -EEXIST : 0);
            if (!is_twin) {
                CU_ASSERT_EQUAL(res[i].ino, ops[i].ino);
                CU_ASSERT_EQUAL(res[i].parent, 1);
                CU_ASSERT_FATAL(res[i].has_attr);
                CU_ASSERT_EQUAL(res[i].attr.type, TYPE_DIRECTORY);
                CU_ASSERT(res[i].attr.mtime.sec >= before.sec); /* now was filled in */
                CU_ASSERT_EQUAL(ops[i].now.sec, res[i].attr.mtime.sec);
            }
            op_result_free(&res[i]);
        }
    }
    ops[0] = op_on(OP_MKDIR, "stamped");
    ops[0].now = (struct moment){1234567890, 5};
    CU_ASSERT_EQUAL(meta_new_inode(m, &ops[0].ino), 0);
    CU_ASSERT_EQUAL(meta_call(m, ops, 1, res), 0);
    CU_ASSERT_EQUAL(res[0].attr.mtime.sec, 1234567890);
    op_result_free(res);
    meta_close(m);
}

/* What a command says to the script comes back as that op's error, with the server's words. */
static void test_damaged_keys(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");

    CU_ASSERT_EQUAL(make_dir(m, "a"), 0);
    in_db(shared, db, "DEL %s", "d1");
    in_db(shared, db, "SET %s text", "d1");
    CU_ASSERT_EQUAL(lookup(m, "a"), -EIO);
    SAYS(m, "WRONGTYPE");
    SAYS(m, "lookup");
    meta_close(m);
}

/* --- slices to forget ------------------------------------------------------------------------- */

static void test_forget(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");

    for (uint64_t id = 1; id <= 1300; id++)
        ref(db, id, 100, id % 5 ? -1 : 2);
    CU_ASSERT_EQUAL(lookup(m, ""), 0);
    meta_forget_later(m, 1, 100);
    meta_forget_later(m, 2, 99); /* another size is another slice */
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 1300);
    CU_ASSERT_EQUAL(make_dir(m, "x"), 0); /* it rides along, its answer is not seen */
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 1299);
    CU_ASSERT_EQUAL(lookup(m, "x"), 0);
    for (uint64_t id = 1; id <= 1300; id++)
        meta_forget_later(m, id, 100); /* more than it keeps */
    meta_close(m);
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 260); /* those with references */
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"calls", test_calls},
        {"damaged keys", test_damaged_keys},
        {"forget", test_forget},
        CU_TEST_INFO_NULL,
    };
    return metas_main("meta, calls", tests);
}
