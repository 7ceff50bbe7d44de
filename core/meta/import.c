/*
 * import.c - the batch; see import.h.
 */
#include "core/meta/import.h"

#include <errno.h>
#include <string.h>

struct place {
    size_t at; /* key, NUL, field, value */
    uint32_t key_len, field_len, value_len;
    char type;
    bool has_field;
};

void import_batch_init(struct import_batch *b)
{
    *b = (struct import_batch){.places = VEC_OF(struct place)};
}

void import_batch_free(struct import_batch *b)
{
    buf_free(&b->bytes);
    vec_free(&b->places);
}

void import_batch_clear(struct import_batch *b)
{
    buf_clear(&b->bytes);
    b->places.len = 0;
}

int import_batch_add(struct import_batch *b, const struct engine_item *item)
{
    struct place *p = vec_add(&b->places);

    if (p == NULL)
        return -ENOMEM;
    *p = (struct place){.at = b->bytes.len,
                        .key_len = (uint32_t)item->key_len,
                        .field_len = (uint32_t)item->field_len,
                        .value_len = (uint32_t)item->value_len,
                        .type = item->type,
                        .has_field = item->field != NULL};
    buf_add(&b->bytes, item->key, item->key_len);
    buf_add(&b->bytes, "", 1);
    buf_add(&b->bytes, item->field, item->field_len);
    buf_add(&b->bytes, item->value, item->value_len);
    return buf_ok(&b->bytes);
}

struct engine_item import_batch_at(const struct import_batch *b, size_t i)
{
    const struct place *p = vec_at(&b->places, i);
    const uint8_t *key = b->bytes.data + p->at, *field = key + p->key_len + 1;

    return (struct engine_item){.key = (const char *)key,
                                .key_len = p->key_len,
                                .type = p->type,
                                .field = p->has_field ? field : NULL,
                                .field_len = p->field_len,
                                .value = field + p->field_len,
                                .value_len = p->value_len};
}
