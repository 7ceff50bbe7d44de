/*
 * Slices that many files share, in both stores at once: records move to a new slice (OP_REPACK),
 * references are put right (OP_RECOUNT).  Both stores must answer alike and hold the same keys.
 */
#include "core/base/vec.h"
#include "core/format/record.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES 2
#define PACK   UINT64_C(100)
#define FRESH  UINT64_C(200)

static struct server *server;
static struct engine *store[STORES];
static struct op_result last;
static int volumes;

static void fatal(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(99);
}

static void begin(void)
{
    char url[STORES][256], err[512];
    struct setting v = volume_setting("/var/none/", 0);
    struct buf json = {0};

    if (server == NULL)
        server = server_start_with("--databases", "64", NULL);
    snprintf(url[0], sizeof(url[0]), "%s", server_url(server, ++volumes));
    snprintf(url[1], sizeof(url[1]), "lmdb://%s/meta%d", server_dir(server), volumes);
    setting_print(&v, &json);
    for (int i = 0; i < STORES; i++) {
        if (engine_open(url[i], &store[i], err, sizeof(err)) < 0)
            fatal(err);
        if (store[i]->ops->format(store[i], &json, false) < 0)
            fatal(store[i]->ops->error(store[i]));
    }
    buf_free(&json);
}

static void end(void)
{
    op_result_free(&last);
    for (int i = 0; i < STORES; i++)
        store[i]->ops->close(store[i]);
}

/* Both stores run it; their answers are equal. */
static int run(struct op op)
{
    static const struct op_env env = {.flags = ENV_DIR_STATS, .mount = "/jfs"};
    struct op_result res[STORES];

    if (op.base == 0)
        op.base = INO_ROOT;
    op.now = (struct moment){2000000000, 0};
    for (int i = 0; i < STORES; i++) {
        if (store[i]->ops->call(store[i], &env, &op, 1, &res[i]) < 0)
            fatal(store[i]->ops->error(store[i]));
    }
    CU_ASSERT_EQUAL(res[0].code, res[1].code);
    CU_ASSERT_EQUAL(res[0].ino, res[1].ino);
    CU_ASSERT_EQUAL_FATAL(res[0].extra.len, res[1].extra.len);
    if (res[0].extra.len > 0)
        CU_ASSERT(memcmp(res[0].extra.data, res[1].extra.data, res[0].extra.len) == 0);
    op_result_free(&last);
    last = res[0];
    op_result_free(&res[1]);
    return last.code;
}

static void make(uint64_t ino, struct record r)
{
    char name[32];
    uint8_t item[4 + RECORD_BYTES] = {0};

    snprintf(name, sizeof(name), "f%" PRIu64, ino);
    CU_ASSERT_EQUAL_FATAL(
        run((struct op){
            .kind = OP_MKNOD, .path = name, .ino = ino, .mode = TYPE_FILE << 12 | 0644}),
        0);
    record_encode(&r, item + 4);
    CU_ASSERT_EQUAL_FATAL(run((struct op){.kind = OP_WRITE,
                                          .base = ino,
                                          .mtime = {1, 0},
                                          .data = item,
                                          .data_len = sizeof(item)}),
                          0);
}

/* Field of sliceRef becomes n, from whatever it is now. */
static void set_refs(uint64_t id, uint32_t size, int64_t was, int64_t n)
{
    struct buf b = {0};

    buf_add_be64(&b, id);
    buf_add_be32(&b, size);
    buf_add_be64(&b, (uint64_t)was);
    buf_add_be64(&b, (uint64_t)n);
    CU_ASSERT_EQUAL(
        run((struct op){.kind = OP_RECOUNT, .data = b.data, .data_len = (uint32_t)b.len}), 0);
    buf_free(&b);
}

/* n files of 10 bytes each share a slice of 1000: inodes 10... */
static void make_pack(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        make(10 + i, (struct record){.id = PACK, .size = 1000, .off = i * 10, .len = 10});
    set_refs(PACK, 1000, 0, (int64_t)n - 1);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), n > 1 ? 1 : get_be32(last.extra.data));
}

static void add_move(struct buf *b, uint64_t ino, struct record was, struct record is)
{
    uint8_t raw[RECORD_BYTES];

    buf_add_be64(b, ino);
    buf_add_be32(b, 0);
    record_encode(&was, raw);
    buf_add(b, raw, sizeof(raw));
    record_encode(&is, raw);
    buf_add(b, raw, sizeof(raw));
}

/* The file number i of the pack moves to the place number at of a slice of 100 bytes. */
static void add_file(struct buf *b, unsigned i, unsigned at)
{
    add_move(b, 10 + i, (struct record){.id = PACK, .size = 1000, .off = i * 10, .len = 10},
             (struct record){.id = FRESH, .size = 100, .off = at * 10, .len = 10});
}

static int repack(struct buf *b)
{
    int rc = run((struct op){.kind = OP_REPACK,
                             .ino = FRESH,
                             .len = 100,
                             .data = b->data,
                             .data_len = (uint32_t)b->len});
    buf_free(b);
    return rc;
}

struct line {
    char *text;
};

static int keep_line(void *ctx, const struct engine_item *it)
{
    struct buf b = {0};
    struct line *l = vec_add(ctx);

    buf_add(&b, it->key, it->key_len);
    buf_printf(&b, " %c ", it->type);
    for (size_t i = 0; i < it->field_len; i++)
        buf_printf(&b, "%02x", ((const uint8_t *)it->field)[i]);
    buf_printf(&b, " ");
    for (size_t i = 0; i < it->value_len; i++)
        buf_printf(&b, "%02x", ((const uint8_t *)it->value)[i]);
    l->text = (char *)b.data;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/* All keys of one store; free(). */
static char *dump(struct engine *e)
{
    struct vec lines = VEC_OF(struct line);
    struct buf all = {0};

    CU_ASSERT_EQUAL(e->ops->scan(e, "*", keep_line, &lines), 0);
    vec_sort(&lines, by_text);
    for (size_t i = 0; i < lines.len; i++) {
        struct line *l = vec_at(&lines, i);
        buf_printf(&all, "%s\n", l->text);
        free(l->text);
    }
    vec_free(&lines);
    return (char *)all.data;
}

static void stores_are_equal(void)
{
    char *a = dump(store[0]), *b = dump(store[1]);

    /* roots carry the second in which they were made */
    for (char *p; (p = strstr(a, "\ni1 ")) != NULL || (p = strstr(b, "\ni1 ")) != NULL;)
        memset(p + 1, '-', strcspn(p + 1, "\n"));
    CU_ASSERT_STRING_EQUAL(a, b);
    free(a);
    free(b);
}

struct seen {
    const char *field;
    char value[32];
};

static int look(void *ctx, const struct engine_item *it)
{
    struct seen *s = ctx;

    if (it->field_len == strlen(s->field) && memcmp(it->field, s->field, it->field_len) == 0)
        snprintf(s->value, sizeof(s->value), "%.*s", (int)it->value_len, (const char *)it->value);
    return 0;
}

/* Text of a field of sliceRef, "" when there is none. */
static const char *refs(const char *field)
{
    static struct seen s;

    s = (struct seen){.field = field};
    CU_ASSERT_EQUAL(store[0]->ops->scan(store[0], "sliceRef", look, &s), 0);
    return s.value;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_all_move(void)
{
    struct buf b = {0};

    begin();
    make_pack(3);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "2");
    for (unsigned i = 0; i < 3; i++)
        add_file(&b, i, 2 - i);
    CU_ASSERT_EQUAL(repack(&b), 0);
    CU_ASSERT_EQUAL_FATAL(last.extra.len, 4 + 12);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 3);
    CU_ASSERT_EQUAL(get_be64(last.extra.data + 4), PACK);
    CU_ASSERT_EQUAL(get_be32(last.extra.data + 12), 1000);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "-1");
    CU_ASSERT_STRING_EQUAL(refs("k200_100"), "2");
    stores_are_equal();
    end();
}

static void test_one_needs_no_field(void)
{
    struct buf b = {0};

    begin();
    make_pack(2);
    add_file(&b, 1, 0);
    CU_ASSERT_EQUAL(repack(&b), 0);
    CU_ASSERT_EQUAL(last.extra.len, 4);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "0");
    CU_ASSERT_STRING_EQUAL(refs("k200_100"), "");
    stores_are_equal();
    end();
}

/* What changed since it was looked at stays: a file that is gone, one whose record is another. */
static void test_others_are_left(void)
{
    struct buf b = {0};
    const struct record was = {.id = PACK, .size = 1000, .off = 11, .len = 9};
    const struct record is = {.id = FRESH, .size = 100, .off = 1, .len = 9};

    begin();
    make_pack(3);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "f10"}), 0);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "1");
    add_file(&b, 0, 0);
    add_move(&b, 11, was, is);
    add_file(&b, 2, 3);
    add_file(&b, 2, 3); /* its record is there once */
    CU_ASSERT_EQUAL(repack(&b), 0);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 1);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "0");
    CU_ASSERT_STRING_EQUAL(refs("k200_100"), "");

    add_file(&b, 2, 3); /* again: nothing to do */
    CU_ASSERT_EQUAL(repack(&b), 0);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 0);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "0");
    stores_are_equal();
    end();
}

/* Order in the list is kept, and of two equal records each is replaced. */
static void test_place_is_kept(void)
{
    struct buf b = {0};
    const struct record pack = {.id = PACK, .size = 1000, .off = 0, .len = 10};
    const struct record over = {.pos = 5, .id = 7, .size = 3, .len = 3};

    begin();
    make_pack(1);
    uint8_t items[3 * 28] = {0};
    record_encode(&over, items + 4);
    record_encode(&pack, items + 32);
    record_encode(&over, items + 60);
    /* the first names a slice that is new, or the op would be taken for a repetition */
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_WRITE,
                                    .base = 10,
                                    .mtime = {3, 0},
                                    .data = items,
                                    .data_len = sizeof(items)}),
                    0);
    set_refs(PACK, 1000, 0, 1);
    add_file(&b, 0, 0);
    add_file(&b, 0, 1);
    CU_ASSERT_EQUAL(repack(&b), 0);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 2);
    CU_ASSERT_STRING_EQUAL(refs("k100_1000"), "-1");
    CU_ASSERT_STRING_EQUAL(refs("k200_100"), "1");
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_CHUNKS, .base = 10, .len = 1}), 0);
    CU_ASSERT_EQUAL_FATAL(last.extra.len, 8 + 4 * RECORD_BYTES);
    const uint64_t ids[] = {FRESH, 7, FRESH, 7};
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(get_be64(last.extra.data + 8 + i * RECORD_BYTES + 4), ids[i]);
    }
    CU_ASSERT_EQUAL(get_be32(last.extra.data + 8 + 16), 0);
    CU_ASSERT_EQUAL(get_be32(last.extra.data + 8 + 2 * RECORD_BYTES + 16), 10);
    stores_are_equal();
    end();
}

static void refused(struct record was, struct record is, uint64_t id, uint32_t size, int err)
{
    struct buf b = {0};
    char *before = dump(store[0]), *after;

    add_move(&b, 10, was, is);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_REPACK,
                                    .ino = id,
                                    .len = size,
                                    .data = b.data,
                                    .data_len = (uint32_t)b.len}),
                    -err);
    buf_free(&b);
    after = dump(store[0]);
    CU_ASSERT_STRING_EQUAL(before, after);
    free(before);
    free(after);
}

static void test_refused(void)
{
    const struct record was = {.id = PACK, .size = 1000, .off = 0, .len = 10};
    const struct record is = {.id = FRESH, .size = 100, .off = 0, .len = 10};
    struct record r;

    begin();
    make_pack(1);
    refused(was, is, FRESH, 101, EINVAL);
    refused(was, is, FRESH + 1, 100, EINVAL);
    refused(was, is, 0, 100, EINVAL);
    refused(was, was, PACK, 1000, EINVAL);
    r = is, r.len = 9;
    refused(was, r, FRESH, 100, EINVAL);
    r = is, r.pos = 1;
    refused(was, r, FRESH, 100, EINVAL);
    r = is, r.off = 91;
    refused(was, r, FRESH, 100, EINVAL);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_REPACK, .ino = FRESH, .len = 100}), -EINVAL);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_REPACK,
                                    .ino = FRESH,
                                    .len = 100,
                                    .data = "0123456789012345678901234567890123456789",
                                    .data_len = 40}),
                    -EINVAL);
    set_refs(FRESH, 100, 0, 3); /* somebody else's slice */
    refused(was, is, FRESH, 100, EEXIST);
    stores_are_equal();
    end();
}

static void test_recount(void)
{
    begin();
    set_refs(7, 70, 0, 5);
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 1);
    CU_ASSERT_STRING_EQUAL(refs("k7_70"), "5");
    set_refs(7, 70, 4, 1); /* it is not what was seen */
    CU_ASSERT_EQUAL(get_be32(last.extra.data), 0);
    CU_ASSERT_STRING_EQUAL(refs("k7_70"), "5");
    set_refs(7, 70, 5, -1);
    CU_ASSERT_STRING_EQUAL(refs("k7_70"), "-1");
    stores_are_equal();
    set_refs(7, 70, -1, 0);
    CU_ASSERT_STRING_EQUAL(refs("k7_70"), "");
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_RECOUNT, .data = "x", .data_len = 1}), -EINVAL);
    stores_are_equal();
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {{"all files of a pack move", test_all_move},
                           {"a slice with one record needs no field", test_one_needs_no_field},
                           {"what changed meanwhile is left", test_others_are_left},
                           {"records keep their place", test_place_is_kept},
                           {"what is refused changes nothing", test_refused},
                           {"fields of sliceRef are put right", test_recount},
                           CU_TEST_INFO_NULL};

    return suite_run("repack", tests);
}
