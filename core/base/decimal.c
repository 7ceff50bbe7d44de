/*
 * decimal.c - see decimal.h.
 */
#include "core/base/decimal.h"

#include <string.h>

size_t decimal_unsigned(char out[DECIMAL_MAX], uint64_t n)
{
    char digits[DECIMAL_MAX], *p = digits + sizeof digits;

    *--p = '\0';
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    size_t len = (size_t)(digits + sizeof digits - p) - 1;
    memcpy(out, p, len + 1);
    return len;
}

size_t decimal_signed(char out[DECIMAL_MAX], int64_t n)
{
    if (n >= 0)
        return decimal_unsigned(out, (uint64_t)n);
    out[0] = '-';
    char digits[DECIMAL_MAX];
    size_t len = decimal_unsigned(digits, 0 - (uint64_t)n);
    memcpy(out + 1, digits, len + 1);
    return len + 1;
}
