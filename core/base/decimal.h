/*
 * decimal - integers as decimal text, for keys and counters: printf(3) costs a fifth of a change to
 * the embedded store otherwise.
 *
 * Layer: base.
 */
#ifndef JFSPRE_CORE_BASE_DECIMAL_H
#define JFSPRE_CORE_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 21 /* with a sign and the NUL */

/* Writes n and a NUL; the number of characters before it. */
size_t decimal_unsigned(char out[DECIMAL_MAX], uint64_t n);
size_t decimal_signed(char out[DECIMAL_MAX], int64_t n);

#endif
