/*
 * fsck_read.c - what each key of the volume adds to the arrays of a check; see fsck.h.
 *
 * Each kind of key is one row of the table at the end: how its name begins, its type, who reads it.
 */
#include "tools/fsck.h"

#include "core/format/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_ITEMS 4096

static const char *shown(const void *data, size_t len)
{
    static char text[2][600];
    static unsigned turn;
    return text_name(data, len, text[turn++ % 2], sizeof text[0]);
}

static const char *shown_key(const struct engine_item *it)
{
    return shown(it->key, it->key_len);
}

static void *add(struct fsck *f, struct vec *v)
{
    void *p = vec_add(v);
    if (p == NULL)
        f->no_memory = true;
    return p;
}

static void add_pair(struct fsck *f, struct vec *v, uint64_t ino, uint64_t other, int64_t value)
{
    struct f_pair *p = add(f, v);
    if (p != NULL)
        *p = (struct f_pair){ino, other, value};
}

/* --- readers: rest is what follows the beginning of the key ----------------------------------- */

#define READER(name)                                                                               \
    static void name(struct fsck *f, const struct engine_item *it, const char *rest, size_t len)

/* The same number once an item: lists and hashes are visited item by item. */
static void add_number(struct fsck *f, struct vec *v, uint64_t ino, uint64_t other)
{
    const struct f_pair *last = v->len > 0 ? vec_at(v, v->len - 1) : NULL;
    if (last == NULL || last->ino != ino || last->other != other)
        add_pair(f, v, ino, other, 0);
}

READER(read_inode)
{
    struct attr a = {0};
    uint64_t ino;

    if (!key_number_u64(rest, len, &ino)) {
        fsck_find(f, FIND_BAD_KEY, "%s is not the name of an inode", shown_key(it));
        return;
    }
    struct f_inode *i = add(f, &f->inodes);
    if (i == NULL)
        return;
    i->ino = ino;
    size_t n = it->value_len;
    if (attr_decode(it->value, n, &a) < 0)
        fsck_find(f, FIND_BAD_ATTR, "inode %llu: %zu bytes that are no attributes",
                  (unsigned long long)ino, n);
    else if (n != 63 && n != 71 && n != 72 && n != 73 && n != 79 && n != 80 && n != 81)
        fsck_find(f, FIND_BAD_ATTR, "inode %llu: attributes of %zu bytes, which nobody writes",
                  (unsigned long long)ino, n);
    else
        i->type = a.type;
    i->parent = a.parent;
    i->length = a.length;
    i->nlink = a.nlink;
    if (i->type == 0)
        f->incomplete_attrs = true;
}

static const char *bad_name(const char *name, size_t len)
{
    if (len == 0)
        return "an empty name";
    if (len > NAME_LEN_MAX)
        return "a name longer than 255 bytes";
    if (memchr(name, '/', len) != NULL || memchr(name, '\0', len) != NULL)
        return "a name with a slash or NUL";
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return "a name that is . or ..";
    return NULL;
}

READER(read_entry)
{
    uint64_t dir, ino = 0;
    uint8_t type = 0;

    if (!key_number_u64(rest, len, &dir)) {
        fsck_find(f, FIND_BAD_KEY, "%s is not the name of a directory", shown_key(it));
        return;
    }
    const char *why = bad_name(it->field, it->field_len);
    if (why == NULL &&
        (it->value_len != ENTRY_BYTES || entry_decode(it->value, it->value_len, &type, &ino) < 0 ||
         type == 0 || type > TYPE_SOCKET))
        why = "a malformed entry";
    if (why != NULL)
        fsck_find(f, FIND_BAD_ENTRY, "directory inode %llu: %s: %s", (unsigned long long)dir,
                  shown(it->field, it->field_len), why);
    if (ino == 0 || it->field_len > NAME_LEN_MAX)
        return;
    struct f_entry *e = add(f, &f->entries);
    if (e == NULL)
        return;
    e->parent = dir;
    e->ino = ino;
    e->type = type;
    e->name = f->names.len & ((UINT64_C(1) << 56) - 1);
    e->name_len = (uint8_t)it->field_len;
    buf_add(&f->names, it->field, it->field_len);
}

static void add_ref(struct fsck *f, uint64_t ino, uint32_t chunk, const struct record *of,
                    enum ref_kind kind)
{
    struct f_ref *r = add(f, &f->refs);
    if (r != NULL)
        *r = (struct f_ref){.id = of->id,
                            .ino = ino,
                            .size = of->size,
                            .chunk = chunk,
                            .pos = of->pos,
                            .off = of->off,
                            .len = of->len,
                            .visit = f->visits.visit,
                            .kind = kind};
}

READER(read_record)
{
    uint64_t ino, chunk;
    struct record r;

    if (!key_two_numbers(rest, len, '_', &ino, &chunk) || chunk > UINT32_MAX) {
        fsck_find(f, FIND_BAD_KEY, "%s is not the name of a chunk", shown_key(it));
        return;
    }
    add_number(f, &f->lists, ino, chunk);
    if (record_decode(it->value, it->value_len, &r) < 0 || r.len == 0)
        fsck_find(f, FIND_BAD_RECORD, "inode %llu chunk %llu: a malformed record of %zu bytes",
                  (unsigned long long)ino, (unsigned long long)chunk, it->value_len);
    else if (r.id > 0)
        add_ref(f, ino, (uint32_t)chunk, &r, REF_FILE);
}

READER(read_slice_ref)
{
    struct f_field v = {0};
    const char *field = it->field;
    uint64_t size;

    if (it->field_len < 2 || field[0] != 'k' ||
        !key_two_numbers(field + 1, it->field_len - 1, '_', &v.id, &size) || size > UINT32_MAX ||
        !key_number(it->value, it->value_len, &v.value)) {
        fsck_find(f, FIND_BAD_KEY, "sliceRef %s: not k{id}_{size} or not a number",
                  shown(field, it->field_len));
        return;
    }
    v.size = (uint32_t)size;
    struct f_field *p = add(f, &f->fields);
    if (p != NULL)
        *p = v;
}

READER(read_del_slices)
{
    uint64_t id, second;

    if (!key_two_numbers(it->field, it->field_len, '_', &id, &second) || it->value_len % 12 != 0) {
        fsck_find(f, FIND_BAD_KEY, "delSlices %s: malformed", shown(it->field, it->field_len));
        return;
    }
    f->visits.visit++; /* a field that comes twice is two visits */
    for (const uint8_t *p = it->value, *end = p + it->value_len; p < end; p += 12) {
        const struct record r = {.id = get_be64(p), .size = get_be32(p + 8)};
        add_ref(f, id, (uint32_t)second, &r, REF_DELSLICE);
    }
}

READER(read_parents)
{
    uint64_t ino, parent;
    int64_t count;

    if (!key_number_u64(rest, len, &ino) || !key_number_u64(it->field, it->field_len, &parent) ||
        !key_number(it->value, it->value_len, &count))
        fsck_find(f, FIND_BAD_KEY, "%s: malformed", shown_key(it));
    else
        add_pair(f, &f->parents, ino, parent, count);
}

READER(read_symlink)
{
    uint64_t ino;
    if (key_number_u64(rest, len, &ino))
        add_pair(f, &f->symlinks, ino, it->value_len, 0);
    else
        fsck_find(f, FIND_BAD_KEY, "%s is not the name of a symlink", shown_key(it));
}

READER(read_xattr)
{
    uint64_t ino;
    if (key_number_u64(rest, len, &ino))
        add_number(f, &f->xattrs, ino, 0);
    else
        fsck_find(f, FIND_BAD_KEY, "%s is not the name of extended attributes", shown_key(it));
}

READER(read_session_set)
{
    uint64_t sid, ino;
    if (key_number_u64(rest, len, &sid) && key_number_u64(it->field, it->field_len, &ino))
        add_pair(f, &f->sustained, ino, sid, 0);
    else
        fsck_find(f, FIND_BAD_KEY, "%s: malformed", shown_key(it));
}

READER(read_session)
{
    uint64_t sid;
    if (key_number_u64(it->field, it->field_len, &sid))
        add_pair(f, &f->sessions, sid, 0, 0);
    else
        fsck_find(f, FIND_BAD_KEY, "%s %s: not a session number", shown_key(it),
                  shown(it->field, it->field_len));
}

READER(read_delfiles)
{
    uint64_t ino, length;
    int64_t when;
    if (!key_number(it->value, it->value_len, &when))
        when = 0;
    if (key_two_numbers(it->field, it->field_len, ':', &ino, &length))
        add_pair(f, &f->removed, ino, length, when);
    else
        fsck_find(f, FIND_DELFILES, "%s is not {inode}:{length}", shown(it->field, it->field_len));
}

READER(read_detached)
{
    uint64_t ino;
    if (key_number_u64(it->field, it->field_len, &ino))
        add_pair(f, &f->detached, ino, 0, 0);
    else
        fsck_find(f, FIND_BAD_KEY, "detachedNodes %s: not an inode",
                  shown(it->field, it->field_len));
}

static void read_stats(struct fsck *f, const struct engine_item *it, unsigned which)
{
    uint64_t dir;
    int64_t value;
    if (key_number_u64(it->field, it->field_len, &dir) &&
        key_number(it->value, it->value_len, &value))
        add_pair(f, &f->stats, dir, which, value);
    else
        fsck_find(f, FIND_BAD_KEY, "%s %s: malformed", shown_key(it),
                  shown(it->field, it->field_len));
}

READER(read_dir_length)
{
    read_stats(f, it, 0);
}

READER(read_dir_space)
{
    read_stats(f, it, 1);
}

READER(read_dir_inodes)
{
    read_stats(f, it, 2);
}

static void read_counter(struct fsck *f, const struct engine_item *it, enum counter_id which)
{
    f->has_counter[which] = key_number(it->value, it->value_len, &f->counter[which]);
    if (!f->has_counter[which])
        fsck_find(f, FIND_COUNTER, "%s is not a number", shown_key(it));
}

READER(read_used)
{
    read_counter(f, it, USED_SPACE);
}

READER(read_total)
{
    read_counter(f, it, TOTAL_INODES);
}

READER(read_next_inode)
{
    read_counter(f, it, NEXT_INODE);
}

READER(read_next_chunk)
{
    read_counter(f, it, NEXT_CHUNK);
}

READER(read_next_trash)
{
    read_counter(f, it, NEXT_TRASH);
}

static const struct row {
    struct key_kind kind;
    void (*read)(struct fsck *, const struct engine_item *, const char *, size_t);
} rows[] = {
    {{"i", true, 's'}, read_inode},
    {{"d", true, 'h'}, read_entry},
    {{"c", true, 'l'}, read_record},
    {{"p", true, 'h'}, read_parents},
    {{"s", true, 's'}, read_symlink},
    {{"x", true, 'h'}, read_xattr},
    {{"session", true, 'S'}, read_session_set},
    {{"sliceRef", false, 'h'}, read_slice_ref},
    {{"delSlices", false, 'h'}, read_del_slices},
    {{"delfiles", false, 'z'}, read_delfiles},
    {{"detachedNodes", false, 'z'}, read_detached},
    {{"allSessions", false, 'z'}, read_session},
    {{"sessionInfos", false, 'h'}, read_session},
    {{"dirDataLength", false, 'h'}, read_dir_length},
    {{"dirUsedSpace", false, 'h'}, read_dir_space},
    {{"dirUsedInodes", false, 'h'}, read_dir_inodes},
    {{"usedSpace", false, 's'}, read_used},
    {{"totalInodes", false, 's'}, read_total},
    {{"nextinode", false, 's'}, read_next_inode},
    {{"nextchunk", false, 's'}, read_next_chunk},
    {{"nextTrash", false, 's'}, read_next_trash},
};

static const struct row *row_of(const struct engine_item *it, const char **rest, size_t *len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (key_is(it, &rows[i].kind, rest, len))
            return &rows[i];
    }
    return NULL;
}

int fsck_read(void *ctx, const struct engine_item *it)
{
    struct fsck *f = ctx;
    const char *rest;
    size_t len;

    if (++f->items % PROGRESS_ITEMS == 0)
        fsck_progress(f, "reading the metadata, items", f->items, 0);
    const struct row *row = row_of(it, &rest, &len);
    if (row == NULL)
        return 0; /* locks, ACLs, quotas, jobs: not checked here */
    key_visits_next(&f->visits, it);
    if (row->kind.type != it->type)
        fsck_find(f, FIND_BAD_KEY, "%s has a wrong type", shown_key(it));
    else
        row->read(f, it, rest, len);
    return f->no_memory ? -ENOMEM : 0;
}
