/*
 * percent.c - see percent.h.
 */
#include "core/format/percent.h"

#include "core/format/json_internal.h"

#include <stdbool.h>

static bool is_plain(const unsigned char *p, size_t n)
{
    if (n == 1)
        return *p > ' ' && *p != '%' && *p != '"' && *p != '\\';
    return n > 1 && !(n == 3 && p[0] == 0xEF && p[1] == 0xBF && p[2] == 0xBD);
}

void percent_write(struct buf *out, const void *data, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *p = data, *end = p + len;

    while (p < end) {
        const unsigned char *from = p;
        size_t n = json_sequence(p, (size_t)(end - p));

        while (n > 0 && is_plain(p, n)) {
            p += n;
            n = p < end ? json_sequence(p, (size_t)(end - p)) : 0;
        }
        buf_add(out, from, (size_t)(p - from));
        if (p < end) { /* of U+FFFD the other two bytes come next: neither begins a sequence */
            buf_add(out, (char[]){'%', hex[*p >> 4], hex[*p & 15]}, 3);
            p++;
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t percent_read(char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

        if (low >= 0)
            i += 2;
        text[n++] = low >= 0 ? (char)(high << 4 | low) : text[i];
    }
    return n;
}
