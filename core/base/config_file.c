/*
 * config_file.c - reads the whole file, then takes it line by line.
 */
#include "core/base/config_file.h"

#include "core/base/bytes.h"
#include "core/base/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 65536

/* 0 with an empty buf when there is no such file. */
static int read_all(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char part[2048];
    ssize_t n;
    int rc = 0;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    while (rc == 0 && (n = read(fd, part, sizeof part)) != 0) {
        if (n > 0)
            buf_add(out, part, (size_t)n);
        else if (errno != EINTR)
            rc = -errno;
        if (rc == 0)
            rc = out->len > FILE_BYTES_MAX ? -EFBIG : buf_ok(out);
    }
    close(fd);
    return rc;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **at, const char **end)
{
    while (*at < *end && is_blank(**at))
        (*at)++;
    while (*end > *at && is_blank((*end)[-1]))
        (*end)--;
}

/* Where a comment begins in [at, end), else end.  A # inside a word is part of it: URLs have it. */
static const char *comment(const char *at, const char *end)
{
    for (const char *p = at; p < end; p++) {
        if (*p == '#' && (p == at || is_blank(p[-1])))
            return p;
    }
    return end;
}

/* NULL, or what is wrong with the line. */
static const char *take_line(const char *at, const char *end, struct config *out, int *rc)
{
    const char *equals, *name_end, *value;
    char **field;

    end = comment(at, end);
    trim(&at, &end);
    if (at == end)
        return NULL;
    *rc = -EINVAL;
    equals = memchr(at, '=', (size_t)(end - at));
    if (equals == NULL)
        return "not \"name = value\"";
    name_end = equals;
    trim(&at, &name_end);
    value = equals + 1;
    trim(&value, &end);
    field = config_field(out, at, (size_t)(name_end - at));
    if (field == NULL)
        return "unknown name";
    if (value == end)
        return "no value for";
    if (*field != NULL)
        return "second value for";
    if (memchr(value, 0, (size_t)(end - value)) != NULL)
        return "NUL byte in";
    *field = strndup(value, (size_t)(end - value));
    *rc = *field != NULL ? 0 : -ENOMEM;
    return *field != NULL ? NULL : "out of memory at";
}

/* The part of a bad line that may be shown: its name, never a value, which may hold a password. */
static int shown_bytes(const char *at, const char *end)
{
    int n = 0;

    while (at + n < end && n < 40 && at[n] != '=' && at[n] > ' ' && at[n] < 127)
        n++;
    return n;
}

int config_file_read(const char *path, struct config *out, char *err, size_t errlen)
{
    struct buf text = {0};
    const char *at, *end;
    int rc = read_all(path, &text);

    if (rc != 0)
        line_set(err, errlen, "%s: %s", path, strerror(-rc));
    at = (const char *)text.data;
    end = at + text.len;
    for (unsigned line = 1; rc == 0 && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *wrong;

        if (stop == NULL)
            stop = end;
        wrong = take_line(at, stop, out, &rc);
        while (at < stop && is_blank(*at))
            at++;
        if (wrong != NULL)
            line_set(err, errlen, "%s:%u: %s \"%.*s\"", path, line, wrong, shown_bytes(at, stop),
                     at);
        at = stop + 1;
    }
    buf_free(&text);
    return rc;
}
