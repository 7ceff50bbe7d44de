/*
 * json.c - the reader (RFC 8259), tolerant in nothing but raw bytes in strings, which may be any.
 */
#include "core/format/json.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 64

static int fail(struct json *j, const char *wrong)
{
    if (j->wrong == NULL)
        j->wrong = wrong;
    return -EINVAL;
}

/* The next byte that is not space, or 0 at the end and after an error. */
static char peek(struct json *j)
{
    while (j->wrong == NULL && j->at < j->end) {
        if (*j->at != ' ' && *j->at != '\t' && *j->at != '\n' && *j->at != '\r')
            return *j->at;
        j->at++;
    }
    return 0;
}

static bool take(struct json *j, char c)
{
    if (peek(j) != c)
        return false;
    j->at++;
    return true;
}

static bool take_word(struct json *j, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
        return false;
    j->at += len;
    return true;
}

void json_init(struct json *j, const char *text, size_t len)
{
    *j = (struct json){.start = text, .at = text, .end = text + len};
}

enum json_type json_type(struct json *j)
{
    switch (peek(j)) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    case '-':
    case '0' ... '9':
        return JSON_NUMBER;
    default:
        fail(j, "a value is expected");
        return JSON_BAD;
    }
}

bool json_object(struct json *j)
{
    if (!take(j, '{')) {
        fail(j, "{ is expected");
        return false;
    }
    j->first = true;
    return true;
}

bool json_member(struct json *j, char *name, size_t cap)
{
    if (take(j, '}'))
        return false;
    if (!j->first && !take(j, ',')) {
        fail(j, ", or } is expected");
        return false;
    }
    j->first = false;
    if (peek(j) != '"') {
        fail(j, "a name in quotes is expected");
        return false;
    }
    if (json_string(j, name, cap) != 0)
        *name = 0;
    if (!take(j, ':'))
        fail(j, ": is expected");
    return j->wrong == NULL;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Where a decoded string goes; what does not fit is counted as overflow. */
struct text {
    char *out;
    size_t len, cap;
    bool overflow;
};

static void text_add(struct text *t, unsigned char c)
{
    if (t->len + 1 >= t->cap || c == 0)
        t->overflow = true;
    else
        t->out[t->len++] = (char)c;
}

static void text_add_rune(struct text *t, uint32_t c)
{
    if (c < 0x80) {
        text_add(t, (unsigned char)c);
        return;
    }
    if (c < 0x800) {
        text_add(t, (unsigned char)(0xC0 | (c >> 6)));
    } else {
        if (c < 0x10000) {
            text_add(t, (unsigned char)(0xE0 | (c >> 12)));
        } else {
            text_add(t, (unsigned char)(0xF0 | (c >> 18)));
            text_add(t, 0x80 | ((c >> 12) & 0x3F));
        }
        text_add(t, 0x80 | ((c >> 6) & 0x3F));
    }
    text_add(t, 0x80 | (c & 0x3F));
}

/* Four hex digits, or -1. */
static int32_t hex4(struct json *j)
{
    int32_t v = 0;

    if (j->end - j->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = j->at[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    j->at += 4;
    return v;
}

/* Behind \u.  Half of a surrogate pair alone stands for U+FFFD. */
static int unicode_escape(struct json *j, struct text *t)
{
    int32_t high = hex4(j), low;
    const char *behind = j->at;

    if (high < 0)
        return fail(j, "four hex digits are expected");
    if (high >= 0xD800 && high < 0xDC00 && take_word(j, "\\u")) {
        low = hex4(j);
        if (low >= 0xDC00 && low < 0xE000) {
            text_add_rune(t,
                          0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00));
            return 0;
        }
        j->at = behind; /* what followed is read for itself */
    }
    text_add_rune(t, high >= 0xD800 && high < 0xE000 ? 0xFFFD : (uint32_t)high);
    return 0;
}

static int escape(struct json *j, struct text *t)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char c = j->at < j->end ? *j->at++ : 0;

    if (c == 'u')
        return unicode_escape(j, t);
    found = c != 0 ? strchr(from, c) : NULL;
    if (found == NULL)
        return fail(j, "an unknown escape");
    text_add(t, (unsigned char)to[found - from]);
    return 0;
}

int json_string(struct json *j, char *out, size_t cap)
{
    struct text t = {.out = out, .cap = cap};

    *out = 0;
    if (!take(j, '"')) {
        json_skip(j);
        return -EINVAL;
    }
    for (;;) {
        unsigned char c = j->at < j->end ? (unsigned char)*j->at++ : 0;

        if (c == '"')
            break;
        if (c < ' ')
            return fail(j, "the end of a string is expected");
        if (c != '\\')
            text_add(&t, c);
        else if (escape(j, &t) != 0)
            return -EINVAL;
    }
    out[t.overflow ? 0 : t.len] = 0;
    return t.overflow ? -E2BIG : 0;
}

/* --- numbers and words ------------------------------------------------------------------------ */

static size_t digits(struct json *j)
{
    const char *from = j->at;

    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return (size_t)(j->at - from);
}

/* Consumes a number.  Its digits before a fraction are at *from; false for one with a fraction or
 * an exponent, which is no integer even where its value is. */
static bool number(struct json *j, bool *negative, const char **from, size_t *len)
{
    bool whole = true;

    *negative = take(j, '-');
    *from = j->at;
    *len = digits(j);
    if (*len == 0 || (*len > 1 && **from == '0'))
        fail(j, "a number is expected");
    if (j->wrong == NULL && take_word(j, ".")) {
        whole = false;
        if (digits(j) == 0)
            fail(j, "a digit is expected");
    }
    if (j->wrong == NULL && j->at < j->end && (*j->at | 0x20) == 'e') {
        whole = false;
        j->at++;
        if (!take_word(j, "+"))
            take_word(j, "-");
        if (digits(j) == 0)
            fail(j, "a digit is expected");
    }
    return whole && j->wrong == NULL;
}

static int magnitude(struct json *j, bool *negative, uint64_t *out)
{
    const char *from;
    uint64_t v = 0;
    size_t len;

    if (json_type(j) != JSON_NUMBER) {
        json_skip(j);
        return -EINVAL;
    }
    if (!number(j, negative, &from, &len))
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(from[i] - '0'), &v))
            return -ERANGE;
    }
    *out = v;
    return 0;
}

int json_unsigned(struct json *j, uint64_t *out)
{
    bool negative = false;
    uint64_t v;
    int rc = magnitude(j, &negative, &v);

    if (rc == 0 && negative)
        rc = -ERANGE;
    if (rc == 0)
        *out = v;
    return rc;
}

int json_integer(struct json *j, int64_t *out)
{
    bool negative = false;
    uint64_t v;
    int rc = magnitude(j, &negative, &v);

    if (rc != 0)
        return rc;
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return -ERANGE;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int json_bool(struct json *j, bool *out)
{
    if (json_type(j) != JSON_BOOL) {
        json_skip(j);
        return -EINVAL;
    }
    if (take_word(j, "true"))
        *out = true;
    else if (take_word(j, "false"))
        *out = false;
    else
        return fail(j, "true or false is expected");
    return 0;
}

/* --- anything --------------------------------------------------------------------------------- */

static int skip(struct json *j, int depth);

static int skip_members(struct json *j, char close, int depth)
{
    char none[1];

    j->at++;
    if (take(j, close))
        return 0;
    do {
        if (close == '}') {
            if (peek(j) != '"')
                return fail(j, "a name in quotes is expected");
            json_string(j, none, sizeof none);
            if (!take(j, ':'))
                return fail(j, ": is expected");
        }
        if (skip(j, depth) != 0)
            return -EINVAL;
    } while (take(j, ','));
    return take(j, close) ? 0 : fail(j, ", or a closing bracket is expected");
}

static int skip(struct json *j, int depth)
{
    bool negative, truth;
    const char *from;
    char none[1];
    size_t len;

    if (depth == DEPTH_MAX)
        return fail(j, "too deeply nested");
    switch (json_type(j)) {
    case JSON_OBJECT:
        return skip_members(j, '}', depth + 1);
    case JSON_ARRAY:
        return skip_members(j, ']', depth + 1);
    case JSON_STRING:
        json_string(j, none, sizeof none);
        break;
    case JSON_NUMBER:
        number(j, &negative, &from, &len);
        break;
    case JSON_BOOL:
        return json_bool(j, &truth);
    case JSON_NULL:
        if (!take_word(j, "null"))
            fail(j, "null is expected");
        break;
    case JSON_BAD:
        break;
    }
    return j->wrong == NULL ? 0 : -EINVAL;
}

int json_skip(struct json *j)
{
    return skip(j, 0);
}

bool json_done(struct json *j)
{
    if (peek(j) != 0 || j->at < j->end)
        fail(j, "the end is expected");
    return j->wrong == NULL;
}
