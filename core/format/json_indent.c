/*
 * json_indent.c - copies a value laid out anew: a setting inside a dump is indented, in the
 * database it is not.
 */
#include "core/format/json_internal.h"

#include <string.h>

#define DEPTH_MAX 64

static void new_line(struct buf *out, const char *unit, int depth)
{
    buf_add(out, "\n", 1);
    while (depth-- > 0)
        buf_add(out, unit, strlen(unit));
}

/* A scalar, its bytes as they are. */
static void copy_scalar(struct json *j, struct buf *out)
{
    json_peek(j);
    const char *from = j->at;

    if (json_skip(j) == 0)
        buf_add(out, from, (size_t)(j->at - from));
}

static void copy(struct json *j, const char *unit, int depth, int most, struct buf *out)
{
    enum json_type type = json_type(j);
    bool is_object = type == JSON_OBJECT, any = false;

    if (!is_object && type != JSON_ARRAY) {
        copy_scalar(j, out);
        return;
    }
    if (most == 0) {
        json_fail(j, "too deeply nested");
        return;
    }
    buf_add(out, is_object ? "{" : "[", 1);
    json_take(j, is_object ? '{' : '[');
    while (j->wrong == NULL && !json_take(j, is_object ? '}' : ']')) {
        if (any && !json_take(j, ',')) {
            json_fail(j, ", or a closing bracket is expected");
            return;
        }
        if (any)
            buf_add(out, ",", 1);
        any = true;
        new_line(out, unit, depth + 1);
        if (is_object && json_peek(j) != '"') {
            json_fail(j, "a name in quotes is expected");
            return;
        }
        if (is_object) {
            copy_scalar(j, out);
            if (!json_take(j, ':')) {
                json_fail(j, ": is expected");
                return;
            }
            buf_add(out, ": ", 2);
        }
        copy(j, unit, depth + 1, most - 1, out);
    }
    if (any)
        new_line(out, unit, depth);
    buf_add(out, is_object ? "}" : "]", 1);
}

bool json_indent(struct json *j, const char *unit, int depth, struct buf *out)
{
    bool first = j->first;

    copy(j, unit, depth, DEPTH_MAX, out);
    j->first = first;
    return j->wrong == NULL;
}
