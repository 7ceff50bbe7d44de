/*
 * json_write.c - strings as Go's encoding/json writes them, so that a setting made here has the
 * bytes of a stock one.
 */
#include "core/format/json_internal.h"

#include <string.h>

size_t json_sequence(const unsigned char *p, size_t left)
{
    /* by the first byte: how many follow, and the range of the first of them (RFC 3629) */
    static const struct {
        unsigned char first, last, follow, low, high;
    } rows[] = {
        {0x00, 0x7F, 0, 0, 0},       {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
        {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF},
        {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (*p < rows[i].first || *p > rows[i].last)
            continue;
        if (rows[i].follow >= left)
            return 0;
        if (rows[i].follow != 0 && (p[1] < rows[i].low || p[1] > rows[i].high))
            return 0;
        for (unsigned char k = 2; k <= rows[i].follow; k++) {
            if ((p[k] & 0xC0) != 0x80)
                return 0;
        }
        return rows[i].follow + 1U;
    }
    return 0;
}

bool json_is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    while (*p != 0) {
        size_t n = json_sequence(p, SIZE_MAX); /* a NUL ends none */

        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

static void write_ascii(struct buf *out, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *found = strchr(plain, c);

    if (found != NULL)
        buf_printf(out, "\\%c", letter[found - plain]);
    else if (c < ' ' || c == '<' || c == '>' || c == '&')
        buf_printf(out, "\\u%04x", c);
    else
        buf_add(out, &c, 1);
}

void json_write_string(struct buf *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    buf_add(out, "\"", 1);
    while (*p != 0) {
        size_t n = json_sequence(p, SIZE_MAX);

        if (n == 1)
            write_ascii(out, *p);
        else if (n == 0)
            buf_printf(out, "\\ufffd");
        else if (n == 3 && (memcmp(p, "\xE2\x80\xA8", 3) == 0 || memcmp(p, "\xE2\x80\xA9", 3) == 0))
            buf_printf(out, "\\u202%c", p[2] == 0xA8 ? '8' : '9');
        else
            buf_add(out, p, n);
        p += n != 0 ? n : 1;
    }
    buf_add(out, "\"", 1);
}
