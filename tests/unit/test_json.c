/*
 * test_json.c - the reader's nested values, JSON laid out anew, and the %XX form of dumps.
 */
#include "core/base/bytes.h"
#include "core/format/json.h"
#include "core/format/percent.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads any JSON with the functions for known shapes and writes its skeleton. */
static void walk(struct json *j, char *out)
{
    char text[64];
    int64_t n = 0;

    switch (json_type(j)) {
    case JSON_OBJECT:
        strcat(out, "{");
        for (json_object(j); json_member(j, text, sizeof text);) {
            strcat(strcat(out, text), ":");
            walk(j, out);
        }
        strcat(out, "}");
        break;
    case JSON_ARRAY:
        strcat(out, "[");
        for (json_array(j); json_element(j);)
            walk(j, out);
        strcat(out, "]");
        break;
    case JSON_STRING:
        json_string(j, text, sizeof text);
        strcat(strcat(out, text), ".");
        break;
    case JSON_NUMBER:
        json_integer(j, &n);
        sprintf(out + strlen(out), "%d.", (int)n);
        break;
    default:
        json_skip(j);
        strcat(out, "?");
    }
}

static void test_nested(void)
{
    static const struct {
        const char *json, *skeleton; /* NULL: malformed */
    } rows[] = {
        {"{\"a\":{\"b\":{},\"c\":[1,[2,{}],3]},\"d\":4}", "{a:{b:{}c:[1.[2.{}]3.]}d:4.}"},
        {"[]", "[]"},
        {"[[],[[]],{}]", "[[][[]]{}]"},
        {" [ 1 , 2 ] ", "[1.2.]"},
        {"[{},true]", "[{}?]"},
        {"[1,]", NULL},
        {"[,1]", NULL},
        {"[1 2]", NULL},
        {"[1,2", NULL},
        {"{\"a\":{\"b\":1 \"c\":2}}", NULL},
        {"{\"a\":{} \"b\":1}", NULL},
        {"{\"a\":{},}", NULL},
        {"{\"a\":[1}", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].json);
        char *copy = malloc(len), out[256] = ""; /* the exact size: a sanitizer sees a byte more */
        struct json j;
        memcpy(copy, rows[i].json, len);
        json_init(&j, copy, len);
        walk(&j, out);
        bool good = json_done(&j);
        CU_ASSERT_EQUAL(good, rows[i].skeleton != NULL);
        if (good && rows[i].skeleton != NULL)
            CU_ASSERT_STRING_EQUAL(out, rows[i].skeleton);
        free(copy);
    }
}

static void test_place(void)
{
    static const char text[] = "{\n  \"a\": 1,\n  \"b\": x}";
    size_t line, column;
    struct json j;
    char name[8];
    int64_t n;

    json_init(&j, text, sizeof text - 1);
    json_object(&j);
    CU_ASSERT(json_member(&j, name, sizeof name));
    CU_ASSERT_EQUAL(json_integer(&j, &n), 0);
    CU_ASSERT(json_member(&j, name, sizeof name));
    CU_ASSERT(json_integer(&j, &n) < 0);
    CU_ASSERT(!json_member(&j, name, sizeof name));
    json_place(&j, &line, &column);
    CU_ASSERT_EQUAL(line, 3);
    CU_ASSERT_EQUAL(column, 8);
}

static void test_indent(void)
{
    static const char text[] =
        " { \"a\":1.50e3,\"b\" : [ ] ,\"c\":{ },\"d\":[1,{\"e\":\"\\u003c\"}],\"f\":null}";
    static const char wide[] =
        "{\n    \"a\": 1.50e3,\n    \"b\": [],\n    \"c\": {},\n    \"d\": [\n "
        "     1,\n      {\n        \"e\": \"\\u003c\"\n      }\n    ],\n    "
        "\"f\": null\n  }";
    static const char *const bad[] = {"{\"a\"}", "[1,]", "{\"a\":1,}", "[1 2]", "{1:2}", "[", ""};
    struct buf out = {0}, narrow = {0};
    struct json j;

    json_init(&j, text, sizeof text - 1);
    CU_ASSERT(json_indent(&j, "  ", 1, &out));
    CU_ASSERT(json_done(&j));
    CU_ASSERT_STRING_EQUAL((char *)out.data, wide);
    json_init(&j, (char *)out.data, out.len);
    CU_ASSERT(json_indent(&j, "", 0, &narrow));
    CU_ASSERT_STRING_EQUAL((char *)narrow.data,
                           "{\n\"a\": 1.50e3,\n\"b\": [],\n\"c\": {},\n\"d\": [\n1,\n{\n\"e\": "
                           "\"\\u003c\"\n}\n],\n\"f\": null\n}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_clear(&out);
        json_init(&j, bad[i], strlen(bad[i]));
        CU_ASSERT(!json_indent(&j, "  ", 0, &out));
    }
    char deep[300];
    memset(deep, '[', 150);
    memset(deep + 150, ']', 150);
    json_init(&j, deep, sizeof deep);
    CU_ASSERT(!json_indent(&j, "", 0, &out));
    buf_free(&out);
    buf_free(&narrow);
}

/* The right column is what `juicefs dump` wrote, but for the row of U+FFFD. */
static void test_percent(void)
{
#define ROW(raw, text)                                                                             \
    {                                                                                              \
        raw, sizeof raw - 1, text                                                                  \
    }
    static const struct {
        const char *raw;
        size_t len;
        const char *text;
    } rows[] = {
        ROW("", ""),
        ROW("plain-Name.1", "plain-Name.1"),
        ROW("a b", "a%20b"),
        ROW("%41", "%2541"),
        ROW("100%", "100%25"),
        ROW("q\"uo\\te", "q%22uo%5Cte"),
        ROW("tab\t\x01\x7f\x1b", "tab%09%01\x7f%1B"),
        ROW("<&>", "<&>"),
        ROW("\xc3\xbc", "\xc3\xbc"),
        ROW("\xe2\x80\xa8x", "\xe2\x80\xa8x"),
        ROW("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"),
        ROW("\xff\xfe", "%FF%FE"),
        ROW("\xed\xa0\x80", "%ED%A0%80"),
        ROW("x\xf4\x90\x80\x80y", "x%F4%90%80%80y"),
        ROW("\xe2\x82", "%E2%82"),
        ROW("\xe2\x82x", "%E2%82x"),
        ROW("\xef\xbf\xbd", "%EF%BF%BD"),
        ROW("\xef\xbf\xbe", "\xef\xbf\xbe"),
        ROW("nul\0end", "nul%00end"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        char *exact = malloc(rows[i].len + 1);
        memcpy(exact, rows[i].raw, rows[i].len);
        exact = realloc(exact, rows[i].len + (rows[i].len == 0));
        buf_add(&out, "", 0);
        percent_write(&out, exact, rows[i].len);
        CU_ASSERT_STRING_EQUAL((char *)out.data, rows[i].text);
        size_t n = percent_read((char *)out.data, out.len);
        CU_ASSERT_EQUAL(n, rows[i].len);
        CU_ASSERT(memcmp(out.data, rows[i].raw, rows[i].len) == 0);
        buf_free(&out);
        free(exact);
    }
    char old[] = "5% of %4x %e2%9G%"; /* before there were escapes */
    CU_ASSERT_EQUAL(percent_read(old, sizeof old - 1), sizeof old - 3);
    CU_ASSERT(memcmp(old, "5% of %4x \xe2%9G%", sizeof old - 3) == 0);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"nested values", test_nested},
        {"line and column", test_place},
        {"laid out anew", test_indent},
        {"bytes as percent signs", test_percent},
        CU_TEST_INFO_NULL,
    };
    return suite_run("json", tests);
}
