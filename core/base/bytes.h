/*
 * bytes - big-endian numbers in memory, as every binary value of the volume is written
 * (juicefs-format.md, Notation), and a growable byte buffer.
 *
 * Layer: base; used by everything.  Threads: no state.
 */
#ifndef JFSPRE_CORE_BASE_BYTES_H
#define JFSPRE_CORE_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, (uint16_t)(v >> 16));
    put_be16(p + 2, (uint16_t)v);
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}

static inline uint16_t get_be16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
    return ((uint32_t)get_be16(p) << 16) | get_be16(p + 2);
}

static inline uint64_t get_be64(const uint8_t *p)
{
    return ((uint64_t)get_be32(p) << 32) | get_be32(p + 4);
}

/* Bytes that grow.  {0} is empty and valid.  `len` bytes of `data` are in use; data is always
 * followed by a NUL that is not counted, once anything was added. */
struct buf {
    uint8_t *data;
    size_t len, cap;
    int failed; /* an allocation failed: later adds do nothing, buf_ok() is -ENOMEM */
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_be16(struct buf *b, uint16_t v);
void buf_add_be32(struct buf *b, uint32_t v);
void buf_add_be64(struct buf *b, uint64_t v);
/* Room for `more` bytes behind those in use, to be written there and then counted by buf_added();
 * NULL: no memory, *b has failed. */
uint8_t *buf_room(struct buf *b, size_t more);
void buf_added(struct buf *b, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_ok(const struct buf *b); /* 0, or -ENOMEM */
void buf_clear(struct buf *b);   /* len = 0, memory kept */
void buf_free(struct buf *b);    /* back to {0} */

#endif
