/*
 * test_record.c - slice records and the view over them, against what a stock client wrote and
 * against a model byte for byte.
 */
#include "core/base/bytes.h"
#include "core/format/record.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text of hex digits and spaces to bytes. */
static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;

    for (unsigned byte; sscanf(hex, " %2x", &byte) == 1; n++) {
        out[n] = (uint8_t)byte;
        while (*hex == ' ')
            hex++;
        hex += 2;
    }
    return n;
}

/* --- records ---------------------------------------------------------------------------------- */

static void test_record_bytes(void)
{
    static const struct {
        const char *hex;
        struct record r;
    } rows[] = {
        {"00000000 0000000000001001 004c4b40 00000000 004c4b40", {0, 4097, 5000000, 0, 5000000}},
        {"00000000 0000000000002001 00989680 003ffed0 00003039",
         {0, 8193, 10000000, 4194000, 12345}},
        {"000003e8 0000000000000000 00000000 00000000 03fffc18", {1000, 0, 0, 0, 67107864}},
        {"000003e8 0000000000000000 00000000 00000000 004c4758", {1000, 0, 0, 0, 4999000}},
    };
    uint8_t raw[RECORD_BYTES], back[RECORD_BYTES];
    struct record r;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CU_ASSERT_EQUAL_FATAL(from_hex(rows[i].hex, raw), RECORD_BYTES);
        CU_ASSERT_EQUAL_FATAL(record_decode(raw, RECORD_BYTES, &r), 0);
        CU_ASSERT(r.pos == rows[i].r.pos && r.id == rows[i].r.id && r.size == rows[i].r.size);
        CU_ASSERT(r.off == rows[i].r.off && r.len == rows[i].r.len);
        record_encode(&r, back);
        CU_ASSERT(memcmp(raw, back, RECORD_BYTES) == 0);
    }
    /* a hole made by copy_file_range of a stock client: its off means nothing */
    from_hex("00000064 0000000000000000 00000000 03fffffa 00000001", raw);
    CU_ASSERT_EQUAL_FATAL(record_decode(raw, RECORD_BYTES, &r), 0);
    CU_ASSERT(r.pos == 100 && r.id == 0 && r.off == 0 && r.len == 1);
}

static void test_record_rules(void)
{
    static const struct {
        struct record r;
        int rc;
    } rows[] = {
        {{0, 1, CHUNK_BYTES, 0, CHUNK_BYTES}, 0},
        {{1, 1, CHUNK_BYTES, 0, CHUNK_BYTES}, -EIO}, /* over the chunk's end */
        {{UINT32_MAX, 1, 10, 0, 10}, -EIO},
        {{CHUNK_BYTES, 1, 10, 0, 0}, 0},
        {{0, 1, 10, 1, 10}, -EIO}, /* over the slice's end */
        {{0, 1, 10, UINT32_MAX, 2}, -EIO},
        {{0, 1, 0, 0, 0}, -EIO},   /* a slice of nothing */
        {{0, 0, 10, 0, 10}, -EIO}, /* a hole with a size */
        {{0, 0, 0, 0, CHUNK_BYTES}, 0},
        {{0, 0, 0, 0, CHUNK_BYTES + 1}, -EIO},
        {{0, 1, 10, 10, 0}, 0},
    };
    uint8_t raw[RECORD_BYTES + 1] = {0};
    struct record r;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        record_encode(&rows[i].r, raw);
        CU_ASSERT_EQUAL(record_decode(raw, RECORD_BYTES, &r), rows[i].rc);
    }
    record_encode(&rows[0].r, raw);
    CU_ASSERT_EQUAL(record_decode(raw, RECORD_BYTES - 1, &r), -EIO);
    CU_ASSERT_EQUAL(record_decode(raw, RECORD_BYTES + 1, &r), -EIO);
}

/* --- the view --------------------------------------------------------------------------------- */

static int build(const struct record *in, size_t n, struct record **out, size_t *count)
{
    uint8_t *raw = malloc(n * RECORD_BYTES + 1);
    int rc;

    CU_ASSERT_PTR_NOT_NULL_FATAL(raw);
    for (size_t i = 0; i < n; i++)
        record_encode(&in[i], raw + i * RECORD_BYTES);
    rc = view_build(raw, n * RECORD_BYTES, out, count);
    free(raw);
    return rc;
}

static void expect(const struct record *in, size_t n, const struct record *want, size_t wants)
{
    struct record *view;
    size_t count;

    CU_ASSERT_EQUAL_FATAL(build(in, n, &view, &count), 0);
    CU_ASSERT_EQUAL_FATAL(count, wants);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(view[i].pos == want[i].pos && view[i].len == want[i].len);
        CU_ASSERT(view[i].id == want[i].id && view[i].size == want[i].size);
        CU_ASSERT_EQUAL(view[i].off, want[i].off);
    }
    free(view);
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_view_examples(void)
{
    /* the example of the format's section 7 */
    static const struct record three[] = {
        {0, 1, 100, 0, 100}, {50, 2, 100, 0, 100}, {20, 3, 40, 0, 40}};
    static const struct record three_view[] = {
        {0, 1, 100, 0, 20}, {20, 3, 40, 0, 40}, {60, 2, 100, 10, 90}};
    /* written 5000000, truncated to 1000, 10 bytes rewritten, grown: a stock mount's list */
    static const struct record cut[] = {{0, 1, 5000000, 0, 5000000},
                                        {1000, 0, 0, 0, 4999000},
                                        {0, 3, 10, 0, 10},
                                        {1000, 0, 0, 0, 67107864}};
    static const struct record cut_view[] = {
        {0, 3, 10, 0, 10}, {10, 1, 5000000, 10, 990}, {1000, 0, 0, 0, 67107864}};
    static const struct record gap[] = {{100, 1, 10, 0, 10}, {200, 2, 10, 0, 10}};
    static const struct record gap_view[] = {
        {0, 0, 0, 0, 100}, {100, 1, 10, 0, 10}, {110, 0, 0, 0, 90}, {200, 2, 10, 0, 10}};
    /* in the middle of one: both halves stay */
    static const struct record split[] = {{0, 1, 100, 5, 90}, {30, 2, 10, 0, 10}};
    static const struct record split_view[] = {
        {0, 1, 100, 5, 30}, {30, 2, 10, 0, 10}, {40, 1, 100, 45, 50}};
    static const struct record same[] = {{5, 1, 10, 0, 10}, {5, 1, 10, 0, 10}, {5, 2, 10, 0, 10}};
    static const struct record same_view[] = {{0, 0, 0, 0, 5}, {5, 2, 10, 0, 10}};
    static const struct record touch[] = {
        {0, 1, 10, 0, 10}, {10, 2, 10, 0, 10}, {0, 3, 10, 0, 10}, {15, 4, 10, 0, 0}};
    static const struct record touch_view[] = {{0, 3, 10, 0, 10}, {10, 2, 10, 0, 10}};
    static const struct record all[] = {
        {0, 1, 10, 0, 10}, {20, 2, 10, 0, 10}, {40, 3, 10, 0, 10}, {5, 4, 100, 0, 100}};
    static const struct record all_view[] = {{0, 1, 10, 0, 5}, {5, 4, 100, 0, 100}};

    expect(three, N(three), three_view, N(three_view));
    expect(cut, N(cut), cut_view, N(cut_view));
    expect(gap, N(gap), gap_view, N(gap_view));
    expect(split, N(split), split_view, N(split_view));
    expect(same, N(same), same_view, N(same_view));
    expect(touch, N(touch), touch_view, N(touch_view));
    expect(all, N(all), all_view, N(all_view));
    expect(NULL, 0, NULL, 0);
}

static void test_view_bad(void)
{
    static const struct record bad[] = {{0, 1, 10, 0, 10}, {0, 1, 10, 5, 10}};
    static const uint8_t zeros[RECORD_BYTES + 1];
    struct record *view = (struct record *)bad;
    size_t count = 7;

    CU_ASSERT_EQUAL(build(bad, 2, &view, &count), -EIO);
    CU_ASSERT_PTR_NULL(view);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_EQUAL(view_build(zeros, RECORD_BYTES + 1, &view, &count), -EIO);
    CU_ASSERT_EQUAL(view_build(zeros, RECORD_BYTES, &view, &count), 0); /* len 0: ignored */
    CU_ASSERT_EQUAL(count, 0);
    free(view);
}

/* What a byte of the chunk is: which slice and where in it. */
struct byte {
    uint64_t id;
    uint32_t off;
};

#define SMALL 300

/* Records at random against a byte for byte model; pieces must be sorted and without a gap. */
static void test_view_model(void)
{
    static struct byte model[SMALL];
    struct record in[40], *view;
    size_t count;

    srand(7);
    for (int round = 0; round < 3000; round++) {
        size_t n = (size_t)rand() % N(in) + 1;

        memset(model, 0, sizeof model);
        for (size_t i = 0; i < n; i++) {
            uint32_t pos = (uint32_t)rand() % (SMALL - 1);
            uint32_t len = (uint32_t)rand() % (SMALL - pos) + 1, off = (uint32_t)rand() % 1000;

            in[i] = (struct record){pos, i + 1, off + len + (uint32_t)rand() % 9, off, len};
            if (rand() % 4 == 0)
                in[i] = (struct record){pos, 0, 0, 0, len};
            for (uint32_t b = 0; b < len; b++)
                model[pos + b] =
                    in[i].id != 0 ? (struct byte){in[i].id, off + b} : (struct byte){0, 0};
        }
        CU_ASSERT_EQUAL_FATAL(build(in, n, &view, &count), 0);
        uint32_t at = 0;
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL_FATAL(view[i].pos, at);
            CU_ASSERT_FATAL(view[i].len > 0 && at + view[i].len <= SMALL);
            for (uint32_t b = 0; b < view[i].len; b++, at++) {
                CU_ASSERT_EQUAL_FATAL(view[i].id, model[at].id);
                CU_ASSERT_FATAL(view[i].id == 0 || view[i].off + b == model[at].off);
            }
        }
        for (; at < SMALL; at++)
            CU_ASSERT_EQUAL_FATAL(model[at].id, 0);
        free(view);
    }
}

/* As many pieces as a list can make: the array's bound. */
static void test_view_most_pieces(void)
{
    static struct record in[2000];
    struct record *view;
    size_t count;

    for (uint32_t i = 0; i < N(in); i++) /* each behind a hole */
        in[i] = (struct record){i * 20 + 10, i + 1, 10, 0, 10};
    CU_ASSERT_EQUAL_FATAL(build(in, N(in), &view, &count), 0);
    CU_ASSERT_EQUAL(count, 2 * N(in));
    free(view);
    in[0] = (struct record){0, 1, CHUNK_BYTES, 0, CHUNK_BYTES};
    for (uint32_t i = 1; i < N(in); i++) /* each splits the first */
        in[i] = (struct record){i * 1000, i + 1, 10, 0, 10};
    CU_ASSERT_EQUAL_FATAL(build(in, N(in), &view, &count), 0);
    CU_ASSERT_EQUAL(count, 2 * N(in) - 1);
    free(view);
}

/* Malformed items are passed over, a rest that is too short is none. */
static void test_items(void)
{
    uint8_t data[3 * RECORD_ITEM_BYTES + 5];
    struct record one = {.pos = 10, .id = 7, .size = 100, .off = 0, .len = 90};
    struct record_item i;
    size_t pos = 0;

    memset(data, 0xff, sizeof data);
    put_be32(data, 2);
    record_encode(&one, data + 4);
    put_be32(data + RECORD_ITEM_BYTES, 3); /* its off + len is beyond its size: no record */
    put_be32(data + 2 * RECORD_ITEM_BYTES, 1);
    one.len = 5;
    record_encode(&one, data + 2 * RECORD_ITEM_BYTES + 4);
    CU_ASSERT(record_item_next(data, sizeof data, &pos, &i));
    CU_ASSERT(i.chunk == 2 && i.at == 4 && i.r.len == 90 && i.r.id == 7);
    CU_ASSERT(record_item_next(data, sizeof data, &pos, &i));
    CU_ASSERT(i.chunk == 1 && i.at == 2 * RECORD_ITEM_BYTES + 4 && i.r.len == 5);
    CU_ASSERT(!record_item_next(data, sizeof data, &pos, &i));
    CU_ASSERT_EQUAL(record_items_end(data, sizeof data), 2 * CHUNK_BYTES + 100);
    CU_ASSERT_EQUAL(record_items_end(NULL, 0), 0);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"bytes of records", test_record_bytes},
        {"rules of records", test_record_rules},
        {"examples", test_view_examples},
        {"malformed lists", test_view_bad},
        {"against a model", test_view_model},
        {"most pieces", test_view_most_pieces},
        {"items", test_items},
        CU_TEST_INFO_NULL,
    };
    return suite_run("records and views", tests);
}
