/*
 * json - one field of a flat JSON object, as stock describes a session.
 */
#ifndef JFSPRE_TOOLS_JSON_H
#define JFSPRE_TOOLS_JSON_H

#include <stddef.h>

/* The value of a field of the outermost object: a string without its quotes, anything else as it
 * stands.  Cut when out is too small.  0, -ENOENT (no such field), -EINVAL (not JSON). */
int json_field(const char *json, size_t len, const char *name, char *out, size_t cap);

#endif
