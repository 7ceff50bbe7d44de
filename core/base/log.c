/*
 * log.c - one sink for the whole process: messages belong to the program, not to a volume.
 */
#include "core/base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 1024

static log_sink current;
static enum log_level current_most;

void log_set(log_sink sink, enum log_level most)
{
    current = sink;
    current_most = most;
}

/* A line stays a line: names in a message may hold newlines and escape sequences. */
static void one_line(char *line)
{
    for (; *line != 0; line++) {
        if ((unsigned char)*line < ' ' || *line == 127)
            *line = '?';
    }
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;
    int len;

    if (current == NULL || level > current_most)
        return;
    va_start(ap, fmt);
    len = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (len < 0)
        return;
    if ((size_t)len >= sizeof line)
        memcpy(line + sizeof line - 4, "...", 4);
    one_line(line);
    current(level, line);
}
