/*
 * make.c - see make.h.
 */
#include "core/meta/make.h"

#include "core/format/record.h"

#include <errno.h>
#include <string.h>

int records_end(const uint8_t *p, size_t n, uint64_t *end)
{
    *end = 0;
    for (; n >= RECORD_ITEM_BYTES; p += RECORD_ITEM_BYTES, n -= RECORD_ITEM_BYTES) {
        struct record r;
        uint64_t chunk = get_be32(p);
        if (record_decode(p + 4, RECORD_BYTES, &r) < 0 || r.len == 0 ||
            (r.id == 0 && get_be32(p + 20) != 0))
            return -EINVAL;
        uint64_t last = chunk * CHUNK_BYTES + r.pos + r.len;
        if (last > *end)
            *end = last;
    }
    return n == 0 ? 0 : -EINVAL;
}

static int parse_file(const struct make *m)
{
    uint64_t end;
    int rc = records_end(m->rest, m->rest_len, &end);

    if (rc == 0 && (end >= MAKE_LENGTH_MAX || m->a.length >= MAKE_LENGTH_MAX))
        rc = -EFBIG;
    return rc;
}

static int parse_symlink(const struct make *m)
{
    if (m->rest_len == 0)
        return -ENOENT;
    if (m->rest_len > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    return memchr(m->rest, 0, m->rest_len) != NULL || m->a.length != m->rest_len ? -EINVAL : 0;
}

int make_parse(const struct op *op, struct make *out)
{
    const uint8_t *p = op->data;
    const char *name = op->path != NULL ? op->path : "";

    if (op->data_len < ATTR_BYTES || attr_decode(p, ATTR_BYTES, &out->a) < 0)
        return -EINVAL;
    out->rest = p + ATTR_BYTES;
    out->rest_len = op->data_len - ATTR_BYTES;
    const struct attr *a = &out->a;
    bool is_dir = a->type == TYPE_DIRECTORY;

    if (name[0] == 0 || strchr(name, '/') != NULL || a->parent != op->base || a->tier != 0 ||
        a->nlink != (is_dir ? 2 : 1))
        return -EINVAL;
    if (a->type == TYPE_FILE)
        return parse_file(out);
    if (a->type == TYPE_SYMLINK)
        return parse_symlink(out);
    return out->rest_len != 0 || a->length != (is_dir ? 4096 : 0) ? -EINVAL : 0;
}
