/*
 * dump_read.c - keeps what a dump needs of each item that a scan visits; see dump.h.
 */
#include "tools/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- pieces ----------------------------------------------------------------------------------- */

static uint64_t keep(struct dump *d, const void *data, size_t len)
{
    uint64_t at = d->bytes.len;

    buf_add_be32(&d->bytes, (uint32_t)len);
    buf_add(&d->bytes, data, len);
    return at;
}

const uint8_t *dump_bytes(const struct dump *d, uint64_t at, size_t *len)
{
    *len = get_be32(d->bytes.data + at);
    return d->bytes.data + at + 4;
}

static int add_value(struct dump *d, struct vec *v, uint64_t ino, const void *data, size_t len)
{
    struct d_value *p = vec_add(v);

    if (p == NULL)
        return -ENOMEM;
    *p = (struct d_value){ino, keep(d, data, len)};
    return 0;
}

static int add_number(struct vec *v, int64_t a, int64_t b, int64_t c)
{
    struct d_number *p = vec_add(v);

    if (p == NULL)
        return -ENOMEM;
    *p = (struct d_number){a, b, c};
    return 0;
}

/* --- readers: rest is what follows the beginning of the key; 0, -EINVAL: malformed, -ENOMEM --- */

#define READER(name)                                                                               \
    static int name(struct dump *d, const struct engine_item *it, const char *rest, size_t len)

READER(read_inode)
{
    uint64_t ino;

    if (!key_number_u64(rest, len, &ino))
        return -EINVAL;
    return add_value(d, &d->inodes, ino, it->value, it->value_len);
}

READER(read_symlink)
{
    uint64_t ino;

    if (!key_number_u64(rest, len, &ino))
        return -EINVAL;
    return add_value(d, &d->symlinks, ino, it->value, it->value_len);
}

READER(read_entry)
{
    struct d_entry e = {.name_len = (uint8_t)it->field_len, .name = d->bytes.len};
    uint64_t dir;
    uint8_t type;

    if (!key_number_u64(rest, len, &dir) || it->field_len == 0 || it->field_len > NAME_LEN_MAX ||
        entry_decode(it->value, it->value_len, &type, &e.ino) < 0)
        return -EINVAL;
    e.parent = dir;
    e.type = type;
    struct d_entry *p = vec_add(&d->entries);
    if (p == NULL)
        return -ENOMEM;
    *p = e;
    buf_add(&d->bytes, it->field, it->field_len);
    return 0;
}

READER(read_record)
{
    struct d_record r = {.visit = d->visits.visit, .index = d->index++};
    uint64_t chunk;

    if (!key_two_numbers(rest, len, '_', &r.ino, &chunk) || chunk > UINT32_MAX)
        return -EINVAL;
    r.chunk = (uint32_t)chunk;
    r.len = it->value_len > UINT8_MAX ? UINT8_MAX : (uint8_t)it->value_len;
    if (it->value_len == RECORD_BYTES)
        memcpy(r.raw, it->value, RECORD_BYTES);
    struct d_record *p = vec_add(&d->records);
    if (p == NULL)
        return -ENOMEM;
    *p = r;
    return 0;
}

READER(read_xattr)
{
    struct d_value *p;
    uint64_t ino;

    if (!key_number_u64(rest, len, &ino))
        return -EINVAL;
    p = vec_add(&d->xattrs);
    if (p == NULL)
        return -ENOMEM;
    *p = (struct d_value){ino, keep(d, it->field, it->field_len)};
    keep(d, it->value, it->value_len);
    return 0;
}

READER(read_acl)
{
    uint64_t id;

    if (!key_number_u64(it->field, it->field_len, &id))
        return -EINVAL;
    return add_value(d, &d->acls, id, it->value, it->value_len);
}

READER(read_session)
{
    int64_t sid;

    return key_number(it->field, it->field_len, &sid) ? add_number(&d->sessions, sid, 0, 0)
                                                      : -EINVAL;
}

READER(read_sustained)
{
    int64_t sid, ino;

    if (!key_number(rest, len, &sid) || !key_number(it->field, it->field_len, &ino))
        return -EINVAL;
    return add_number(&d->sustained, sid, ino, 0);
}

READER(read_removed)
{
    uint64_t ino, length;
    char score[32], *end;

    if (!key_two_numbers(it->field, it->field_len, ':', &ino, &length) ||
        it->value_len >= sizeof score)
        return -EINVAL;
    memcpy(score, it->value, it->value_len); /* Redis may write it as 1.7e+09 */
    score[it->value_len] = '\0';
    double expire = strtod(score, &end);
    if (end == score || *end != '\0')
        return -EINVAL;
    return add_number(&d->removed, (int64_t)expire, (int64_t)ino, (int64_t)length);
}

static int read_quota(const struct engine_item *it, struct vec *v)
{
    const uint8_t *p = it->value;
    uint64_t id;

    if (!key_number_u64(it->field, it->field_len, &id) || it->value_len != 16)
        return -EINVAL;
    return add_number(v, (int64_t)id, (int64_t)get_be64(p), (int64_t)get_be64(p + 8));
}

READER(read_dir_quota)
{
    return read_quota(it, &d->quotas[QUOTA_DIR]);
}

READER(read_user_quota)
{
    return read_quota(it, &d->quotas[QUOTA_USER]);
}

READER(read_group_quota)
{
    return read_quota(it, &d->quotas[QUOTA_GROUP]);
}

READER(read_setting)
{
    buf_clear(&d->setting);
    buf_add(&d->setting, it->value, it->value_len);
    return 0;
}

READER(read_counter)
{
    static const char *const names[COUNT_KINDS] = {"usedSpace", "totalInodes", "nextinode",
                                                   "nextchunk", "nextsession", "nextTrash"};

    for (int i = 0; i < COUNT_KINDS; i++) {
        if (strlen(names[i]) == it->key_len && memcmp(names[i], it->key, it->key_len) == 0)
            return key_number(it->value, it->value_len, &d->counters[i]) ? 0 : -EINVAL;
    }
    return 0;
}

static const struct row {
    struct key_kind kind;
    int (*read)(struct dump *, const struct engine_item *, const char *, size_t);
} rows[] = {
    {{"i", true, 's'}, read_inode},
    {{"d", true, 'h'}, read_entry},
    {{"c", true, 'l'}, read_record},
    {{"s", true, 's'}, read_symlink},
    {{"x", true, 'h'}, read_xattr},
    {{"session", true, 'S'}, read_sustained},
    {{"allSessions", false, 'z'}, read_session},
    {{"delfiles", false, 'z'}, read_removed},
    {{"acl", false, 'h'}, read_acl},
    {{"dirQuota", false, 'h'}, read_dir_quota},
    {{"userQuota", false, 'h'}, read_user_quota},
    {{"groupQuota", false, 'h'}, read_group_quota},
    {{"setting", false, 's'}, read_setting},
    {{"usedSpace", false, 's'}, read_counter},
    {{"totalInodes", false, 's'}, read_counter},
    {{"nextinode", false, 's'}, read_counter},
    {{"nextchunk", false, 's'}, read_counter},
    {{"nextsession", false, 's'}, read_counter},
    {{"nextTrash", false, 's'}, read_counter},
};

static const struct row *row_of(const struct engine_item *it, const char **rest, size_t *len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (key_is(it, &rows[i].kind, rest, len))
            return &rows[i];
    }
    return NULL;
}

int dump_read(void *ctx, const struct engine_item *it)
{
    struct dump *d = ctx;
    const char *rest;
    size_t len;

    if (interrupted())
        return -EINTR;
    const struct row *row = row_of(it, &rest, &len);
    if (row == NULL)
        return 0; /* what the format leaves out: it is counted again when a dump is loaded */
    if (key_visits_next(&d->visits, it)) {
        d->index = 0;
        progress_show(&d->progress, "reading the metadata, inodes", d->inodes.len,
                      (uint64_t)d->counters[COUNT_INODES]);
    }
    int rc = row->kind.type == it->type ? row->read(d, it, rest, len) : -EINVAL;
    if (rc == -EINVAL) {
        char key[300], field[300];
        text_name(it->key, it->key_len, key, sizeof key);
        text_name(it->field != NULL ? it->field : "", it->field_len, field, sizeof field);
        dump_problem(d, "key %s %s is malformed and left out", key, field);
        rc = 0;
    }
    return rc < 0 ? rc : buf_ok(&d->bytes);
}
