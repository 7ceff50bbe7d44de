/*
 * order.c - see order.h.  Names lie one behind the other as u64 inode, u8 length, name.
 */
#include "core/meta/order.h"

#include "core/base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 9

struct order {
    struct buf names;
    uint32_t *at; /* of each, in the names */
    uint32_t n, room, next;
    unsigned asked;
    bool has_next, by_inode;
};

void order_free(struct order *o)
{
    if (o == NULL)
        return;
    buf_free(&o->names);
    free(o->at);
    free(o);
}

bool order_add(struct order **out, const char *name, size_t len, uint64_t ino)
{
    struct order *o = *out != NULL ? *out : calloc(1, sizeof(*o));
    if (o != NULL && o->n == o->room) {
        uint32_t room = o->room == 0 ? 64 : o->room * 2;
        uint32_t *at = realloc(o->at, room * sizeof(*at));
        if (at != NULL) {
            o->at = at;
            o->room = room;
        }
    }
    if (o != NULL && o->n < o->room) {
        const uint8_t n = (uint8_t)len;
        o->at[o->n++] = (uint32_t)o->names.len;
        buf_add_be64(&o->names, ino);
        buf_add(&o->names, &n, 1);
        buf_add(&o->names, name, len);
        if (buf_ok(&o->names) == 0) {
            *out = o;
            return true;
        }
    }
    order_free(o);
    *out = NULL;
    return false;
}

static uint64_t ino_at(const struct order *o, size_t place)
{
    return get_be64(o->names.data + o->at[place]);
}

/* From where it is expected. */
long order_find(const struct order *o, uint64_t ino)
{
    for (uint32_t i = 0; i < o->n; i++) {
        uint32_t place = o->next + i < o->n ? o->next + i : o->next + i - o->n;
        if (ino_at(o, place) == ino)
            return (long)place;
    }
    return -1;
}

static int by_inode(const void *a, const void *b, void *names)
{
    const uint8_t *base = names;
    return memcmp(base + *(const uint32_t *)a, base + *(const uint32_t *)b, 8);
}

static int by_place(const void *a, const void *b, void *names)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    (void)names;
    return x < y ? -1 : x > y;
}

void order_follow(struct order *o, uint64_t ino)
{
    if (!o->has_next || o->next >= o->n || ino_at(o, o->next) == ino)
        return;
    o->by_inode = !o->by_inode;
    qsort_r(o->at, o->n, sizeof(*o->at), o->by_inode ? by_inode : by_place, o->names.data);
    o->has_next = false;
}

size_t order_count(const struct order *o)
{
    return o->n;
}

const char *order_name(const struct order *o, size_t place, size_t *len, uint64_t *ino)
{
    const uint8_t *p = o->names.data + o->at[place];
    *ino = get_be64(p);
    *len = p[8];
    return (const char *)p + HEAD;
}

unsigned order_asked(struct order *o)
{
    return ++o->asked;
}

void order_gave(struct order *o, size_t next)
{
    o->next = (uint32_t)(next < o->n ? next : 0);
    o->has_next = true;
}
