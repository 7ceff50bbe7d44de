/*
 * json.c - see json.h.
 */
#include "tools/json.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at, *end;
};

static char skip_space(struct text *t)
{
    while (t->at < t->end && strchr(" \t\r\n", *t->at) != NULL)
        t->at++;
    return t->at < t->end ? *t->at : '\0';
}

static void put(char *out, size_t cap, size_t *n, char c)
{
    if (*n + 1 < cap)
        out[(*n)++] = c;
}

static void put_utf8(char *out, size_t cap, size_t *n, uint32_t code)
{
    if (code < 0x80) {
        put(out, cap, n, (char)code);
    } else if (code < 0x800) {
        put(out, cap, n, (char)(0xc0 | code >> 6));
        put(out, cap, n, (char)(0x80 | (code & 0x3f)));
    } else {
        put(out, cap, n, (char)(0xe0 | code >> 12));
        put(out, cap, n, (char)(0x80 | (code >> 6 & 0x3f)));
        put(out, cap, n, (char)(0x80 | (code & 0x3f)));
    }
}

static int hex4(struct text *t, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, t->at++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *d = t->at < t->end && *t->at != '\0' ? strchr(digits, *t->at) : NULL;
        if (d == NULL)
            return -EINVAL;
        *out = *out << 4 | (uint32_t)((d - digits) % 16);
    }
    return 0;
}

/* t is at the opening quote; cap 0: only skipped. */
static int read_string(struct text *t, char *out, size_t cap)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    uint32_t code;

    for (t->at++; t->at < t->end && *t->at != '"';) {
        char c = *t->at++;
        if (c != '\\') {
            put(out, cap, &n, c);
            continue;
        }
        if (t->at == t->end)
            return -EINVAL;
        c = *t->at++;
        const char *e = c != '\0' ? strchr(escapes, c) : NULL;
        if (e != NULL)
            put(out, cap, &n, meant[e - escapes]);
        else if (c != 'u' || hex4(t, &code) < 0)
            return -EINVAL;
        else
            put_utf8(out, cap, &n, code);
    }
    if (t->at == t->end)
        return -EINVAL;
    t->at++;
    if (cap > 0)
        out[n] = '\0';
    return 0;
}

/* Any value; one that is not a string is copied as it stands. */
static int read_value(struct text *t, char *out, size_t cap)
{
    int depth = 0;
    size_t n = 0;

    if (skip_space(t) == '"')
        return read_string(t, out, cap);
    while (t->at < t->end && (depth > 0 || strchr(",}", *t->at) == NULL)) {
        const char *from = t->at;
        if (*t->at == '"') {
            if (read_string(t, NULL, 0) < 0)
                return -EINVAL;
        } else {
            depth += (*t->at == '{' || *t->at == '[') - (*t->at == '}' || *t->at == ']');
            t->at++;
        }
        for (; from < t->at; from++)
            put(out, cap, &n, *from);
    }
    while (n > 0 && strchr(" \t\r\n", out[n - 1]) != NULL)
        n--;
    if (cap > 0)
        out[n] = '\0';
    return depth == 0 && t->at < t->end ? 0 : -EINVAL;
}

int json_field(const char *json, size_t len, const char *name, char *out, size_t cap)
{
    struct text t = {json, json + len};
    char key[128];

    if (skip_space(&t) != '{')
        return -EINVAL;
    t.at++;
    while (skip_space(&t) == '"') {
        if (read_string(&t, key, sizeof key) < 0 || skip_space(&t) != ':')
            return -EINVAL;
        t.at++;
        if (strcmp(key, name) == 0)
            return read_value(&t, out, cap);
        if (read_value(&t, NULL, 0) < 0)
            return -EINVAL;
        if (skip_space(&t) == ',')
            t.at++;
    }
    return skip_space(&t) == '}' ? -ENOENT : -EINVAL;
}
