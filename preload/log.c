/*
 * log.c - see log.h.  The file is opened for each line: a descriptor kept open would be one more to
 * hide from the program.
 */
#include "preload/log.h"

#include "core/base/log.h"
#include "preload/fdtab.h"
#include "preload/raw.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 1200

static char file[PATH_MAX]; /* "": standard error */

static const char *const level_name[] = {"error", "warn", "info", "debug"};

static void put(const char *line, size_t len)
{
    long fd = 2;

    if (file[0] != '\0')
        fd = raw_syscall4(SYS_openat, AT_FDCWD, file,
                          O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0600);
    else if (fdtab_may(2))
        return; /* a file of ours: what goes there must go through the volume */
    if (fd < 0)
        return;
    raw_syscall3(SYS_write, fd, line, len);
    if (fd != 2)
        raw_syscall3(SYS_close, fd, 0, 0);
}

/* What standard error got last: a program that tries a hundred files tells its user once. */
static bool said(const char *text)
{
    static _Atomic uint32_t last;
    uint32_t h = 2166136261u;

    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return atomic_exchange(&last, h) == h;
}

static void sink(enum log_level level, const char *text)
{
    char line[LINE_BYTES];
    long pid = raw_syscall3(SYS_getpid, 0, 0, 0);
    int n = file[0] == '\0'
                ? snprintf(line, sizeof(line), "jfspre: %s\n", text)
                : snprintf(line, sizeof(line), "%ld %s: %s\n", pid, level_name[level], text);

    if (file[0] == '\0' && said(text))
        return;
    put(line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void log_start(const char *spec)
{
    enum log_level most = LOG_ERROR;
    size_t len = spec != NULL ? strcspn(spec, ":") : 0;

    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++)
        if (len > 0 && strlen(level_name[i]) == len && strncmp(spec, level_name[i], len) == 0)
            most = (enum log_level)i;
    if (len > 0 && spec[len] == ':' && strlen(spec + len + 1) < sizeof(file))
        strcpy(file, spec + len + 1);
    log_set(sink, most);
}

void log_line(const char *fmt, ...)
{
    char text[LINE_BYTES - 100];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sink(LOG_ERROR, text);
}
