/*
 * bytes.c - the growing buffer.
 *
 * An add that cannot get memory sets `failed` and from then on nothing is added, so that a caller
 * may write a whole message and ask once at its end.
 */
#include "core/base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

/* Room for `more` bytes and the NUL behind them. */
static int reserve(struct buf *b, size_t more)
{
    size_t need, cap;
    uint8_t *data;

    if (b->failed)
        return -ENOMEM;
    if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
        goto fail;
    if (need <= b->cap)
        return 0;
    cap = b->cap != 0 ? b->cap : FIRST_CAP;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, 2, &cap))
            goto fail;
    }
    data = realloc(b->data, cap);
    if (data == NULL)
        goto fail;
    b->data = data;
    b->cap = cap;
    return 0;
fail:
    b->failed = 1;
    return -ENOMEM;
}

uint8_t *buf_room(struct buf *b, size_t more)
{
    return reserve(b, more) == 0 ? b->data + b->len : NULL;
}

void buf_added(struct buf *b, size_t len)
{
    b->len += len;
    b->data[b->len] = 0;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (reserve(b, len) != 0)
        return;
    if (len != 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

void buf_add_be16(struct buf *b, uint16_t v)
{
    uint8_t raw[2];

    put_be16(raw, v);
    buf_add(b, raw, sizeof raw);
}

void buf_add_be32(struct buf *b, uint32_t v)
{
    uint8_t raw[4];

    put_be32(raw, v);
    buf_add(b, raw, sizeof raw);
}

void buf_add_be64(struct buf *b, uint64_t v)
{
    uint8_t raw[8];

    put_be64(raw, v);
    buf_add(b, raw, sizeof raw);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) {
        b->failed = 1;
        return;
    }
    if (reserve(b, (size_t)len) != 0)
        return;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

int buf_ok(const struct buf *b)
{
    return b->failed ? -ENOMEM : 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = 0;
    if (b->data != NULL)
        b->data[0] = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}
