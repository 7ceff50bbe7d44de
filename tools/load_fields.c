/*
 * load_fields.c - members of an entry in a dump; see load.h.
 */
#include "tools/load.h"

#include "core/format/percent.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int bad(struct load *l, const char *what)
{
    return load_fail(l, "%s", l->j.wrong != NULL ? l->j.wrong : what);
}

int load_string(struct load *l, const char *what, size_t *len)
{
    int rc = json_string(&l->j, l->text, LOAD_TEXT);

    if (rc == -E2BIG)
        return load_fail(l, "%s is too long or has a NUL", what);
    if (rc < 0)
        return load_fail(l, "%s: %s", what, l->j.wrong != NULL ? l->j.wrong : "not a string");
    *len = percent_read(l->text, strlen(l->text));
    return 0;
}

/* --- attr ------------------------------------------------------------------------------------- */

static const char *const types[] = {NULL,   "regular",  "directory", "symlink",
                                    "fifo", "blockdev", "chardev",   "socket"};

enum number_name {
    A_INODE,
    A_FLAGS,
    A_MODE,
    A_UID,
    A_GID,
    A_ATIME_NSEC,
    A_MTIME_NSEC,
    A_CTIME_NSEC,
    A_LENGTH,
    A_RDEV,
    A_TIER,
    A_NUMBERS,
};

static const struct {
    const char *name;
    uint64_t most;
} numbers[A_NUMBERS] = {
    [A_INODE] = {"inode", INT64_MAX},
    [A_FLAGS] = {"flags", UINT8_MAX},
    [A_MODE] = {"mode", 07777},
    [A_UID] = {"uid", UINT32_MAX},
    [A_GID] = {"gid", UINT32_MAX},
    [A_ATIME_NSEC] = {"atimensec", 999999999},
    [A_MTIME_NSEC] = {"mtimensec", 999999999},
    [A_CTIME_NSEC] = {"ctimensec", 999999999},
    [A_LENGTH] = {"length", INT64_MAX},
    [A_RDEV] = {"rdev", UINT32_MAX},
    [A_TIER] = {"tier", UINT8_MAX},
};

static int read_type(struct load *l, struct attr *a)
{
    char text[16];

    if (json_string(&l->j, text, sizeof text) == 0) {
        for (uint8_t t = TYPE_FILE; t <= TYPE_SOCKET; t++) {
            if (strcmp(types[t], text) == 0) {
                a->type = t;
                return 0;
            }
        }
    }
    return bad(l, "an unknown type");
}

static int read_number(struct load *l, enum number_name i, uint64_t *out)
{
    int rc = json_unsigned(&l->j, out);

    if (rc < 0 || *out > numbers[i].most)
        return load_fail(l, "%s: %s", numbers[i].name,
                         l->j.wrong != NULL ? l->j.wrong
                         : rc == -EINVAL    ? "not a number"
                                            : "out of range");
    return 0;
}

int load_attr(struct load *l, struct l_node *n)
{
    uint64_t v[A_NUMBERS] = {0};
    struct attr *a = &n->a;
    char name[24];

    for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
        int64_t *sec = strcmp(name, "atime") == 0   ? &a->atime.sec
                       : strcmp(name, "mtime") == 0 ? &a->mtime.sec
                       : strcmp(name, "ctime") == 0 ? &a->ctime.sec
                                                    : NULL;
        int i = 0;
        while (i < A_NUMBERS && strcmp(numbers[i].name, name) != 0)
            i++;
        int rc = 0;
        if (sec != NULL)
            rc = json_integer(&l->j, sec) < 0 ? load_fail(l, "%s is not a number", name) : 0;
        else if (strcmp(name, "type") == 0)
            rc = read_type(l, a);
        else if (i < A_NUMBERS)
            rc = read_number(l, (enum number_name)i, &v[i]);
        else
            json_skip(&l->j); /* nlink among them: it is counted */
        if (rc < 0)
            return rc;
    }
    if (l->j.wrong != NULL)
        return bad(l, "");
    if (v[A_INODE] == 0 || a->type == 0)
        return load_fail(l, "attr without inode or type");
    n->ino = v[A_INODE];
    a->flags = (uint8_t)v[A_FLAGS];
    a->mode = (uint16_t)v[A_MODE];
    a->uid = (uint32_t)v[A_UID];
    a->gid = (uint32_t)v[A_GID];
    a->atime.nsec = (uint32_t)v[A_ATIME_NSEC];
    a->mtime.nsec = (uint32_t)v[A_MTIME_NSEC];
    a->ctime.nsec = (uint32_t)v[A_CTIME_NSEC];
    a->length = a->type == TYPE_FILE ? v[A_LENGTH] : a->type == TYPE_DIRECTORY ? 4096 : 0;
    a->rdev = (uint32_t)v[A_RDEV];
    a->tier = (uint8_t)v[A_TIER];
    return 0;
}

/* --- xattrs ----------------------------------------------------------------------------------- */

int load_xattrs(struct load *l, struct l_node *n)
{
    char member[16], name[NAME_LEN_MAX + 1];

    if (json_type(&l->j) == JSON_NULL)
        return json_skip(&l->j);
    for (json_array(&l->j); json_element(&l->j);) {
        size_t len = 0;
        bool has_value = false;
        name[0] = '\0';
        for (json_object(&l->j); json_member(&l->j, member, sizeof member);) {
            if (strcmp(member, "name") == 0) {
                if (json_string(&l->j, name, sizeof name) < 0)
                    return bad(l, "the name of an attribute is no string of 1 to 255 bytes");
            } else if (strcmp(member, "value") == 0) {
                if (load_string(l, "an attribute's value", &len) < 0)
                    return -1;
                has_value = true;
            } else {
                json_skip(&l->j);
            }
        }
        if (l->j.wrong != NULL || name[0] == '\0' || !has_value)
            return bad(l, "an attribute without name or value");
        if (l->put != NULL && n->is_first && put_xattr(l, n->ino, name, l->text, len) < 0)
            return -1;
    }
    return l->j.wrong != NULL ? bad(l, "") : 0;
}

/* --- ACL -------------------------------------------------------------------------------------- */

static int read_acl_list(struct load *l, struct buf *out)
{
    uint32_t count = 0;
    char name[8];

    buf_add_be32(out, 0);
    if (json_type(&l->j) == JSON_NULL)
        return json_skip(&l->j);
    for (json_array(&l->j); json_element(&l->j); count++) {
        uint64_t id = UINT64_MAX, perm = UINT64_MAX;
        for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
            if (strcmp(name, "id") == 0)
                json_unsigned(&l->j, &id);
            else if (strcmp(name, "perm") == 0)
                json_unsigned(&l->j, &perm);
            else
                json_skip(&l->j);
        }
        if (l->j.wrong != NULL || id > UINT32_MAX || perm > 7)
            return bad(l, "not an id and its rights");
        buf_add_be32(out, (uint32_t)id);
        buf_add_be16(out, (uint16_t)perm);
    }
    if (l->j.wrong != NULL)
        return bad(l, "");
    if (buf_ok(out) == 0)
        put_be32(out->data, count);
    return 0;
}

/* Equal rules share an id. */
static uint32_t rule_id(struct load *l, const struct buf *rule)
{
    struct l_rule *r;

    for (size_t i = 0; i < l->rules.len; i++) {
        r = vec_at(&l->rules, i);
        if (r->len == rule->len && memcmp(l->rule_bytes.data + r->at, rule->data, r->len) == 0)
            return (uint32_t)i + 1;
    }
    r = vec_add(&l->rules);
    if (r == NULL)
        return 0;
    *r = (struct l_rule){l->rule_bytes.len, rule->len};
    buf_add(&l->rule_bytes, rule->data, rule->len);
    return buf_ok(&l->rule_bytes) < 0 ? 0 : (uint32_t)l->rules.len;
}

int load_acl(struct load *l, uint32_t *id)
{
    static const char *const parts[] = {"owner", "group", "mask", "other"};
    uint64_t bits[4] = {UINT16_MAX, UINT16_MAX, UINT16_MAX, UINT16_MAX};
    struct buf rule = {0}, users = {0}, groups = {0};
    char name[16];
    int rc = 0;

    if (json_type(&l->j) == JSON_NULL)
        return json_skip(&l->j);
    for (json_object(&l->j); rc == 0 && json_member(&l->j, name, sizeof name);) {
        int i = 0;
        while (i < 4 && strcmp(parts[i], name) != 0)
            i++;
        if (i < 4 && (json_unsigned(&l->j, &bits[i]) < 0 || bits[i] > UINT16_MAX))
            rc = bad(l, "not the rights of an ACL");
        else if (strcmp(name, "users") == 0)
            rc = read_acl_list(l, &users);
        else if (strcmp(name, "groups") == 0)
            rc = read_acl_list(l, &groups);
        else if (i == 4)
            json_skip(&l->j);
    }
    if (rc == 0 && l->j.wrong != NULL)
        rc = bad(l, "");
    for (int i = 0; i < 4; i++)
        buf_add_be16(&rule, (uint16_t)bits[i]);
    buf_add(&rule, users.len > 0 ? users.data : (const uint8_t[4]){0},
            users.len > 0 ? users.len : 4);
    buf_add(&rule, groups.len > 0 ? groups.data : (const uint8_t[4]){0},
            groups.len > 0 ? groups.len : 4);
    if (rc == 0) {
        bool lost = users.failed || groups.failed || rule.failed;
        *id = lost ? 0 : rule_id(l, &rule);
        if (*id == 0) {
            l->rc = -ENOMEM;
            rc = -1;
        }
    }
    buf_free(&rule);
    buf_free(&users);
    buf_free(&groups);
    return rc;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static int read_slice(struct load *l, struct record *r)
{
    uint64_t id = 0, pos = 0, size = 0, off = 0, len = 0;
    uint8_t raw[RECORD_BYTES];
    char name[16];

    for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
        uint64_t *to = strcmp(name, "id") == 0 || strcmp(name, "chunkid") == 0 ? &id
                       : strcmp(name, "pos") == 0                              ? &pos
                       : strcmp(name, "size") == 0                             ? &size
                       : strcmp(name, "off") == 0                              ? &off
                       : strcmp(name, "len") == 0                              ? &len
                                                                               : NULL;
        if (to == NULL)
            json_skip(&l->j);
        else if (json_unsigned(&l->j, to) < 0)
            return bad(l, "a slice's numbers are expected");
    }
    if (l->j.wrong != NULL)
        return bad(l, "");
    *r = (struct record){(uint32_t)pos, id, (uint32_t)size, (uint32_t)off, (uint32_t)len};
    record_encode(r, raw);
    struct record again;
    if (pos > UINT32_MAX || size > UINT32_MAX || off > UINT32_MAX || len > UINT32_MAX || len == 0 ||
        id > INT64_MAX / 2 || record_decode(raw, sizeof raw, &again) < 0)
        return load_fail(l, "a slice that no chunk can have");
    return 0;
}

int load_chunks(struct load *l, struct l_node *n)
{
    char name[16];

    if (n->a.type != TYPE_FILE)
        return load_fail(l, "chunks in what is no file");
    if (json_type(&l->j) == JSON_NULL)
        return json_skip(&l->j);
    for (json_array(&l->j); json_element(&l->j);) {
        uint64_t index = UINT64_MAX;
        for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
            struct record r;
            if (strcmp(name, "index") == 0) {
                if (json_unsigned(&l->j, &index) < 0 || index > UINT32_MAX)
                    return bad(l, "not the index of a chunk");
                continue;
            }
            if (strcmp(name, "slices") != 0 || json_type(&l->j) == JSON_NULL) {
                json_skip(&l->j);
                continue;
            }
            if (index > UINT32_MAX)
                return load_fail(l, "index is expected before slices");
            for (json_array(&l->j); json_element(&l->j);) {
                if (read_slice(l, &r) < 0)
                    return -1;
                if (l->put != NULL && n->is_first && put_record(l, n->ino, (uint32_t)index, &r) < 0)
                    return -1;
            }
        }
    }
    return l->j.wrong != NULL ? bad(l, "") : 0;
}
