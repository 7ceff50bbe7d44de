/*
 * lx_repack.c - records that move to a new slice, and fields of sliceRef that are put right
 * (op_repack).
 */
#include "core/base/decimal.h"
#include "core/meta/lx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFS   "sliceRef"
#define MOVE   (8 + 4 + 2 * RECORD_BYTES)
#define REPAIR (8 + 4 + 8 + 8)

static size_t slice_field(char out[64], uint64_t id, uint32_t size)
{
    return (size_t)snprintf(out, 64, "k%" PRIu64 "_%" PRIu32, id, size);
}

/* Does every new record hold the same bytes of its chunk, in the new slice? */
static bool is_valid(const struct op *op)
{
    const uint8_t *p = op->data, *end = p + op->data_len;
    struct record was, is;

    if (op->data_len == 0 || op->data_len % MOVE != 0 || op->ino == 0)
        return false;
    for (; p < end; p += MOVE) {
        if (record_decode(p + 12, RECORD_BYTES, &was) < 0 ||
            record_decode(p + 12 + RECORD_BYTES, RECORD_BYTES, &is) < 0 || was.len == 0 ||
            was.id == 0 || was.id == op->ino || is.id != op->ino || is.size != op->len ||
            was.pos != is.pos || was.len != is.len)
            return false;
    }
    return true;
}

static int move(struct lx *x, const uint8_t *item, bool *done)
{
    uint64_t ino = get_be64(item);
    char key[LX_KEY];
    struct attr a;
    bool found;

    *done = false;
    int rc = lx_load(x, ino, &a, &found);
    if (rc < 0 || !found || a.type != TYPE_FILE)
        return rc;
    lx_key(key, 'c', ino);
    size_t n = strlen(key);
    key[n++] = '_';
    decimal_unsigned(key + n, get_be32(item + 8));
    return lx_store(x, list_replace(x->kv, key, (struct kv_val){item + 12, RECORD_BYTES},
                                    (struct kv_val){item + 12 + RECORD_BYTES, RECORD_BYTES}, done));
}

static int move_all(struct lx *x, struct buf *freed, uint32_t *count)
{
    const uint8_t *p = x->op->data, *end = p + x->op->data_len;
    int rc = 0;

    for (; rc == 0 && p < end; p += MOVE) {
        bool done;
        rc = move(x, p, &done);
        if (rc == 0 && done) {
            ++*count;
            rc = lx_release(x, p + 16, freed);
        }
    }
    return rc;
}

int lx_op_repack(struct lx *x)
{
    const struct op *op = x->op;
    struct buf freed = {0};
    struct kv_val v;
    char field[64], text[DECIMAL_MAX];
    uint32_t count = 0;
    bool found;

    if (!is_valid(op))
        return -EINVAL;
    size_t n = slice_field(field, op->ino, (uint32_t)op->len);
    int rc = lx_get(x, REFS, field, n, &v, &found);
    if (rc < 0 || found)
        return rc < 0 ? rc : -EEXIST;
    rc = move_all(x, &freed, &count);
    if (rc == 0 && count > 1)
        rc = lx_set(x, REFS, field, n, text, decimal_unsigned(text, count - 1));
    buf_add_be32(&x->res->extra, count);
    buf_add(&x->res->extra, freed.data, freed.len);
    if (rc == 0)
        rc = buf_ok(&freed);
    buf_free(&freed);
    return rc == 0 ? lx_answer(x, op->ino, NULL, 0) : rc;
}

static int put_right(struct lx *x, const uint8_t *item, bool *done)
{
    int64_t seen = (int64_t)get_be64(item + 12), right = (int64_t)get_be64(item + 20);
    char field[64], text[DECIMAL_MAX] = "0";
    struct kv_val v;
    bool found;
    size_t n = slice_field(field, get_be64(item), get_be32(item + 8));
    int rc = lx_get(x, REFS, field, n, &v, &found);

    *done = false;
    if (rc < 0 || (found && v.len >= sizeof text))
        return rc;
    if (found) {
        memcpy(text, v.data, v.len);
        text[v.len] = '\0';
    }
    if (strtoll(text, NULL, 10) != seen)
        return 0;
    *done = true;
    return right == 0 ? lx_del(x, REFS, field, n)
                      : lx_set(x, REFS, field, n, text, decimal_signed(text, right));
}

int lx_op_recount(struct lx *x)
{
    const uint8_t *p = x->op->data, *end = p + x->op->data_len;
    uint32_t count = 0;
    int rc = x->op->data_len % REPAIR == 0 ? 0 : -EINVAL;

    for (; rc == 0 && p < end; p += REPAIR) {
        bool done;
        rc = put_right(x, p, &done);
        count += rc == 0 && done;
    }
    buf_add_be32(&x->res->extra, count);
    return rc;
}
