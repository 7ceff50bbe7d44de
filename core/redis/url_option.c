/*
 * url_option.c - what may follow the ? of a metadata URL.
 *
 * One row an option.  Stock's options that steer its connection pool or its own cache change
 * nothing here and are accepted, so a URL that works there works here; those that would promise
 * something this build does not do are refused by name.  Ours are core/meta/params.c's.
 */
#include "core/redis/rds_internal.h"

#include "core/base/line.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX_MS 2000000000.0 /* fits int, as poll and friends want it */

enum option_kind {
    TAKES_DURATION,
    TAKES_NUMBER,
    CHANGES_NOTHING,
    NEEDS_TLS,
};

struct option {
    const char *name; /* '-' also stands for '_' */
    enum option_kind kind;
    size_t field;
    uint32_t min, max;
};

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
#define FIELD(f)   offsetof(struct rds_url, f)

/* clang-format off */
static const struct option options[] = {
    {"db",                     TAKES_NUMBER,    FIELD(db), 0, INT_MAX},
    {"min-retry-backoff",      TAKES_DURATION,  FIELD(min_backoff_ms), 0, 0},
    {"max-retry-backoff",      TAKES_DURATION,  FIELD(max_backoff_ms), 0, 0},
    {"read-timeout",           TAKES_DURATION,  FIELD(read_timeout_ms), 0, 0},
    {"write-timeout",          TAKES_DURATION,  FIELD(write_timeout_ms), 0, 0},
    {"dial-timeout",           TAKES_DURATION,  FIELD(connect_timeout_ms), 0, 0},

    {"route-read",             CHANGES_NOTHING, 0, 0, 0},
    {"client-cache",           CHANGES_NOTHING, 0, 0, 0},
    {"client-cache-size",      CHANGES_NOTHING, 0, 0, 0},
    {"client-cache-expire",    CHANGES_NOTHING, 0, 0, 0},
    {"client-cache-preload",   CHANGES_NOTHING, 0, 0, 0},
    {"client-name",            CHANGES_NOTHING, 0, 0, 0},
    {"protocol",               CHANGES_NOTHING, 0, 0, 0},
    {"max-retries",            CHANGES_NOTHING, 0, 0, 0},
    {"pool-fifo",              CHANGES_NOTHING, 0, 0, 0},
    {"pool-size",              CHANGES_NOTHING, 0, 0, 0},
    {"pool-timeout",           CHANGES_NOTHING, 0, 0, 0},
    {"min-idle-conns",         CHANGES_NOTHING, 0, 0, 0},
    {"max-idle-conns",         CHANGES_NOTHING, 0, 0, 0},
    {"max-active-conns",       CHANGES_NOTHING, 0, 0, 0},
    {"conn-max-idle-time",     CHANGES_NOTHING, 0, 0, 0},
    {"conn-max-lifetime",      CHANGES_NOTHING, 0, 0, 0},
    {"idle-timeout",           CHANGES_NOTHING, 0, 0, 0},
    {"idle-check-frequency",   CHANGES_NOTHING, 0, 0, 0},
    {"max-conn-age",           CHANGES_NOTHING, 0, 0, 0},

    {"insecure-skip-verify",   NEEDS_TLS,       0, 0, 0},
    {"skip-verify",            NEEDS_TLS,       0, 0, 0},
    {"tls-cert-file",          NEEDS_TLS,       0, 0, 0},
    {"tls-key-file",           NEEDS_TLS,       0, 0, 0},
    {"tls-ca-cert-file",       NEEDS_TLS,       0, 0, 0},
    {"tls-server-name",        NEEDS_TLS,       0, 0, 0},
};
/* clang-format on */

static bool is_same_name(const char *row, const char *given)
{
    for (; *row && (*row == *given || (*row == '-' && *given == '_')); row++, given++)
        continue;
    return *row == *given;
}

/* Digits with an optional fraction; returns the first byte after, NULL when there are none. */
static const char *read_decimal(const char *p, double *value)
{
    double v = 0, scale = 1;
    int digits = 0;

    for (; *p >= '0' && *p <= '9'; p++, digits++)
        v = v * 10 + (*p - '0');
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, digits++)
            v += (*p - '0') * (scale /= 10);
    }
    *value = v;
    return digits ? p : NULL;
}

/* Go's time.ParseDuration without a sign: "30s", "1m30s", "1.5h", "20ms", "0". */
static int parse_duration(const char *text, uint32_t *ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ns", 1e-6}, {"us", 1e-3},  {"\xc2\xb5s", 1e-3}, {"\xce\xbcs", 1e-3},
                 {"ms", 1},    {"s", 1000.0}, {"m", 60000.0},      {"h", 3600000.0}};
    const char *p = text;
    double sum = 0;

    if (!strcmp(text, "0")) {
        *ms = 0;
        return 0;
    }
    if (!*p)
        return -EINVAL;
    while (*p) {
        double v;
        size_t i;

        p = read_decimal(p, &v);
        if (!p)
            return -EINVAL;
        /* The whole word up to the next number is the unit, so "ms" is not minutes and an s. */
        size_t len = strcspn(p, ".0123456789");
        for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strlen(units[i].name) == len && !memcmp(units[i].name, p, len))
                break;
        }
        if (i == sizeof(units) / sizeof(units[0]))
            return -EINVAL;
        sum += v * units[i].ms;
        p += len;
    }
    if (sum > DURATION_MAX_MS)
        return -EINVAL;
    *ms = (uint32_t)sum;
    if (*ms < sum)
        *ms += 1;
    return 0;
}

static int parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(*text - '0');
        if (v > max)
            return -EINVAL;
    }
    if (v < min)
        return -EINVAL;
    *out = (uint32_t)v;
    return 0;
}

int rds_url_option(struct rds_url *u, const char *name, const char *value, char *err, size_t errlen)
{
    const struct option *o = options, *end = options + sizeof(options) / sizeof(options[0]);
    uint32_t v = 0;

    while (o < end && !is_same_name(o->name, name))
        o++;
    if (o == end && name[strspn(name, NAME_CHARS)]) {
        line_set(err, errlen, "metadata URL: malformed parameter name");
        return -EINVAL;
    }
    if (o == end) {
        line_set(err, errlen, "metadata URL: unknown parameter \"%.64s\"", name);
        return -EINVAL;
    }
    switch (o->kind) {
    case TAKES_DURATION:
        if (parse_duration(value, &v) < 0) {
            line_set(err, errlen, "metadata URL: %s wants a duration such as 30s or 20ms", o->name);
            return -EINVAL;
        }
        if (v > 0) /* 0 asks for the default */
            memcpy((char *)u + o->field, &v, sizeof(v));
        return 0;
    case TAKES_NUMBER:
        if (parse_number(value, o->min, o->max, &v) < 0) {
            line_set(err, errlen, "metadata URL: %.64s wants a number from %u to %u", name, o->min,
                     o->max);
            return -EINVAL;
        }
        memcpy((char *)u + o->field, &v, sizeof(v));
        return 0;
    case CHANGES_NOTHING:
        return 0;
    case NEEDS_TLS:
        line_set(err, errlen, "metadata URL: %.64s: TLS is not built in yet", name);
        return -ENOTSUP;
    }
    return -EINVAL;
}
