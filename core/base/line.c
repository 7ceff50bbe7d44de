/*
 * line.c - printing for messages.
 */
#include "core/base/line.h"

#include <stdio.h>
#include <string.h>

void line_vset(char *out, size_t cap, const char *fmt, va_list ap)
{
    int len;

    if (cap == 0)
        return;
    len = vsnprintf(out, cap, fmt, ap);
    if (len < 0)
        *out = 0;
    else if ((size_t)len >= cap && cap > 4)
        memcpy(out + cap - 4, "...", 4);
    for (; *out != 0; out++) {
        if ((unsigned char)*out < ' ' || *out == 127)
            *out = '?';
    }
}

void line_set(char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_vset(out, cap, fmt, ap);
    va_end(ap);
}
