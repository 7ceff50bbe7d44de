/*
 * keys.c - key names are short decimal texts; the prefix is all that a cluster changes.
 */
#include "core/format/keys.h"

#include "core/base/decimal.h"

#include <stdio.h>
#include <string.h>

/* PREFIX LETTER NUMBER; 33 bytes at most beside the prefix. */
static size_t numbered(const struct keys *k, char letter, uint64_t n, char out[KEY_MAX])
{
    size_t at = strnlen(k->prefix, sizeof k->prefix);
    memcpy(out, k->prefix, at);
    out[at] = letter;
    return at + 1 + decimal_unsigned(out + at + 1, n);
}

static size_t add_index(char *out, size_t at, uint32_t index)
{
    out[at] = '_';
    return at + 1 + decimal_unsigned(out + at + 1, index);
}

size_t key_plain(const struct keys *k, const char *name, char out[KEY_MAX])
{
    int n = snprintf(out, KEY_MAX, "%.*s%s", (int)sizeof k->prefix, k->prefix, name);
    return (size_t)n < KEY_MAX ? (size_t)n : KEY_MAX - 1;
}

size_t key_inode(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return numbered(k, 'i', ino, out);
}

size_t key_dir(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return numbered(k, 'd', ino, out);
}

size_t key_parents(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return numbered(k, 'p', ino, out);
}

size_t key_chunk(const struct keys *k, uint64_t ino, uint32_t idx, char out[KEY_MAX])
{
    return add_index(out, numbered(k, 'c', ino, out), idx);
}

size_t key_symlink(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return numbered(k, 's', ino, out);
}

size_t key_xattr(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return numbered(k, 'x', ino, out);
}

size_t key_slice_field(uint64_t id, uint32_t size, char out[KEY_MAX])
{
    static const struct keys none;

    return add_index(out, numbered(&none, 'k', id, out), size);
}
