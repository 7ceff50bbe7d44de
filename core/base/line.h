/*
 * line - one line of text for people: what a name from outside holds cannot break it.
 *
 * Layer: base.
 */
#ifndef JFSPRE_CORE_BASE_LINE_H
#define JFSPRE_CORE_BASE_LINE_H

#include <stdarg.h>
#include <stddef.h>

/* snprintf(3) into out; control characters become '?', a line that does not fit ends in "...". */
void line_set(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void line_vset(char *out, size_t cap, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

#endif
