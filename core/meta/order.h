/*
 * order - the names of a directory in the order of its listing, or of inodes: what a program that
 * works through it asks for next.
 *
 * Layer: meta, internal.  Threads: the caller serialises.
 */
#ifndef JFSPRE_CORE_META_ORDER_H
#define JFSPRE_CORE_META_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order;
void order_free(struct order *o); /* NULL is fine */
/* Appends a name of a listing; *o: NULL at first.  False: no memory, *o is NULL. */
bool order_add(struct order **o, const char *name, size_t len, uint64_t ino);
/* A name's place, or -1. */
long order_find(const struct order *o, uint64_t ino);
/* Who asks for ino now, after whatever was given before, goes by inodes and not by the listing, or
 * the other way round: changes its places when that fits better. */
void order_follow(struct order *o, uint64_t ino);
size_t order_count(const struct order *o);
/* The name in a place; not NUL-terminated. */
const char *order_name(const struct order *o, size_t place, size_t *len, uint64_t *ino);
/* How often it was asked for one of its names, and the place behind the last that was given. */
unsigned order_asked(struct order *o);
void order_gave(struct order *o, size_t next);

#endif
