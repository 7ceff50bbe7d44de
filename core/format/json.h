/*
 * json - reads one JSON text from front to back, and writes its strings.
 *
 * A cursor, no tree: the caller asks for what it expects next.  The first thing that is wrong stays
 * in `wrong` and every later call fails, so that loops end.  Nothing is allocated, and nothing read
 * again, so a mapped file of any size may be read.
 *
 * Layer: format; used by its files and by the tools that read dumps.
 */
#ifndef JFSPRE_CORE_FORMAT_JSON_H
#define JFSPRE_CORE_FORMAT_JSON_H

#include "core/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    const char *start, *at, *end;
    const char *wrong; /* what was expected, at at - start; NULL: nothing wrong so far */
    bool first;        /* no member of the object or array in hand was read yet */
};

enum json_type {
    JSON_BAD, /* no value begins here */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
};

void json_init(struct json *j, const char *text, size_t len);
enum json_type json_type(struct json *j); /* of the next value, which is not consumed */

bool json_object(struct json *j); /* enters an object */
/* The next member's name; false at the end of the object or when something is wrong.  A name that
 * does not fit into cap is given as "".  The caller reads or skips the value, which may be an
 * object or array read to its end, then asks again. */
bool json_member(struct json *j, char *name, size_t cap);
bool json_array(struct json *j);   /* enters an array */
bool json_element(struct json *j); /* is there a next one? to be read before the next question */

/* Each consumes one value.  0; -EINVAL: not such a value (wrong is set when it is not JSON). */
int json_string(struct json *j, char *out, size_t cap); /* -E2BIG: too long, or a NUL in it */
int json_integer(struct json *j, int64_t *out);         /* -ERANGE; fractions are -EINVAL */
int json_unsigned(struct json *j, uint64_t *out);       /* -ERANGE */
int json_bool(struct json *j, bool *out);
int json_skip(struct json *j);  /* whatever it is */
bool json_done(struct json *j); /* nothing but space is left */
/* Copies one value with `unit` for each level of indentation, as Go's MarshalIndent lays it out;
 * the first line is not indented, `depth` is that of the others.  Numbers and strings keep their
 * bytes.  false: something is wrong. */
bool json_indent(struct json *j, const char *unit, int depth, struct buf *out);
/* Where the reader is: line and byte of the line, both from 1. */
void json_place(const struct json *j, size_t *line, size_t *column);

/* A string in quotes, escaped as Go's encoder does it (also < > & and U+2028, U+2029). */
void json_write_string(struct buf *out, const char *text);
bool json_is_utf8(const char *text);

#endif
