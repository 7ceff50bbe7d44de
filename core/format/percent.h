/*
 * percent - how stock's dumps write bytes that may be anything (names, symlink targets, values of
 * attributes) so that they are JSON: what is not UTF-8, control characters, spaces, quotes,
 * backslashes and the percent sign become %XX, the rest stays.
 *
 * Layer: format; uses base.
 */
#ifndef JFSPRE_CORE_FORMAT_PERCENT_H
#define JFSPRE_CORE_FORMAT_PERCENT_H

#include <stddef.h>

struct buf;

/* Appends.  The bytes of stock's writer but for U+FFFD, of which that one loses two bytes; read
 * back they are the same name. */
void percent_write(struct buf *out, const void *data, size_t len);
/* Decodes in place and returns the new length.  A percent sign without two hex digits behind it
 * stands for itself: dumps of old clients did not write it as %25. */
size_t percent_read(char *text, size_t len);

#endif
