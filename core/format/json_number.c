/*
 * json_number.c - reads numbers and truth.
 */
#include "core/format/json_internal.h"

#include <errno.h>

static size_t digits(struct json *j)
{
    const char *from = j->at;

    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return (size_t)(j->at - from);
}

bool json_number(struct json *j, bool *negative, const char **from, size_t *len)
{
    bool whole = true;

    *negative = json_take(j, '-');
    *from = j->at;
    *len = digits(j);
    if (*len == 0 || (*len > 1 && **from == '0'))
        json_fail(j, "a number is expected");
    if (j->wrong == NULL && json_take_word(j, ".")) {
        whole = false;
        if (digits(j) == 0)
            json_fail(j, "a digit is expected");
    }
    if (j->wrong == NULL && j->at < j->end && (*j->at | 0x20) == 'e') {
        whole = false;
        j->at++;
        if (!json_take_word(j, "+"))
            json_take_word(j, "-");
        if (digits(j) == 0)
            json_fail(j, "a digit is expected");
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
    if (!json_number(j, negative, &from, &len))
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
    if (json_take_word(j, "true"))
        *out = true;
    else if (json_take_word(j, "false"))
        *out = false;
    else
        return json_fail(j, "true or false is expected");
    return 0;
}
