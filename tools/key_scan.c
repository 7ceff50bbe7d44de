/*
 * key_scan.c - see key_scan.h.
 */
#include "tools/key_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool key_number(const void *text, size_t len, int64_t *out)
{
    char s[24], *end;

    if (len == 0 || len >= sizeof s)
        return false;
    memcpy(s, text, len);
    s[len] = '\0';
    if ((s[0] < '0' || s[0] > '9') && s[0] != '-')
        return false;
    errno = 0;
    *out = strtoll(s, &end, 10);
    return errno == 0 && *end == '\0';
}

bool key_number_u64(const void *text, size_t len, uint64_t *out)
{
    int64_t v;

    if (!key_number(text, len, &v) || v < 0)
        return false;
    *out = (uint64_t)v;
    return true;
}

bool key_two_numbers(const void *text, size_t len, char between, uint64_t *a, uint64_t *b)
{
    const char *at = memchr(text, between, len);
    size_t n = at != NULL ? (size_t)(at - (const char *)text) : 0;

    return at != NULL && key_number_u64(text, n, a) && key_number_u64(at + 1, len - n - 1, b);
}

bool key_is(const struct engine_item *it, const struct key_kind *kind, const char **rest,
            size_t *len)
{
    size_t n = strlen(kind->begins);

    if (it->key_len < n || memcmp(it->key, kind->begins, n) != 0)
        return false;
    *rest = it->key + n;
    *len = it->key_len - n;
    return kind->numbered ? *len > 0 && **rest >= '0' && **rest <= '9' : *len == 0;
}

bool key_visits_next(struct key_visits *v, const struct engine_item *it)
{
    size_t n = it->key_len < sizeof v->key ? it->key_len : sizeof v->key;

    if (it->key_len == v->key_len && memcmp(v->key, it->key, n) == 0)
        return false;
    memcpy(v->key, it->key, n);
    v->key_len = it->key_len;
    v->visit++;
    return true;
}
