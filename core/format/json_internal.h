/*
 * json_internal - steps of the reader that its files share (json.h).
 *
 * Layer: format, for the files of this folder that read or write JSON.
 */
#ifndef JFSPRE_CORE_FORMAT_JSON_INTERNAL_H
#define JFSPRE_CORE_FORMAT_JSON_INTERNAL_H

#include "core/format/json.h"

/* Keeps the first thing that was wrong; -EINVAL. */
int json_fail(struct json *j, const char *wrong);
/* The next byte that is not space, or 0 at the end and after an error. */
char json_peek(struct json *j);
bool json_take(struct json *j, char c);                /* that byte, when it is c */
bool json_take_word(struct json *j, const char *word); /* the very next bytes */
/* Consumes a number.  Its digits before a fraction are at *from; false for one with a fraction or
 * an exponent, which is no integer even where its value is. */
bool json_number(struct json *j, bool *negative, const char **from, size_t *len);
/* Bytes of the UTF-8 sequence at p, of which `left` bytes are there; 0: none that is well-formed.
 */
size_t json_sequence(const unsigned char *p, size_t left);

#endif
