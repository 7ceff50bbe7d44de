/*
 * lx_ahead.c - what will be asked of names of a directory, at once (op_ahead).
 */
#include "core/meta/lx.h"

#include <errno.h>

#define NAMES_MAX 1000
#define PAGE_MAX  512
#define BYTES_MAX 1048576

/* False: the names are not laid out as op.h says. */
static bool is_well_formed(const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (size_t at = 0; at < len; at += 1u + p[at], n++)
        if (p[at] == 0 || at + p[at] >= len || n == NAMES_MAX)
            return false;
    return true;
}

static int add_file(struct lx *x, const char *name, size_t len, uint8_t type, uint64_t ino)
{
    struct buf *out = &x->res->extra;
    uint8_t entry[ENTRY_BYTES];
    struct kv_val raw;
    char key[LX_KEY];
    bool found, has = false;

    lx_key(key, 'i', ino);
    int rc = lx_get(x, key, NULL, 0, &raw, &found);
    if (rc < 0 || !found)
        return rc;
    entry_encode(type, ino, entry);
    buf_add_be16(out, (uint16_t)len);
    buf_add(out, name, len);
    buf_add(out, entry, sizeof(entry));
    buf_add_be16(out, (uint16_t)raw.len);
    buf_add(out, raw.data, raw.len);
    lx_key(key, 'x', ino);
    rc = lx_any(x, key, &has);
    buf_add(out, has ? "\1" : "\0", 1);
    size_t at = out->len;
    buf_add_be32(out, 0);
    if (rc == 0 && type == TYPE_FILE)
        rc = lx_records(x, ino, 0, out);
    if (rc == 0 && buf_ok(out) == 0)
        put_be32(out->data + at, (uint32_t)(out->len - at - 4));
    return rc;
}

struct page {
    struct lx *x;
    uint64_t left;
};

static int add_entry(void *ctx, struct kv_val key, struct kv_val value)
{
    struct page *p = ctx;
    if (p->left == 0 || p->x->res->extra.len >= BYTES_MAX)
        return 1;
    if (value.len != ENTRY_BYTES || key.len == 0)
        return 0;
    p->left--;
    const uint8_t *entry = value.data;
    return add_file(p->x, key.data, key.len, entry[0], get_be64(entry + 1));
}

static int any_names(struct lx *x)
{
    struct page p = {.x = x, .left = x->op->len < PAGE_MAX ? x->op->len : PAGE_MAX};
    char key[LX_KEY];
    lx_key(key, 'd', x->op->base);
    return lx_store(x, hash_scan(x->kv, key, NULL, 0, add_entry, &p));
}

int lx_op_ahead(struct lx *x)
{
    const struct op *op = x->op;
    const uint8_t *p = op->data;
    char key[LX_KEY];
    struct attr dir;
    bool found;

    lx_key(key, 'd', op->base);
    int rc = lx_load(x, op->base, &dir, &found);
    if (rc == 0 && !is_well_formed(p, op->data_len))
        rc = -EINVAL;
    else if (rc == 0 && !found)
        rc = -ENOENT;
    else if (rc == 0 && dir.type != TYPE_DIRECTORY)
        rc = -ENOTDIR;
    for (size_t at = 0; rc == 0 && at < op->data_len; at += 1u + p[at]) {
        const char *name = (const char *)p + at + 1;
        struct kv_val v; /* not lx_entry(): as in a listing, .trash is not among them */
        rc = lx_get(x, key, name, p[at], &v, &found);
        if (rc == 0 && found && v.len == ENTRY_BYTES && x->res->extra.len < BYTES_MAX)
            rc = add_file(x, name, p[at], *(const uint8_t *)v.data,
                          get_be64((const uint8_t *)v.data + 1));
    }
    if (rc == 0 && op->data_len == 0)
        rc = any_names(x);
    return rc == 0 ? lx_answer(x, op->base, &dir, dir.parent) : rc;
}
