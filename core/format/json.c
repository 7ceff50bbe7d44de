/*
 * json.c - the reader (RFC 8259), tolerant in nothing but raw bytes in strings, which may be any:
 * what comes next, objects, and skipping.  Values are read in json_string.c and json_number.c.
 */
#include "core/format/json_internal.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 64

int json_fail(struct json *j, const char *wrong)
{
    if (j->wrong == NULL)
        j->wrong = wrong;
    return -EINVAL;
}

char json_peek(struct json *j)
{
    while (j->wrong == NULL && j->at < j->end) {
        if (*j->at != ' ' && *j->at != '\t' && *j->at != '\n' && *j->at != '\r')
            return *j->at;
        j->at++;
    }
    return 0;
}

bool json_take(struct json *j, char c)
{
    if (json_peek(j) != c)
        return false;
    j->at++;
    return true;
}

bool json_take_word(struct json *j, const char *word)
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
    switch (json_peek(j)) {
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
        json_fail(j, "a value is expected");
        return JSON_BAD;
    }
}

bool json_object(struct json *j)
{
    if (!json_take(j, '{')) {
        json_fail(j, "{ is expected");
        return false;
    }
    j->first = true;
    return true;
}

bool json_array(struct json *j)
{
    if (!json_take(j, '[')) {
        json_fail(j, "[ is expected");
        return false;
    }
    j->first = true;
    return true;
}

/* Behind an inner object or array its parent has had a member, so one flag serves all levels. */
static bool next(struct json *j, char close, const char *wrong)
{
    bool first = j->first;

    j->first = false;
    if (json_take(j, close))
        return false;
    if (!first && !json_take(j, ','))
        json_fail(j, wrong);
    return j->wrong == NULL;
}

bool json_element(struct json *j)
{
    return next(j, ']', ", or ] is expected");
}

bool json_member(struct json *j, char *name, size_t cap)
{
    if (!next(j, '}', ", or } is expected"))
        return false;
    if (json_peek(j) != '"') {
        json_fail(j, "a name in quotes is expected");
        return false;
    }
    if (json_string(j, name, cap) != 0)
        *name = 0;
    if (!json_take(j, ':'))
        json_fail(j, ": is expected");
    return j->wrong == NULL;
}

static int skip(struct json *j, int depth);

static int skip_members(struct json *j, char close, int depth)
{
    char none[1];

    j->at++;
    if (json_take(j, close))
        return 0;
    do {
        if (close == '}') {
            if (json_peek(j) != '"')
                return json_fail(j, "a name in quotes is expected");
            json_string(j, none, sizeof none);
            if (!json_take(j, ':'))
                return json_fail(j, ": is expected");
        }
        if (skip(j, depth) != 0)
            return -EINVAL;
    } while (json_take(j, ','));
    return json_take(j, close) ? 0 : json_fail(j, ", or a closing bracket is expected");
}

static int skip(struct json *j, int depth)
{
    bool negative, truth;
    const char *from;
    char none[1];
    size_t len;

    if (depth == DEPTH_MAX)
        return json_fail(j, "too deeply nested");
    switch (json_type(j)) {
    case JSON_OBJECT:
        return skip_members(j, '}', depth + 1);
    case JSON_ARRAY:
        return skip_members(j, ']', depth + 1);
    case JSON_STRING:
        json_string(j, none, sizeof none);
        break;
    case JSON_NUMBER:
        json_number(j, &negative, &from, &len);
        break;
    case JSON_BOOL:
        return json_bool(j, &truth);
    case JSON_NULL:
        if (!json_take_word(j, "null"))
            json_fail(j, "null is expected");
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
    if (json_peek(j) != 0 || j->at < j->end)
        json_fail(j, "the end is expected");
    return j->wrong == NULL;
}

void json_place(const struct json *j, size_t *line, size_t *column)
{
    const char *from = j->start, *nl;

    for (*line = 1; (nl = memchr(from, '\n', (size_t)(j->at - from))) != NULL; ++*line)
        from = nl + 1;
    *column = (size_t)(j->at - from) + 1;
}
