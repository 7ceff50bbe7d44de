/*
 * dump_scan.c - one pass over all keys, and their order; see dump.h.
 */
#include "tools/dump.h"

#include <errno.h>
#include <string.h>

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int by_value_ino(const void *a, const void *b)
{
    const struct d_value *x = a, *y = b;
    int c = ORDER(x->ino, y->ino);

    return c != 0 ? c : ORDER(x->at, y->at);
}

static int by_ino_alone(const void *a, const void *b)
{
    const struct d_value *x = a, *y = b;

    return ORDER(x->ino, y->ino);
}

static int by_numbers(const void *a, const void *b)
{
    const struct d_number *x = a, *y = b;
    int c = ORDER(x->a, y->a);

    if (c == 0)
        c = ORDER(x->b, y->b);
    return c != 0 ? c : ORDER(x->c, y->c);
}

static int by_id(const void *a, const void *b)
{
    const struct d_number *x = a, *y = b;

    return ORDER(x->a, y->a);
}

static int by_record(const void *a, const void *b)
{
    const struct d_record *x = a, *y = b;
    int c = ORDER(x->ino, y->ino);

    if (c == 0)
        c = ORDER(x->chunk, y->chunk);
    if (c == 0)
        c = ORDER(x->visit, y->visit);
    return c != 0 ? c : ORDER(x->index, y->index);
}

static const uint8_t *sort_bytes; /* of the one dump of this process */

static int by_bytes(const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
    int c = memcmp(a, b, na < nb ? na : nb);

    return c != 0 ? c : ORDER(na, nb);
}

static int by_name(const void *a, const void *b)
{
    const struct d_entry *x = a, *y = b;
    int c = ORDER(x->parent, y->parent);

    return c != 0 ? c
                  : by_bytes(sort_bytes + x->name, x->name_len, sort_bytes + y->name, y->name_len);
}

static int by_xattr(const void *a, const void *b)
{
    const struct d_value *x = a, *y = b;
    const uint8_t *p = sort_bytes + x->at, *q = sort_bytes + y->at;
    int c = ORDER(x->ino, y->ino);

    return c != 0 ? c : by_bytes(p + 4, get_be32(p), q + 4, get_be32(q));
}

static void settle(struct vec *v, vec_order order, vec_order same)
{
    vec_sort(v, order);
    vec_unique(v, same);
}

/* Of a list that was visited twice only the last visit counts. */
static void drop_visits(struct vec *v)
{
    size_t kept = 0, next;

    vec_sort(v, by_record);
    for (size_t at = 0; at < v->len; at = next) {
        const struct d_record *first = vec_at(v, at), *r;
        for (next = at + 1; next < v->len; next++) {
            r = vec_at(v, next);
            if (r->ino != first->ino || r->chunk != first->chunk)
                break;
        }
        uint32_t last = ((struct d_record *)vec_at(v, next - 1))->visit;
        for (; at < next; at++) {
            struct d_record copy = *(struct d_record *)vec_at(v, at);
            if (copy.visit == last)
                *(struct d_record *)vec_at(v, kept++) = copy;
        }
    }
    v->len = kept;
}

static uint64_t ino_at(const struct vec *v, size_t i)
{
    return *(uint64_t *)vec_at(v, i); /* the first member of each kind of item */
}

size_t dump_range(const struct vec *v, uint64_t ino, size_t *from)
{
    size_t low = 0, high = v->len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ino_at(v, mid) < ino)
            low = mid + 1;
        else
            high = mid;
    }
    *from = low;
    while (low < v->len && ino_at(v, low) == ino)
        low++;
    return low;
}

int dump_scan(struct dump *d)
{
    struct engine *e = d->vol->engine;

    d->inodes = d->symlinks = d->xattrs = d->acls = VEC_OF(struct d_value);
    d->entries = VEC_OF(struct d_entry);
    d->records = VEC_OF(struct d_record);
    d->sessions = d->sustained = d->removed = VEC_OF(struct d_number);
    for (int k = 0; k < QUOTA_KINDS; k++)
        d->quotas[k] = VEC_OF(struct d_number);

    int rc = e->ops->scan(e, "*", dump_read, d);
    if (rc == 0)
        rc = buf_ok(&d->setting);
    progress_clear(&d->progress);
    if (rc == 0 && d->setting.len == 0) {
        cmd_say(d->self, "%s: `setting` vanished while it was read", e->ops->name(e));
        return CMD_USAGE;
    }
    if (rc < 0 && rc != -EINTR)
        cmd_say(d->self, "%s", rc == -ENOMEM ? strerror(ENOMEM) : e->ops->error(e));
    if (rc < 0)
        return CMD_USAGE;

    sort_bytes = d->bytes.data;
    settle(&d->inodes, by_value_ino, by_ino_alone);
    settle(&d->symlinks, by_value_ino, by_ino_alone);
    settle(&d->acls, by_value_ino, by_ino_alone);
    settle(&d->xattrs, by_xattr, by_xattr);
    settle(&d->entries, by_name, by_name);
    drop_visits(&d->records);
    settle(&d->sessions, by_id, by_id);
    settle(&d->sustained, by_numbers, by_numbers);
    settle(&d->removed, by_numbers, by_numbers);
    for (int k = 0; k < QUOTA_KINDS; k++)
        settle(&d->quotas[k], by_id, by_id);
    return CMD_OK;
}

void dump_free(struct dump *d)
{
    struct vec *const all[] = {&d->inodes,  &d->symlinks,  &d->xattrs,    &d->acls,
                               &d->entries, &d->records,   &d->sessions,  &d->sustained,
                               &d->removed, &d->quotas[0], &d->quotas[1], &d->quotas[2]};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        vec_free(all[i]);
    buf_free(&d->bytes);
    buf_free(&d->setting);
}
