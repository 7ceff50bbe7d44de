/*
 * load_put.c - the keys of a volume from what a dump says (juicefs-format.md 3); see load.h.
 */
#include "tools/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_SIZE 64

static int put(struct load *l, char type, const char *key, const void *field, size_t field_len,
               const void *value, size_t value_len)
{
    const struct engine_item it = {.key = key,
                                   .key_len = strlen(key),
                                   .type = type,
                                   .field = field,
                                   .field_len = field_len,
                                   .value = value,
                                   .value_len = value_len};

    l->rc = l->put(l->sink, &it);
    return l->rc < 0 ? -1 : 0;
}

static int put_text(struct load *l, char type, const char *key, const char *field, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);

    return put(l, type, key, field, field != NULL ? strlen(field) : 0, text, (size_t)len);
}

static void make_key(char out[KEY_SIZE], char letter, uint64_t ino)
{
    snprintf(out, KEY_SIZE, "%c%" PRIu64, letter, ino);
}

/* --- an entry --------------------------------------------------------------------------------- */

int put_entry(struct load *l, const struct l_node *n)
{
    uint8_t value[ENTRY_BYTES];
    char key[KEY_SIZE];

    make_key(key, 'd', n->parent);
    entry_encode(n->a.type, n->ino, value);
    return put(l, 'h', key, l->name, l->name_len, value, sizeof value);
}

int put_symlink(struct load *l, uint64_t ino, size_t len)
{
    char key[KEY_SIZE];

    make_key(key, 's', ino);
    return put(l, 's', key, NULL, 0, l->text, len);
}

int put_xattr(struct load *l, uint64_t ino, const char *name, const void *value, size_t len)
{
    char key[KEY_SIZE];

    make_key(key, 'x', ino);
    return put(l, 'h', key, name, strlen(name), value, len);
}

int put_record(struct load *l, uint64_t ino, uint32_t chunk, const struct record *r)
{
    uint8_t raw[RECORD_BYTES];
    char key[KEY_SIZE];

    snprintf(key, sizeof key, "c%" PRIu64 "_%" PRIu32, ino, chunk);
    record_encode(r, raw);
    if (r->id > 0) {
        struct l_slice *s = vec_add(&l->slices);
        if (s == NULL) {
            l->rc = -ENOMEM;
            return -1;
        }
        *s = (struct l_slice){r->id, r->size};
        if ((int64_t)r->id > l->counters[L_NEXT_CHUNK])
            l->counters[L_NEXT_CHUNK] = (int64_t)r->id;
    }
    return put(l, 'l', key, NULL, 0, raw, sizeof raw);
}

static int put_stats(struct load *l, uint64_t dir, const struct usage *u)
{
    char field[24];

    snprintf(field, sizeof field, "%" PRIu64, dir);
    if (put_text(l, 'h', "dirDataLength", field, u->length) < 0 ||
        put_text(l, 'h', "dirUsedSpace", field, u->space) < 0)
        return -1;
    return put_text(l, 'h', "dirUsedInodes", field, u->inodes);
}

/* Parents of a file with several names, each with their number; names are sorted by them. */
static int put_parents(struct load *l, const struct l_name *names, size_t n)
{
    char key[KEY_SIZE], field[24];

    make_key(key, 'p', names->ino);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && names[next].parent == names[i].parent;)
            next++;
        snprintf(field, sizeof field, "%" PRIu64, names[i].parent);
        if (put_text(l, 'h', key, field, (int64_t)(next - i)) < 0)
            return -1;
    }
    return 0;
}

/* Every user and group that has something gets a record, with or without a limit. */
static int count_owner(struct load *l, enum l_quota_kind kind, uint64_t id, int64_t space)
{
    struct l_quota *q = load_quota_of(l, kind, id);

    if (q == NULL) {
        l->rc = -ENOMEM;
        return -1;
    }
    q->used.space += space;
    q->used.inodes++;
    return 0;
}

static int count_inode(struct load *l, const struct l_node *n)
{
    int64_t space = (int64_t)usage_of_length(n->a.type == TYPE_FILE ? n->a.length : 0);

    l->counters[L_SPACE] += space;
    l->counters[L_INODES]++;
    if (!l->set.user_group_quota || load_is_hour(n->ino))
        return 0;
    return count_owner(l, L_USER, n->a.uid, space) < 0 ? -1
                                                       : count_owner(l, L_GROUP, n->a.gid, space);
}

int put_inode(struct load *l, struct l_node *n)
{
    bool is_root = n->ino == INO_ROOT || n->ino == INO_TRASH;
    const struct l_name *names = NULL;
    struct attr a = n->a;
    uint8_t raw[ATTR_BYTES_MAX];
    char key[KEY_SIZE];
    size_t count = 0;

    /* What `juicefs dump` writes for a trash that was never made. */
    if (n->ino == INO_TRASH && a.mode == 0 && a.ctime.sec == 0 && n->entries.inodes == 0)
        return 0;
    a.parent = n->parent;
    if (!is_root) {
        names = load_names(l, n->ino, &count);
        if (names == NULL)
            return load_fail(l, "the file changed while it was read");
    }
    if (a.type == TYPE_DIRECTORY) {
        a.nlink = n->ino >= INO_TRASH ? 2 : 2 + n->subdirs; /* stock counts none in the trash */
    } else {
        a.nlink = (uint32_t)count;
        if (count > 1) {
            a.parent = 0;
            if (put_parents(l, names, count) < 0)
                return -1;
        }
    }
    make_key(key, 'i', n->ino);
    if (put(l, 's', key, NULL, 0, raw, attr_encode(&a, raw)) < 0)
        return -1;
    if (!is_root && count_inode(l, n) < 0)
        return -1;
    if (a.type != TYPE_DIRECTORY)
        return 0;
    struct l_quota *q = load_quota(l, L_DIR, n->ino);
    if (q != NULL)
        q->used = n->below;
    return put_stats(l, n->ino, &n->entries);
}

/* --- the rest --------------------------------------------------------------------------------- */

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int by_slice(const void *a, const void *b)
{
    const struct l_slice *x = a, *y = b;
    int c = ORDER(x->id, y->id);

    return c != 0 ? c : ORDER(x->size, y->size);
}

/* References that are more than one. */
static int put_slice_refs(struct load *l)
{
    char field[48];

    vec_sort(&l->slices, by_slice);
    for (size_t i = 0, next; i < l->slices.len; i = next) {
        const struct l_slice *s = vec_at(&l->slices, i);
        for (next = i + 1; next < l->slices.len && by_slice(s, vec_at(&l->slices, next)) == 0;)
            next++;
        snprintf(field, sizeof field, "k%" PRIu64 "_%" PRIu32, s->id, s->size);
        if (next - i > 1 && put_text(l, 'h', "sliceRef", field, (int64_t)(next - i - 1)) < 0)
            return -1;
    }
    return 0;
}

static int put_quotas(struct load *l, enum l_quota_kind kind)
{
    static const char *const stems[L_QUOTAS] = {"dirQuota", "userQuota", "groupQuota"};
    char key[KEY_SIZE], field[24];
    uint8_t limits[16];

    for (size_t i = 0; i < l->quotas[kind].len; i++) {
        const struct l_quota *q = vec_at(&l->quotas[kind], i);
        int len = snprintf(field, sizeof field, "%" PRIu64, q->id);
        put_be64(limits, (uint64_t)q->max_space);
        put_be64(limits + 8, (uint64_t)q->max_inodes);
        if (put(l, 'h', stems[kind], field, (size_t)len, limits, sizeof limits) < 0)
            return -1;
        snprintf(key, sizeof key, "%sUsedSpace", stems[kind]);
        if (put_text(l, 'h', key, field, q->used.space) < 0)
            return -1;
        snprintf(key, sizeof key, "%sUsedInodes", stems[kind]);
        if (put_text(l, 'h', key, field, q->used.inodes) < 0)
            return -1;
    }
    return 0;
}

static int put_removed(struct load *l)
{
    char member[48];

    for (size_t i = 0; i < l->removed.len; i++) {
        const struct l_removed *r = vec_at(&l->removed, i);
        snprintf(member, sizeof member, "%" PRIu64 ":%" PRIu64, r->ino, r->length);
        if (put_text(l, 'z', "delfiles", member, r->expire) < 0)
            return -1;
    }
    return 0;
}

static int put_rules(struct load *l)
{
    char field[24];

    for (size_t i = 0; i < l->rules.len; i++) {
        const struct l_rule *r = vec_at(&l->rules, i);
        int len = snprintf(field, sizeof field, "%zu", i + 1);
        if (put(l, 'h', "acl", field, (size_t)len, l->rule_bytes.data + r->at, r->len) < 0)
            return -1;
    }
    return l->rules.len > 0 ? put_text(l, 's', "aclMaxId", NULL, (int64_t)l->rules.len) : 0;
}

/* A volume with trash days has the trash's root, also when the dump was made without. */
static int put_trash_root(struct load *l)
{
    struct moment now = {.sec = clock_now().sec};
    struct l_node n = {.ino = INO_TRASH,
                       .parent = INO_ROOT,
                       .a = {.type = TYPE_DIRECTORY,
                             .mode = 0555,
                             .length = 4096,
                             .atime = now,
                             .mtime = now,
                             .ctime = now}};

    return put_inode(l, &n);
}

int put_rest(struct load *l)
{
    static const char *const names[L_COUNTERS] = {"usedSpace", "totalInodes", "nextinode",
                                                  "nextchunk", "nextsession", "nextTrash"};

    if (l->set.trash_days > 0 && !l->has_trash && put_trash_root(l) < 0)
        return -1;
    for (int i = 0; i < L_COUNTERS; i++) {
        if (put_text(l, 's', names[i], NULL, l->counters[i]) < 0)
            return -1;
    }
    for (int k = 0; k < L_QUOTAS; k++) {
        if (put_quotas(l, (enum l_quota_kind)k) < 0)
            return -1;
    }
    if (put_slice_refs(l) < 0 || put_removed(l) < 0 || put_rules(l) < 0)
        return -1;
    return put(l, 's', "setting", NULL, 0, l->setting.data, l->setting.len);
}
