/*
 * params.c - the table of batching parameters and its reader; see params.h.
 *
 * What the table does not know stays in the URL for the engine, which knows its own options and
 * refuses the rest.
 */
#include "core/meta/params.h"

#include "core/base/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define GIB (1024u * MIB)

enum param_kind {
    SWITCH,     /* bool */
    COUNT,      /* the numbers: uint32_t */
    SIZE,       /* bytes */
    DURATION,   /* ms */
    WORD,       /* bool, set by the one word */
    NOT_BUILT,  /* refused by name */
    SWITCH_OFF, /* the same, but 0 may be said */
};

struct param {
    const char *name;
    enum param_kind kind;
    size_t field;
    uint32_t min, max, value; /* range and default */
    const char *word;
};

#define FIELD(f) offsetof(struct batch_params, f)

/* clang-format off */
static const struct param params[] = {
    {"batchwrite",          SWITCH,     FIELD(batchwrite),          0, 1, 1, NULL},
    {"batch_size",          COUNT,      FIELD(batch_size),          1, 4096, 512, NULL},
    {"batch_size_max",      COUNT,      FIELD(batch_size_max),      1, 4096, 2048, NULL},
    {"high_watermark",      COUNT,      FIELD(high_watermark),      1, 1000000, 2048, NULL},
    {"low_watermark",       COUNT,      FIELD(low_watermark),       0, 1000000, 512, NULL},
    {"batch_bytes",         SIZE,       FIELD(batch_bytes),         4 * KIB, 16 * MIB, 256 * KIB, NULL},
    {"batch_interval",      DURATION,   FIELD(batch_interval_ms),   1, 60000, 10, NULL},
    {"max_pending",         COUNT,      FIELD(max_pending),         1, 1000000, 100000, NULL},
    {"max_pending_bytes",   SIZE,       FIELD(max_pending_bytes),   64 * KIB, GIB, 64 * MIB, NULL},
    {"unsafe_batch",        SWITCH,     FIELD(unsafe_batch),        0, 1, 0, NULL},
    {"metaprime",           SWITCH,     FIELD(metaprime),           0, 1, 1, NULL},
    {"inode_batch",         COUNT,      FIELD(inode_batch),         1, 65536, 0, NULL},
    {"chunk_batch",         COUNT,      FIELD(chunk_batch),         1, 65536, 0, NULL},
    {"inode_low_watermark", COUNT,      FIELD(inode_low_watermark), 1, 65535, 0, NULL},
    {"chunk_low_watermark", COUNT,      FIELD(chunk_low_watermark), 1, 65535, 0, NULL},
    {"sync",                WORD,       FIELD(sync_close),          0, 1, 0, "close"},
    {"excl",                WORD,       FIELD(excl_strict),         0, 1, 0, "strict"},
    {"pack",                SWITCH,     FIELD(pack),                0, 1, 1, NULL},
    {"pack_max",            SIZE,       FIELD(pack_max),            1, 4 * MIB, 512 * KIB, NULL},
    {"fast_meta",           SWITCH_OFF, 0,                          0, 0, 0, NULL},
    {"ttl",                 NOT_BUILT,  0,                          0, 0, 0, NULL},
    {"open_ttl",            NOT_BUILT,  0,                          0, 0, 0, NULL},
};
/* clang-format on */
#define PARAMS (sizeof params / sizeof *params)

static void set(struct batch_params *out, const struct param *p, uint32_t value)
{
    char *field = (char *)out + p->field;
    bool flag = value != 0;

    if (p->kind == SWITCH || p->kind == WORD)
        memcpy(field, &flag, sizeof flag);
    else if (p->kind == COUNT || p->kind == SIZE || p->kind == DURATION)
        memcpy(field, &value, sizeof value);
}

void batch_params_default(struct batch_params *p)
{
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < PARAMS; i++)
        set(p, &params[i], params[i].value);
}

/* --- values ----------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint32_t times;
};

static const struct unit counts[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1},    {"k", KIB}, {"K", KIB}, {"m", MIB},
                                    {"M", MIB}, {"g", GIB}, {"G", GIB}, {NULL, 0}};
static const struct unit durations[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {NULL, 0}};

/* Digits and a unit.  -EINVAL, -ERANGE. */
static int read_number(const char *text, const struct param *p, uint32_t *out)
{
    const struct unit *u = p->kind == SIZE ? sizes : p->kind == DURATION ? durations : counts;
    size_t digits = strspn(text, "0123456789");
    uint64_t v = 0;

    for (size_t i = 0; i < digits && v <= UINT32_MAX; i++)
        v = v * 10 + (uint64_t)(text[i] - '0');
    while (u->name != NULL && strcmp(u->name, text + digits) != 0)
        u++;
    if (digits == 0 || u->name == NULL)
        return -EINVAL;
    v *= u->times;
    if (v < p->min || v > p->max)
        return -ERANGE;
    *out = (uint32_t)v;
    return 0;
}

static int read_switch(const char *text, uint32_t *out)
{
    *out = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
    return *out || strcmp(text, "0") == 0 || strcmp(text, "false") == 0 ? 0 : -EINVAL;
}

/* 262144 -> "256k" */
static void show(const struct param *p, uint32_t v, char out[16])
{
    const char *unit = "";

    if (p->kind == DURATION) {
        unit = v % 1000 == 0 ? "s" : "ms";
        v = v % 1000 == 0 ? v / 1000 : v;
    } else if (p->kind == SIZE) {
        for (const struct unit *u = sizes; u->name != NULL; u++)
            if (v % u->times == 0 && strchr("kmg", u->name[0]) != NULL && v >= u->times)
                unit = u->name;
        for (const struct unit *u = sizes; u->name != NULL; u++)
            if (strcmp(u->name, unit) == 0)
                v /= u->times;
    }
    snprintf(out, 16, "%u%s", v, unit);
}

static int bad_value(const struct param *p, const char *value, char *err, size_t errlen)
{
    char min[16], max[16];

    if (p->kind == SWITCH || p->kind == SWITCH_OFF) {
        line_set(err, errlen, "metadata URL: %s=%.32s: want 0 or 1", p->name, value);
    } else if (p->kind == WORD) {
        line_set(err, errlen, "metadata URL: %s=%.32s: want %s=%s", p->name, value, p->name,
                 p->word);
    } else {
        show(p, p->min, min);
        show(p, p->max, max);
        line_set(err, errlen, "metadata URL: %s=%.32s: want a %s from %s to %s", p->name, value,
                 p->kind == SIZE       ? "size"
                 : p->kind == DURATION ? "duration"
                                       : "number",
                 min, max);
    }
    return -EINVAL;
}

static int take(const struct param *p, const char *value, struct batch_params *out, char *err,
                size_t errlen)
{
    uint32_t v = 1;
    int rc = 0;

    if (p->kind == SWITCH || p->kind == SWITCH_OFF)
        rc = read_switch(value, &v);
    else if (p->kind == WORD)
        rc = strcmp(value, p->word) == 0 ? 0 : -EINVAL;
    else if (p->kind != NOT_BUILT)
        rc = read_number(value, p, &v);
    if (rc < 0)
        return bad_value(p, value, err, errlen);
    if (p->kind == NOT_BUILT || (p->kind == SWITCH_OFF && v != 0)) {
        line_set(err, errlen, "metadata URL: %s is not built in yet", p->name);
        return -ENOTSUP;
    }
    set(out, p, v);
    return 0;
}

/* --- the query -------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* [p, end) with %XX decoded; false: malformed or longer than any name and value of ours. */
static bool decode(const char *p, const char *end, char *out, size_t cap)
{
    size_t n = 0;

    for (; p < end && n + 1 < cap; p++) {
        char c = *p;
        if (c == '%') {
            if (end - p < 3 || hex(p[1]) < 0 || hex(p[2]) < 0)
                return false;
            c = (char)(hex(p[1]) << 4 | hex(p[2]));
            p += 2;
        }
        if (c == '\0')
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return p == end;
}

static const struct param *find(const char *name)
{
    for (size_t i = 0; i < PARAMS; i++) {
        const char *row = params[i].name, *p = name;
        while (*row != '\0' && (*row == *p || (*row == '_' && *p == '-')))
            row++, p++;
        if (*row == *p)
            return &params[i];
    }
    return NULL;
}

static bool is_given(const bool *given, const char *name)
{
    return given[find(name) - params];
}

/* What no single value shows.  given: the rows that the URL names. */
static int check(struct batch_params *p, const bool *given, char *err, size_t errlen)
{
    if (p->batch_size_max < p->batch_size && !is_given(given, "batch_size_max"))
        p->batch_size_max = p->batch_size;
    if (p->low_watermark >= p->high_watermark && !is_given(given, "low_watermark"))
        p->low_watermark = p->high_watermark - 1;

    const struct {
        const char *name;
        uint32_t value, most;
    } limits[] = {
        {"batch_size", p->batch_size, p->batch_size_max},
        {"low_watermark", p->low_watermark, p->high_watermark - 1},
        {"inode_low_watermark", p->inode_low_watermark, p->inode_batch - 1},
        {"chunk_low_watermark", p->chunk_low_watermark, p->chunk_batch - 1},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].value <= limits[i].most) /* an id batch of 0 is the engine's: no limit */
            continue;
        line_set(err, errlen, "metadata URL: %s=%u: at most %u with the other parameters",
                 limits[i].name, limits[i].value, limits[i].most);
        return -EINVAL;
    }
    return 0;
}

int batch_params_take(const char *url, struct batch_params *out, char **rest, char *err,
                      size_t errlen)
{
    const char *p = url + strcspn(url, "?");
    bool given[PARAMS] = {false};
    char *to;

    batch_params_default(out);
    *rest = to = strdup(url);
    if (to == NULL) {
        snprintf(err, errlen, "no memory");
        return -ENOMEM;
    }
    /* Behind an @ a piece of the query may be one of a password: the engine says so without it. */
    if (*p == '\0' || strchr(p, '@') != NULL)
        return 0;
    to += p - url;
    for (char sep = '?'; *p != '\0';) {
        const char *from = p + 1, *end = from + strcspn(from, "&");
        const char *eq = memchr(from, '=', (size_t)(end - from));
        const struct param *row = NULL;
        char name[32], value[64] = "";

        p = end;
        if (decode(from, eq != NULL ? eq : end, name, sizeof name))
            row = find(name);
        if (row != NULL) {
            const char *v = eq != NULL ? eq + 1 : end;
            int rc = decode(v, end, value, sizeof value)
                         ? take(row, value, out, err, errlen)
                         : bad_value(row, "(malformed)", err, errlen);
            if (rc < 0) {
                free(*rest);
                *rest = NULL;
                return rc;
            }
            given[row - params] = true;
        } else if (end > from) {
            *to++ = sep;
            sep = '&';
            memcpy(to, from, (size_t)(end - from));
            to += end - from;
        }
    }
    *to = '\0';
    int rc = check(out, given, err, errlen);
    if (rc < 0) {
        free(*rest);
        *rest = NULL;
    }
    return rc;
}
