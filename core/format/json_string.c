/*
 * json_string.c - reads a string, decoded to UTF-8.
 */
#include "core/format/json_internal.h"

#include <errno.h>
#include <string.h>

/* Where a decoded string goes; what does not fit is counted as overflow. */
struct text {
    char *out;
    size_t len, cap;
    bool overflow;
};

static void text_add(struct text *t, unsigned char c)
{
    if (t->len + 1 >= t->cap || c == 0)
        t->overflow = true;
    else
        t->out[t->len++] = (char)c;
}

static void text_add_rune(struct text *t, uint32_t c)
{
    if (c < 0x80) {
        text_add(t, (unsigned char)c);
        return;
    }
    if (c < 0x800) {
        text_add(t, (unsigned char)(0xC0 | (c >> 6)));
    } else {
        if (c < 0x10000) {
            text_add(t, (unsigned char)(0xE0 | (c >> 12)));
        } else {
            text_add(t, (unsigned char)(0xF0 | (c >> 18)));
            text_add(t, 0x80 | ((c >> 12) & 0x3F));
        }
        text_add(t, 0x80 | ((c >> 6) & 0x3F));
    }
    text_add(t, 0x80 | (c & 0x3F));
}

/* Four hex digits, or -1. */
static int32_t hex4(struct json *j)
{
    int32_t v = 0;

    if (j->end - j->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = j->at[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    j->at += 4;
    return v;
}

/* Behind \u.  Half of a surrogate pair alone stands for U+FFFD. */
static int unicode_escape(struct json *j, struct text *t)
{
    int32_t high = hex4(j), low;
    const char *behind = j->at;

    if (high < 0)
        return json_fail(j, "four hex digits are expected");
    if (high >= 0xD800 && high < 0xDC00 && json_take_word(j, "\\u")) {
        low = hex4(j);
        if (low >= 0xDC00 && low < 0xE000) {
            text_add_rune(t,
                          0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00));
            return 0;
        }
        j->at = behind; /* what followed is read for itself */
    }
    text_add_rune(t, high >= 0xD800 && high < 0xE000 ? 0xFFFD : (uint32_t)high);
    return 0;
}

static int escape(struct json *j, struct text *t)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char c = j->at < j->end ? *j->at++ : 0;

    if (c == 'u')
        return unicode_escape(j, t);
    found = c != 0 ? strchr(from, c) : NULL;
    if (found == NULL)
        return json_fail(j, "an unknown escape");
    text_add(t, (unsigned char)to[found - from]);
    return 0;
}

int json_string(struct json *j, char *out, size_t cap)
{
    struct text t = {.out = out, .cap = cap};

    *out = 0;
    if (!json_take(j, '"')) {
        json_skip(j);
        return -EINVAL;
    }
    for (;;) {
        unsigned char c = j->at < j->end ? (unsigned char)*j->at++ : 0;

        if (c == '"')
            break;
        if (c < ' ')
            return json_fail(j, "the end of a string is expected");
        if (c != '\\')
            text_add(&t, c);
        else if (escape(j, &t) != 0)
            return -EINVAL;
    }
    out[t.overflow ? 0 : t.len] = 0;
    return t.overflow ? -E2BIG : 0;
}
