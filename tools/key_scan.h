/*
 * key_scan - keys of a volume as a scan visits them: which kind each one is, numbers in their
 * names, where one key ends and the next begins.
 *
 * Layer: tools.
 */
#ifndef JFSPRE_TOOLS_KEY_SCAN_H
#define JFSPRE_TOOLS_KEY_SCAN_H

#include "core/meta/engine.h"

/* Decimal numbers that are the whole text.  false: there is none. */
bool key_number(const void *text, size_t len, int64_t *out);
bool key_number_u64(const void *text, size_t len, uint64_t *out); /* below 2^63 */
bool key_two_numbers(const void *text, size_t len, char between, uint64_t *a, uint64_t *b);

/* How the keys of a kind begin: with a digit after it when they come by number, else it is the
 * whole name. */
struct key_kind {
    const char *begins;
    bool numbered;
    char type; /* of the value: as engine_item.type */
};
/* Is it one?  *rest is what follows the beginning. */
bool key_is(const struct engine_item *it, const struct key_kind *kind, const char **rest,
            size_t *len);

/* Lists and hashes are visited item by item, and a key may come again. */
struct key_visits {
    char key[64];
    size_t key_len;
    uint32_t visit; /* number of the one that goes on */
};
/* Is the item the first of a visit to its key? */
bool key_visits_next(struct key_visits *v, const struct engine_item *it);

#endif
