/*
 * text.c - names, sizes and URLs as people read them; see cmd.h.
 */
#include "tools/cmd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Length of the valid UTF-8 sequence of a printable character at p, 0: none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

    if (n == 0 || p[0] >= 0xf5 || n > left)
        return 0;
    uint32_t code = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || code < 0xa0)
        return 0;
    return n;
}

char *text_name(const void *name, size_t len, char *out, size_t cap)
{
    const uint8_t *p = name;
    size_t o = 0;

    for (size_t i = 0; i < len;) {
        char piece[8];
        size_t n = p[i] < 0x80 ? (p[i] >= 0x20 && p[i] != 0x7f) : utf8_length(p + i, len - i);
        if (n > 0 && p[i] != '\\') {
            memcpy(piece, p + i, n);
            i += n;
        } else {
            n = (size_t)(p[i] == '\\' ? snprintf(piece, sizeof piece, "\\\\")
                                      : snprintf(piece, sizeof piece, "\\%03o", p[i]));
            i++;
        }
        if (o + n + (i < len ? 3 : 0) >= cap) {
            o += (size_t)snprintf(out + o, cap - o, "...");
            return out;
        }
        memcpy(out + o, piece, n);
        o += n;
    }
    out[o] = '\0';
    return out;
}

char *text_bytes(uint64_t n, char out[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)n;
    unsigned u = 0;

    for (; v >= 1024 && u < 6; u++)
        v /= 1024;
    snprintf(out, 32, v == (double)(uint64_t)v ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

const char *text_type(uint8_t type)
{
    static const char *const names[] = {"unknown", "file",         "directory",        "symlink",
                                        "fifo",    "block device", "character device", "socket"};
    return type <= TYPE_SOCKET ? names[type] : names[0];
}

int library_path(char *out, size_t cap)
{
    static const char *const places[] = {"libjfspre.so", "../lib/libjfspre.so"};
    char self[PATH_MAX], found[PATH_MAX];

    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return -ENOENT;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return -ENOENT;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s%s", self, places[i]);
        if (realpath(path, found) != NULL && (size_t)snprintf(out, cap, "%s", found) < cap)
            return 0;
    }
    snprintf(out, cap, "%s%s", self, places[0]);
    return -ENOENT;
}
