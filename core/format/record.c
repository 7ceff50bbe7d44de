/*
 * record.c - records of a chunk, and the view: which record holds each byte.
 *
 * The view is kept as an array of pieces, sorted and without a gap from 0 to its end.  A record is
 * laid over it oldest first: the pieces below it are dropped, the two at its edges are cut.  Each
 * record adds at most two pieces (it splits one, or a hole comes before it), which bounds the
 * array.
 */
#include "core/format/record.h"

#include "core/base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void record_encode(const struct record *r, uint8_t out[RECORD_BYTES])
{
    put_be32(out, r->pos);
    put_be64(out + 4, r->id);
    put_be32(out + 12, r->size);
    put_be32(out + 16, r->off);
    put_be32(out + 20, r->len);
}

int record_decode(const void *data, size_t len, struct record *out)
{
    const uint8_t *p = data;
    struct record r;

    if (len != RECORD_BYTES)
        return -EIO;
    r = (struct record){
        .pos = get_be32(p),
        .id = get_be64(p + 4),
        .size = get_be32(p + 12),
        .off = get_be32(p + 16),
        .len = get_be32(p + 20),
    };
    if ((uint64_t)r.pos + r.len > CHUNK_BYTES)
        return -EIO;
    if (r.id == 0) {
        if (r.size != 0)
            return -EIO;
        r.off = 0; /* copy_file_range of a stock client leaves something there */
    } else if (r.size == 0 || (uint64_t)r.off + r.len > r.size) {
        return -EIO;
    }
    *out = r;
    return 0;
}

bool record_item_next(const uint8_t *data, size_t len, size_t *pos, struct record_item *out)
{
    while (*pos <= len && len - *pos >= RECORD_ITEM_BYTES) {
        out->at = *pos + 4;
        out->chunk = get_be32(data + *pos);
        *pos += RECORD_ITEM_BYTES;
        if (record_decode(data + out->at, RECORD_BYTES, &out->r) == 0)
            return true;
    }
    return false;
}

uint64_t record_items_end(const uint8_t *data, size_t len)
{
    struct record_item i;
    uint64_t end = 0;
    for (size_t pos = 0; record_item_next(data, len, &pos, &i);) {
        uint64_t one = i.chunk * CHUNK_BYTES + i.r.pos + i.r.len;
        end = one > end ? one : end;
    }
    return end;
}

static uint32_t end_of(const struct record *r)
{
    return r->pos + r->len;
}

/* Cuts the first n bytes off. */
static void cut_left(struct record *r, uint32_t n)
{
    r->pos += n;
    r->len -= n;
    if (r->id != 0)
        r->off += n;
}

/* Index of the first piece that ends after pos, n when there is none. */
static size_t first_after(const struct record *view, size_t n, uint32_t pos)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (end_of(&view[middle]) > pos)
            n = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Lays r (len > 0) over n pieces and returns their new number. */
static size_t lay_over(struct record *view, size_t n, const struct record *r)
{
    uint32_t view_end = n != 0 ? end_of(&view[n - 1]) : 0;
    struct record put[3];
    size_t puts = 0, from, to;

    if (r->pos > view_end) {
        view[n++] = (struct record){.pos = view_end, .len = r->pos - view_end};
        view[n++] = *r;
        return n;
    }
    from = first_after(view, n, r->pos);
    for (to = from; to < n && view[to].pos < end_of(r);)
        to++;
    /* [from, to) are touched; what is left of the first and the last of them stays beside r */
    if (from < to && view[from].pos < r->pos) {
        put[puts] = view[from];
        put[puts++].len = r->pos - view[from].pos;
    }
    put[puts++] = *r;
    if (from < to && end_of(&view[to - 1]) > end_of(r)) {
        put[puts] = view[to - 1];
        cut_left(&put[puts++], end_of(r) - view[to - 1].pos);
    }
    memmove(view + from + puts, view + to, (n - to) * sizeof *view);
    memcpy(view + from, put, puts * sizeof *view);
    return n - (to - from) + puts;
}

int view_build(const void *records, size_t bytes, struct record **out, size_t *count)
{
    size_t n = bytes / RECORD_BYTES, pieces = 0;
    const uint8_t *p = records;
    struct record *view;

    *out = NULL;
    *count = 0;
    if (bytes % RECORD_BYTES != 0)
        return -EIO;
    if (n == 0)
        return 0;
    view = calloc(n, 2 * sizeof *view);
    if (view == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct record r;

        if (record_decode(p + i * RECORD_BYTES, RECORD_BYTES, &r) != 0) {
            free(view);
            return -EIO;
        }
        if (r.len != 0)
            pieces = lay_over(view, pieces, &r);
    }
    *out = view;
    *count = pieces;
    return 0;
}
