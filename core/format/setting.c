/*
 * setting.c - reads the JSON into struct setting, by a table with one row a field.
 *
 * Name and UUID become parts of file names, so what could leave its directory is refused here,
 * before anyone can use it.
 */
#include "core/format/setting.h"

#include "core/base/line.h"
#include "core/format/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum kind {
    TEXT,     /* char[size] */
    NUMBER,   /* uint32_t or uint64_t by size, at most `most` */
    SIGNED,   /* int32_t */
    TRUTH,    /* bool */
    NONEMPTY, /* bool: whether a string has anything in it, of any length */
};

struct field {
    const char *name;
    enum kind kind;
    size_t offset, size;
    uint64_t most;
};

#define AT(member) offsetof(struct setting, member), sizeof(((struct setting *)0)->member)

/* clang-format off */
static const struct field fields[] = {
    {"Name",             TEXT,     AT(name),             0},
    {"UUID",             TEXT,     AT(uuid),             0},
    {"Storage",          TEXT,     AT(storage),          0},
    {"Bucket",           TEXT,     AT(bucket),           0},
    {"BlockSize",        NUMBER,   AT(block_kib),        INT32_MAX},
    {"Compression",      TEXT,     AT(compression),      0},
    {"Shards",           NUMBER,   AT(shards),           INT32_MAX},
    {"HashPrefix",       TRUTH,    AT(hash_prefix),      0},
    {"Capacity",         NUMBER,   AT(capacity_bytes),   UINT64_MAX},
    {"Inodes",           NUMBER,   AT(inodes),           UINT64_MAX},
    {"EncryptKey",       NONEMPTY, AT(encrypted),        0},
    {"TrashDays",        SIGNED,   AT(trash_days),       0},
    {"MetaVersion",      SIGNED,   AT(meta_version),     0},
    {"MinClientVersion", TEXT,     AT(min_client),       0},
    {"MaxClientVersion", TEXT,     AT(max_client),       0},
    {"DirStats",         TRUTH,    AT(dir_stats),        0},
    {"UserGroupQuota",   TRUTH,    AT(user_group_quota), 0},
    {"EnableACL",        TRUTH,    AT(acl),              0},
    {"ChangeLog",        TRUTH,    AT(changelog),        0},
};
/* clang-format on */

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    }
    return NULL;
}

static int read_number(struct json *j, const struct field *f, void *to)
{
    uint64_t v;
    int rc = json_unsigned(j, &v);

    if (rc != 0)
        return rc;
    if (v > f->most)
        return -ERANGE;
    if (f->size == sizeof(uint32_t))
        *(uint32_t *)to = (uint32_t)v;
    else
        *(uint64_t *)to = v;
    return 0;
}

static int read_signed(struct json *j, void *to)
{
    int64_t v;
    int rc = json_integer(j, &v);

    if (rc != 0)
        return rc;
    if (v < INT32_MIN || v > INT32_MAX)
        return -ERANGE;
    *(int32_t *)to = (int32_t)v;
    return 0;
}

static int read_nonempty(struct json *j, void *to)
{
    char some[2];
    int rc = json_string(j, some, sizeof some);

    if (rc != 0 && rc != -E2BIG)
        return rc;
    *(bool *)to = rc == -E2BIG || *some != 0;
    return 0;
}

static int read_field(struct json *j, const struct field *f, struct setting *s)
{
    void *to = (char *)s + f->offset;

    if (json_type(j) == JSON_NULL)
        return json_skip(j);
    switch (f->kind) {
    case TEXT:
        return json_string(j, to, f->size);
    case NUMBER:
        return read_number(j, f, to);
    case SIGNED:
        return read_signed(j, to);
    case TRUTH:
        return json_bool(j, to);
    case NONEMPTY:
        return read_nonempty(j, to);
    }
    return -EINVAL;
}

static const char *reason(int rc)
{
    switch (rc) {
    case -E2BIG:
        return "too long, or a NUL in it";
    case -ERANGE:
        return "out of range";
    default:
        return "not a value of its type";
    }
}

/* Nothing that leads elsewhere.  Names that format would not give are left to their owner. */
static bool plain_name(const char *s)
{
    return strchr(s, '/') == NULL && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool plain_uuid(const char *s)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";

    return s[strspn(s, allowed)] == 0;
}

/* NULL, or what keeps a volume from being used at all. */
static const char *missing(const struct setting *s)
{
    if (*s->name == 0)
        return "no Name in it";
    if (!plain_name(s->name))
        return "Name is not a directory's name";
    if (*s->uuid == 0)
        return "no UUID in it";
    if (!plain_uuid(s->uuid))
        return "UUID is not one";
    if (s->block_kib == 0)
        return "no BlockSize in it";
    return NULL;
}

int setting_parse(const char *json, size_t len, struct setting *out, char *err, size_t errlen)
{
    const char *what;
    struct json j;
    char name[32];

    *out = (struct setting){0};
    json_init(&j, json, len);
    json_object(&j);
    while (json_member(&j, name, sizeof name)) {
        const struct field *f = find_field(name);
        int rc = f != NULL ? read_field(&j, f, out) : json_skip(&j);

        if (rc != 0 && j.wrong == NULL) {
            line_set(err, errlen, "setting of the volume: %s: %s", name, reason(rc));
            return -EINVAL;
        }
    }
    if (!json_done(&j)) {
        line_set(err, errlen, "setting of the volume is not valid JSON: %s at byte %zu", j.wrong,
                 (size_t)(j.at - j.start));
        return -EINVAL;
    }
    what = missing(out);
    if (what != NULL) {
        line_set(err, errlen, "setting of the volume: %s", what);
        return -EINVAL;
    }
    return 0;
}
