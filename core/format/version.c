/*
 * version.c - versions of clients: numbers with a pre-release, ordered as stock orders them.
 *
 * Not quite semver: "1", "1.1" and "1.1.0" are equal, a pre-release is compared as one string, and
 * having none is newer than having any.
 */
#include "core/format/setting.h"

#include <string.h>

struct version {
    uint64_t part[3];
    const char *pre; /* pre_len bytes; 0: a release */
    size_t pre_len;
};

/* Digits of [at, end) to *out; the byte behind them, NULL when there are none or too many. */
static const char *number(const char *at, const char *end, uint64_t *out)
{
    const char *from = at;

    *out = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*at - '0'), out))
            return NULL;
    }
    return at > from ? at : NULL;
}

static bool parse(const char *text, struct version *out)
{
    const char *end = text + strcspn(text, "+"), *dash, *at = text;

    *out = (struct version){0};
    dash = memchr(text, '-', (size_t)(end - text));
    if (dash != NULL) {
        out->pre = dash + 1;
        out->pre_len = (size_t)(end - dash - 1);
        end = dash;
    }
    for (int i = 0; i < 3; i++) {
        at = number(at, end, &out->part[i]);
        if (at == NULL)
            return false;
        if (at == end)
            return true;
        if (*at++ != '.')
            return false;
    }
    return false;
}

bool version_valid(const char *text)
{
    struct version v;

    return parse(text, &v);
}

static int compare_pre(const struct version *a, const struct version *b)
{
    size_t common = a->pre_len < b->pre_len ? a->pre_len : b->pre_len;
    int rc;

    if (a->pre_len == 0 || b->pre_len == 0)
        return (a->pre_len == 0) - (b->pre_len == 0);
    rc = memcmp(a->pre, b->pre, common);
    if (rc == 0)
        rc = (a->pre_len > b->pre_len) - (a->pre_len < b->pre_len);
    return rc;
}

int version_compare(const char *a, const char *b)
{
    struct version x, y;
    bool x_valid = parse(a, &x), y_valid = parse(b, &y);

    if (!x_valid || !y_valid)
        return x_valid - y_valid;
    for (int i = 0; i < 3; i++) {
        if (x.part[i] != y.part[i])
            return x.part[i] < y.part[i] ? -1 : 1;
    }
    return compare_pre(&x, &y);
}
