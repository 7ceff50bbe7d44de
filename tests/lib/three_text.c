/*
 * three_text.c - steps as lines, and answers as text.
 *
 * A line: `KIND key=value ...`, blanks between, none inside.  Keys that are not given are 0.
 */
#include "tests/lib/three.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *fields;
} kinds[STEP_KINDS] = {
#define X(upper, lower, letters) {#lower, letters},
    THREE_KINDS(X)
#undef X
};

const char *step_name(enum step_kind kind)
{
    return kinds[kind].name;
}

bool step_has_path(enum step_kind kind)
{
    return strchr(kinds[kind].fields, 'p') != NULL;
}

static void put(struct buf *b, char letter, const struct step *s)
{
    switch (letter) {
    case 'h':
        buf_printf(b, " h=%u", s->h);
        break;
    case 'a':
        if (s->at != 0)
            buf_printf(b, " at=%u", s->at);
        break;
    case 'b':
        if (s->at2 != 0)
            buf_printf(b, " at2=%u", s->at2);
        break;
    case 'p':
        buf_printf(b, " p=%s", s->path);
        break;
    case 'q':
        buf_printf(b, " q=%s", s->path2);
        break;
    case 'f':
        buf_printf(b, " f=0x%x", (unsigned)s->flags);
        break;
    case 'm':
        buf_printf(b, " m=0%o", s->mode);
        break;
    case 'o':
        buf_printf(b, " o=%" PRId64, s->off);
        break;
    case 'l':
        buf_printf(b, " l=%" PRId64, s->len);
        break;
    case 's':
        buf_printf(b, " s=%u", s->seed);
        break;
    case 'u':
        buf_printf(b, " u=%" PRId64, s->uid);
        break;
    case 'g':
        buf_printf(b, " g=%" PRId64, s->gid);
        break;
    case 't':
        buf_printf(b, " t=%lld.%09ld,%lld.%09ld", (long long)s->atime.tv_sec, s->atime.tv_nsec,
                   (long long)s->mtime.tv_sec, s->mtime.tv_nsec);
        break;
    }
}

void step_print(const struct step *s, char *out, size_t len)
{
    struct buf b = {0};
    buf_printf(&b, "%s", kinds[s->kind].name);
    if (s->who != 0)
        buf_printf(&b, " who=%u", s->who);
    if (s->dt_ms != 0)
        buf_printf(&b, " dt=%u", s->dt_ms);
    for (const char *f = kinds[s->kind].fields; *f != '\0'; f++)
        put(&b, *f, s);
    snprintf(out, len, "%s", buf_ok(&b) == 0 ? (const char *)b.data : "no memory");
    buf_free(&b);
}

static bool field(const char *key, const char *value, struct step *s)
{
    long long n = strtoll(value, NULL, 0), m = 0;
    if (strcmp(key, "p") == 0)
        snprintf(s->path, sizeof(s->path), "%s", value);
    else if (strcmp(key, "q") == 0)
        snprintf(s->path2, sizeof(s->path2), "%s", value);
    else if (strcmp(key, "t") == 0) {
        long a, b;
        if (sscanf(value, "%lld.%ld,%lld.%ld", &n, &a, &m, &b) != 4)
            return false;
        s->atime = (struct timespec){n, a};
        s->mtime = (struct timespec){m, b};
    } else if (strcmp(key, "h") == 0)
        s->h = (uint8_t)n;
    else if (strcmp(key, "at") == 0)
        s->at = (uint8_t)n;
    else if (strcmp(key, "at2") == 0)
        s->at2 = (uint8_t)n;
    else if (strcmp(key, "who") == 0)
        s->who = (uint8_t)n;
    else if (strcmp(key, "dt") == 0)
        s->dt_ms = (uint32_t)n;
    else if (strcmp(key, "f") == 0)
        s->flags = (int)n;
    else if (strcmp(key, "m") == 0)
        s->mode = (unsigned)n;
    else if (strcmp(key, "o") == 0)
        s->off = n;
    else if (strcmp(key, "l") == 0)
        s->len = n;
    else if (strcmp(key, "s") == 0)
        s->seed = (unsigned)n;
    else if (strcmp(key, "u") == 0)
        s->uid = n;
    else if (strcmp(key, "g") == 0)
        s->gid = n;
    else
        return false;
    return true;
}

bool step_parse(const char *line, struct step *out)
{
    char copy[3 * THREE_PATH], *save, *word;
    memset(out, 0, sizeof(*out));
    snprintf(copy, sizeof(copy), "%s", line);
    word = strtok_r(copy, " ", &save);
    out->kind = STEP_KINDS;
    for (int k = 0; word != NULL && k < STEP_KINDS; k++) {
        if (strcmp(word, kinds[k].name) == 0)
            out->kind = (enum step_kind)k;
    }
    if (out->kind == STEP_KINDS)
        return false;
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        char *eq = strchr(word, '=');
        if (eq == NULL)
            return false;
        *eq = '\0';
        if (!field(word, eq + 1, out))
            return false;
    }
    return true;
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void append(char *text, size_t cap, const char *fmt, va_list ap)
{
    size_t n = strlen(text);
    vsnprintf(text + n, cap - n, fmt, ap);
}

void answer_add(struct answer *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(a->text, sizeof(a->text), fmt, ap);
    va_end(ap);
}

void answer_exact(struct answer *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(a->exact, sizeof(a->exact), fmt, ap);
    va_end(ap);
}

void names_add(struct names *s, const char *name)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->name = realloc(s->name, s->cap * sizeof(*s->name));
        if (s->name == NULL)
            abort();
    }
    snprintf(s->name[s->n++], sizeof(*s->name), "%s", name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(a, b);
}

void names_sort(struct names *s)
{
    if (s->n > 0)
        qsort(s->name, s->n, sizeof(*s->name), by_bytes);
}

void names_free(struct names *s)
{
    free(s->name);
    *s = (struct names){0};
}

void stamps_add(struct stamps *s, const char *path, struct timespec mtime, struct timespec ctime)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->stamp = realloc(s->stamp, s->cap * sizeof(*s->stamp));
        if (s->stamp == NULL)
            abort();
    }
    struct stamp *t = &s->stamp[s->n++];
    snprintf(t->path, sizeof(t->path), "%s", path);
    t->mtime = mtime;
    t->ctime = ctime;
}

void three_pattern(unsigned seed, uint64_t off, void *out, size_t len)
{
    uint8_t *p = out;
    for (size_t i = 0; i < len; i++) {
        uint64_t at = off + i;
        p[i] = (uint8_t)(1 + (at * 31 + at / 251 + seed * 7919u) % 255); /* never 0: not a hole */
    }
}

uint64_t three_hash(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

uint64_t three_content(uint64_t so_far, uint64_t off, const void *data, size_t len)
{
    static const uint8_t zeros[4096];
    const uint8_t *p = data;
    for (size_t at = 0; at < len; at += 4096) {
        size_t n = len - at < 4096 ? len - at : 4096;
        if (memcmp(p + at, zeros, n) != 0)
            so_far = so_far * 31 + (three_hash(p + at, n) ^ (off + at));
    }
    return so_far;
}
