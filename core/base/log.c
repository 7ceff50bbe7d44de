/*
 * log.c - one sink for the whole process: messages belong to the program, not to a volume.
 */
#include "core/base/log.h"

#include "core/base/line.h"

#include <stdarg.h>
#include <stddef.h>

#define LINE_BYTES 1024

static log_sink current;
static enum log_level current_most;

void log_set(log_sink sink, enum log_level most)
{
    current = sink;
    current_most = most;
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;

    if (current == NULL || level > current_most)
        return;
    va_start(ap, fmt);
    line_vset(line, sizeof line, fmt, ap);
    va_end(ap);
    current(level, line);
}
