/*
 * keys.c - key names are short decimal texts; the prefix is all that a cluster changes.
 */
#include "core/format/keys.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static size_t
write_key(const struct keys *k, char out[KEY_MAX], const char *fmt, ...)
{
    size_t at = strnlen(k->prefix, sizeof k->prefix);
    va_list ap;

    memcpy(out, k->prefix, at);
    va_start(ap, fmt);
    vsnprintf(out + at, KEY_MAX - at, fmt, ap);
    va_end(ap);
    return at + strlen(out + at);
}

size_t key_plain(const struct keys *k, const char *name, char out[KEY_MAX])
{
    return write_key(k, out, "%s", name);
}

size_t key_inode(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return write_key(k, out, "i%" PRIu64, ino);
}

size_t key_dir(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return write_key(k, out, "d%" PRIu64, ino);
}

size_t key_parents(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return write_key(k, out, "p%" PRIu64, ino);
}

size_t key_chunk(const struct keys *k, uint64_t ino, uint32_t idx, char out[KEY_MAX])
{
    return write_key(k, out, "c%" PRIu64 "_%" PRIu32, ino, idx);
}

size_t key_symlink(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return write_key(k, out, "s%" PRIu64, ino);
}

size_t key_xattr(const struct keys *k, uint64_t ino, char out[KEY_MAX])
{
    return write_key(k, out, "x%" PRIu64, ino);
}

size_t key_slice_field(uint64_t id, uint32_t size, char out[KEY_MAX])
{
    static const struct keys none;

    return write_key(&none, out, "k%" PRIu64 "_%" PRIu32, id, size);
}
