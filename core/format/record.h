/*
 * record - slice records of a chunk (juicefs-format.md 3.4) and the view over them (section 7).
 *
 * A chunk is 64 MiB of a file.  Its list holds records, oldest first; a later one covers the
 * earlier ones.  The view is the sorted, gap-free answer: who holds each byte.
 *
 * Layer: format.
 */
#ifndef JFSPRE_CORE_FORMAT_RECORD_H
#define JFSPRE_CORE_FORMAT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES  (UINT64_C(64) << 20)
#define RECORD_BYTES 24

struct record {
    uint32_t pos;  /* offset in the chunk */
    uint64_t id;   /* slice; 0: zeros */
    uint32_t size; /* bytes of the whole slice, names its blocks */
    uint32_t off;  /* first byte used, in the slice */
    uint32_t len;  /* bytes used */
};

void record_encode(const struct record *r, uint8_t out[RECORD_BYTES]);
/* 0, or -EIO when a rule of 3.4 is broken (off is ignored for id 0; len 0 is accepted). */
int record_decode(const void *data, size_t len, struct record *out);

/* Records on their way to several chunks: items of u32 chunk index, record. */
#define RECORD_ITEM_BYTES (4 + RECORD_BYTES)
struct record_item {
    size_t at; /* of the record, in the data */
    uint32_t chunk;
    struct record r;
};
/* The next one at *pos, which moves behind it; malformed ones are passed over.  false: none. */
bool record_item_next(const uint8_t *data, size_t len, size_t *pos, struct record_item *out);
/* Where the data ends in the file: the highest of all items. */
uint64_t record_items_end(const uint8_t *data, size_t len);

/* Decodes n * 24 bytes, oldest first, into a view: pieces sorted by pos, without gap or overlap,
 * beginning at 0 (id 0 pieces are zeros); after the last piece come zeros.  *out is the caller's:
 * free().  0, -EIO for a malformed list, -ENOMEM. */
int view_build(const void *records, size_t bytes, struct record **out, size_t *count);

#endif
