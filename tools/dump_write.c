/*
 * dump_write.c - the text of a dump: setting and counters first, then the trees; see dump.h.
 */
#include "tools/dump.h"

#include "core/format/json.h"
#include "core/format/percent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UNIT "  "

struct frame { /* a directory whose entries are being written */
    uint64_t ino;
    size_t from, at, end; /* in d->entries */
};

struct writer {
    struct dump *d;
    FILE *f;
    struct buf text;     /* one string */
    struct vec frames;   /* struct frame; one's depth is 1 + 2 * its index */
    uint8_t *is_written; /* by index of the inode: a directory is written once */
    uint64_t inodes;
};

static void new_line(struct writer *w, size_t depth)
{
    fprintf(w->f, "\n%*s", (int)(2 * depth), "");
}

static void write_percent(struct writer *w, const void *data, size_t len)
{
    buf_clear(&w->text);
    percent_write(&w->text, data, len);
    putc('"', w->f);
    fwrite(w->text.data, 1, w->text.len, w->f);
    putc('"', w->f);
}

static const void *find(const struct vec *v, uint64_t ino)
{
    size_t from, end = dump_range(v, ino, &from);

    return from < end ? vec_at(v, from) : NULL;
}

/* --- head ------------------------------------------------------------------------------------- */

static void copy_setting(struct writer *w)
{
    static const char *const secrets[] = {"SecretKey", "SessionToken"};
    struct dump *d = w->d;
    struct json j;
    struct buf out = {0};
    char name[1024];
    bool any = false;

    json_init(&j, (const char *)d->setting.data, d->setting.len);
    buf_printf(&out, "{");
    for (json_object(&j); json_member(&j, name, sizeof name); any = true) {
        bool hidden = false;
        for (size_t i = 0; i < 2 && !d->keep_secrets && !hidden; i++)
            hidden = strcmp(name, secrets[i]) == 0;
        buf_printf(&out, "%s\n" UNIT UNIT, any ? "," : "");
        json_write_string(&out, name);
        buf_printf(&out, hidden ? ": \"removed\"" : ": ");
        if (hidden) {
            json_skip(&j);
            progress_clear(&d->progress);
            cmd_say(d->self, "%s is left out of the dump (--keep-secret-key keeps it)", name);
        } else {
            json_indent(&j, UNIT, 2, &out);
        }
    }
    buf_printf(&out, "\n" UNIT "}");
    fprintf(w->f, "{\n" UNIT "\"Setting\": ");
    fwrite(out.data, 1, out.len, w->f);
    w->text.failed |= buf_ok(&out) < 0;
    buf_free(&out);
}

static void write_sustained(struct writer *w)
{
    const struct dump *d = w->d;
    bool any = false;

    fprintf(w->f, ",\n" UNIT "\"Sustained\": [");
    for (size_t i = 0; i < d->sessions.len; i++) {
        const struct d_number *s = vec_at(&d->sessions, i), *h;
        size_t from, end = dump_range(&d->sustained, (uint64_t)s->a, &from);
        if (from == end)
            continue;
        fprintf(w->f, "%s\n    {\n      \"sid\": %" PRId64 ",\n      \"inodes\": [", any ? "," : "",
                s->a);
        any = true;
        for (size_t k = from; k < end; k++) {
            h = vec_at(&d->sustained, k);
            fprintf(w->f, "%s\n        %" PRId64, k > from ? "," : "", h->b);
        }
        fprintf(w->f, "\n      ]\n    }");
    }
    fprintf(w->f, any ? "\n" UNIT "]" : "]");
}

static void write_removed(struct writer *w)
{
    const struct vec *v = &w->d->removed;

    fprintf(w->f, ",\n" UNIT "\"DelFiles\": [");
    for (size_t i = 0; i < v->len; i++) {
        const struct d_number *r = vec_at(v, i);
        fprintf(w->f,
                "%s\n    {\n      \"inode\": %" PRId64 ",\n      \"length\": %" PRId64
                ",\n      \"expire\": %" PRId64 "\n    }",
                i > 0 ? "," : "", r->b, r->c, r->a);
    }
    fprintf(w->f, v->len > 0 ? "\n" UNIT "]" : "]");
}

static int by_text(const void *a, const void *b)
{
    char x[24], y[24];

    snprintf(x, sizeof x, "%" PRId64, ((const struct d_number *)a)->a);
    snprintf(y, sizeof y, "%" PRId64, ((const struct d_number *)b)->a);
    return strcmp(x, y);
}

/* Names of a JSON object of Go's are sorted as text. */
static void write_quotas(struct writer *w, enum quota_kind kind, const char *name)
{
    struct vec *v = &w->d->quotas[kind];
    bool any = false;

    vec_sort(v, by_text);
    for (size_t i = 0; i < v->len; i++) {
        const struct d_number *q = vec_at(v, i);
        if (q->b == -1 && q->c == -1)
            continue; /* one that only counts */
        if (!any)
            fprintf(w->f, ",\n" UNIT "\"%s\": {", name);
        fprintf(w->f,
                "%s\n    \"%" PRId64 "\": {\n      \"maxSpace\": %" PRId64
                ",\n      \"maxInodes\": %" PRId64 "\n    }",
                any ? "," : "", q->a, q->b, q->c);
        any = true;
    }
    if (any)
        fprintf(w->f, "\n" UNIT "}");
}

static void write_head(struct writer *w)
{
    const int64_t *c = w->d->counters;

    copy_setting(w);
    /* ids: Redis keeps the last one given, the format has the next one; sessions and trash not */
    fprintf(w->f,
            ",\n" UNIT "\"Counters\": {\n    \"usedSpace\": %" PRId64
            ",\n    \"usedInodes\": %" PRId64 ",\n    \"nextInodes\": %" PRId64
            ",\n    \"nextChunk\": %" PRId64 ",\n    \"nextSession\": %" PRId64
            ",\n    \"nextTrash\": %" PRId64 "\n" UNIT "}",
            c[COUNT_SPACE], c[COUNT_INODES], c[COUNT_NEXT_INODE] + 1, c[COUNT_NEXT_CHUNK] + 1,
            c[COUNT_NEXT_SESSION], c[COUNT_NEXT_TRASH]);
    write_sustained(w);
    write_removed(w);
    write_quotas(w, QUOTA_DIR, "Quotas");
    write_quotas(w, QUOTA_USER, "UserQuotas");
    write_quotas(w, QUOTA_GROUP, "GroupQuotas");
}

/* --- an entry --------------------------------------------------------------------------------- */

static void write_attr(struct writer *w, uint64_t ino, const struct attr *a)
{
    static const char *const types[] = {"",     "regular",  "directory", "symlink",
                                        "fifo", "blockdev", "chardev",   "socket"};
    static const char *const part[] = {"atimensec", "mtimensec", "ctimensec"};
    const uint32_t nsec[] = {a->atime.nsec, a->mtime.nsec, a->ctime.nsec};

    fprintf(w->f, "\"attr\": {\"inode\":%" PRIu64, ino);
    if (a->flags != 0)
        fprintf(w->f, ",\"flags\":%u", a->flags);
    fprintf(w->f,
            ",\"type\":\"%s\",\"mode\":%u,\"uid\":%" PRIu32 ",\"gid\":%" PRIu32
            ",\"atime\":%" PRId64 ",\"mtime\":%" PRId64 ",\"ctime\":%" PRId64,
            types[a->type], a->mode, a->uid, a->gid, a->atime.sec, a->mtime.sec, a->ctime.sec);
    for (int i = 0; i < 3; i++) {
        if (nsec[i] != 0)
            fprintf(w->f, ",\"%s\":%" PRIu32, part[i], nsec[i]);
    }
    fprintf(w->f, ",\"nlink\":%" PRIu32 ",\"length\":%" PRIu64, a->nlink,
            a->type == TYPE_FILE ? a->length : 0);
    if (a->rdev != 0)
        fprintf(w->f, ",\"rdev\":%" PRIu32, a->rdev);
    if (a->tier != 0)
        fprintf(w->f, ",\"tier\":%u", a->tier);
    putc('}', w->f);
}

static void write_xattrs(struct writer *w, uint64_t ino, size_t depth)
{
    struct dump *d = w->d;
    size_t from, end = dump_range(&d->xattrs, ino, &from);
    struct buf json = {0};

    if (from == end)
        return;
    for (size_t i = from; i < end; i++) {
        const struct d_value *x = vec_at(&d->xattrs, i);
        size_t name_len, len;
        const char *name = (const char *)dump_bytes(d, x->at, &name_len);
        const uint8_t *value = dump_bytes(d, x->at + 4 + name_len, &len);
        struct buf copy = {0};
        buf_add(&copy, name, name_len); /* with a NUL behind it */
        buf_clear(&w->text);
        percent_write(&w->text, value, len);
        buf_add(&w->text, "", 0);
        if (buf_ok(&copy) == 0 && buf_ok(&w->text) == 0) {
            const char *text = (const char *)copy.data;
            if (!json_is_utf8(text)) {
                char shown[600];
                dump_problem(d,
                             "inode %" PRIu64 ": attribute %s is not UTF-8, which a dump cannot "
                             "carry: its name is changed",
                             ino, text_name(name, name_len, shown, sizeof shown));
            }
            buf_printf(&json, i > from ? ",{\"name\":" : "{\"name\":");
            json_write_string(&json, text);
            buf_printf(&json, ",\"value\":");
            json_write_string(&json, (const char *)w->text.data);
            buf_printf(&json, "}");
        } else {
            json.failed = 1;
        }
        buf_free(&copy);
    }
    putc(',', w->f);
    new_line(w, depth);
    fprintf(w->f, "\"xattrs\": [%s]", json.data != NULL ? (const char *)json.data : "");
    w->text.failed |= json.failed;
    buf_free(&json);
}

/* n entries of an id and its bits at *p; false: they are not all there. */
static bool write_acl_list(struct writer *w, const char *name, const uint8_t **p,
                           const uint8_t *end)
{
    if (end - *p < 4)
        return false;
    uint32_t n = get_be32(*p);
    *p += 4;
    if ((uint64_t)(end - *p) < (uint64_t)n * 6)
        return false;
    fprintf(w->f, ",\"%s\":%s", name, n > 0 ? "[" : "null");
    for (uint32_t i = 0; i < n; i++, *p += 6)
        fprintf(w->f, "%s{\"id\":%" PRIu32 ",\"perm\":%u}", i > 0 ? "," : "", get_be32(*p),
                get_be16(*p + 4));
    if (n > 0)
        putc(']', w->f);
    return true;
}

static void write_acl(struct writer *w, uint64_t ino, const char *name, uint32_t id, size_t depth)
{
    const struct d_value *rule;
    size_t len = 0;

    if (id == 0)
        return;
    rule = find(&w->d->acls, id);
    const uint8_t *p = rule != NULL ? dump_bytes(w->d, rule->at, &len) : NULL;
    if (p == NULL || len < 16) {
        dump_problem(w->d, "inode %" PRIu64 ": its ACL rule %" PRIu32 " is missing or damaged", ino,
                     id);
        return;
    }
    const uint8_t *end = p + len;
    putc(',', w->f);
    new_line(w, depth);
    fprintf(w->f, "\"%s\": {\"owner\":%u,\"group\":%u,\"other\":%u,\"mask\":%u", name, get_be16(p),
            get_be16(p + 2), get_be16(p + 6), get_be16(p + 4));
    p += 8;
    if (!write_acl_list(w, "users", &p, end) || !write_acl_list(w, "groups", &p, end))
        dump_problem(w->d, "inode %" PRIu64 ": its ACL rule %" PRIu32 " is damaged", ino, id);
    putc('}', w->f);
}

/* The records [from, end) of one chunk; false: one of them is malformed. */
static bool write_chunk(struct writer *w, size_t from, size_t end)
{
    const struct vec *v = &w->d->records;
    const struct d_record *first = vec_at(v, from);

    buf_clear(&w->text);
    buf_printf(&w->text, "{\"index\":%" PRIu32 ",\"slices\":[", first->chunk);
    for (size_t i = from; i < end; i++) {
        const struct d_record *raw = vec_at(v, i);
        struct record r;
        if (raw->len != RECORD_BYTES || record_decode(raw->raw, RECORD_BYTES, &r) < 0)
            return false;
        buf_printf(&w->text, "%s{\"id\":%" PRIu64, i > from ? "," : "", r.id);
        if (r.pos != 0)
            buf_printf(&w->text, ",\"pos\":%" PRIu32, r.pos);
        buf_printf(&w->text, ",\"size\":%" PRIu32, r.size);
        if (r.off != 0)
            buf_printf(&w->text, ",\"off\":%" PRIu32, r.off);
        buf_printf(&w->text, ",\"len\":%" PRIu32 "}", r.len);
    }
    buf_printf(&w->text, "]}");
    return true;
}

static void write_chunks(struct writer *w, uint64_t ino, uint64_t length, size_t depth)
{
    const struct vec *v = &w->d->records;
    uint64_t chunks = (length + CHUNK_BYTES - 1) / CHUNK_BYTES;
    size_t from, next, end = dump_range(v, ino, &from);
    bool any = false, several = false;

    /* what is above the length is no part of the file */
    while (end > from && ((const struct d_record *)vec_at(v, end - 1))->chunk >= chunks)
        end--;
    if (from == end)
        return;
    several = ((const struct d_record *)vec_at(v, from))->chunk !=
              ((const struct d_record *)vec_at(v, end - 1))->chunk;
    for (; from < end; from = next) {
        const struct d_record *first = vec_at(v, from);
        for (next = from;
             next < end && ((struct d_record *)vec_at(v, next))->chunk == first->chunk;)
            next++;
        if (!write_chunk(w, from, next)) {
            dump_problem(w->d,
                         "inode %" PRIu64 " chunk %" PRIu32 " has a malformed record and is "
                         "left out",
                         ino, first->chunk);
            continue;
        }
        putc(',', w->f);
        if (!any) {
            new_line(w, depth);
            fprintf(w->f, "\"chunks\": [");
        }
        if (several)
            new_line(w, depth + 1);
        fwrite(w->text.data, 1, w->text.len, w->f);
        any = true;
    }
    if (any && several)
        new_line(w, depth);
    if (any)
        putc(']', w->f);
}

/* May this directory's entries be written?  Once only: who is reached twice is damaged. */
static bool enter(struct writer *w, uint64_t ino, const struct d_value *attr)
{
    if (attr != NULL) {
        uint8_t *seen = &w->is_written[attr - (struct d_value *)w->d->inodes.data];
        if (*seen != 0)
            return false;
        *seen = 1;
        return true;
    }
    for (size_t i = 0; i < w->frames.len; i++) {
        if (((struct frame *)vec_at(&w->frames, i))->ino == ino)
            return false;
    }
    return true;
}

/* An object up to its closing bracket, which comes here unless it is a directory. */
static int write_entry(struct writer *w, const void *name, size_t name_len, uint64_t ino,
                       uint8_t type, size_t depth)
{
    const struct d_value *value = find(&w->d->inodes, ino), *target;
    struct attr a = {0};
    size_t len = 0;

    const uint8_t *raw = value != NULL ? dump_bytes(w->d, value->at, &len) : NULL;
    if (raw == NULL || attr_decode(raw, len, &a) < 0) {
        dump_problem(w->d, "inode %" PRIu64 " has no attributes that can be read", ino);
        a = (struct attr){.type = type >= TYPE_FILE && type <= TYPE_SOCKET ? type : TYPE_FILE,
                          .nlink = type == TYPE_DIRECTORY ? 2 : 1};
    }
    new_line(w, depth);
    write_percent(w, name, name_len);
    fprintf(w->f, ": {");
    new_line(w, depth + 1);
    write_attr(w, ino, &a);
    if (a.type == TYPE_SYMLINK && (target = find(&w->d->symlinks, ino)) != NULL) {
        raw = dump_bytes(w->d, target->at, &len);
        putc(',', w->f);
        new_line(w, depth + 1);
        fprintf(w->f, "\"symlink\": ");
        write_percent(w, raw, len);
    }
    write_xattrs(w, ino, depth + 1);
    write_acl(w, ino, "posix_acl_access", a.access_acl, depth + 1);
    write_acl(w, ino, "posix_acl_default", a.default_acl, depth + 1);
    if (a.type == TYPE_FILE)
        write_chunks(w, ino, a.length, depth + 1);
    progress_show(&w->d->progress, "writing, entries", ++w->inodes, w->d->entries.len);
    if (a.type != TYPE_DIRECTORY) {
        new_line(w, depth);
        putc('}', w->f);
        return 0;
    }
    putc(',', w->f);
    new_line(w, depth + 1);
    fprintf(w->f, "\"entries\": {");
    struct frame fr = {.ino = ino};
    if (enter(w, ino, value))
        fr.end = dump_range(&w->d->entries, ino, &fr.from);
    else
        dump_problem(w->d, "directory inode %" PRIu64 " is reached twice", ino);
    fr.at = fr.from;
    struct frame *p = vec_add(&w->frames);
    if (p == NULL)
        return -ENOMEM;
    *p = fr;
    return 0;
}

static int write_tree(struct writer *w, const char *name, uint64_t root)
{
    int rc = write_entry(w, name, strlen(name), root, TYPE_DIRECTORY, 1);

    while (rc == 0 && w->frames.len > 0 && !ferror(w->f)) {
        size_t depth = 2 * w->frames.len - 1;
        struct frame *fr = vec_at(&w->frames, w->frames.len - 1);
        if (interrupted())
            return -EINTR;
        if (fr->at == fr->end) {
            new_line(w, depth + 1);
            putc('}', w->f);
            new_line(w, depth);
            putc('}', w->f);
            w->frames.len--;
            continue;
        }
        const struct d_entry *e = vec_at(&w->d->entries, fr->at);
        if (fr->at++ > fr->from)
            putc(',', w->f);
        rc = write_entry(w, w->d->bytes.data + e->name, e->name_len, e->ino, e->type, depth + 2);
    }
    return rc;
}

int dump_write(struct dump *d, FILE *f)
{
    struct writer w = {.d = d, .f = f, .frames = VEC_OF(struct frame)};
    int rc = -ENOMEM;

    w.is_written = calloc(d->inodes.len + 1, 1);
    if (w.is_written != NULL) {
        write_head(&w);
        putc(',', f);
        rc = write_tree(&w, "FSTree", INO_ROOT);
    }
    if (rc == 0 && !d->skip_trash && find(&d->inodes, INO_TRASH) != NULL) {
        putc(',', f);
        rc = write_tree(&w, "Trash", INO_TRASH);
    }
    fprintf(f, "\n}\n");
    if (rc == 0 && buf_ok(&w.text) < 0)
        rc = -ENOMEM;
    buf_free(&w.text);
    vec_free(&w.frames);
    free(w.is_written);
    progress_clear(&d->progress);
    return rc;
}
