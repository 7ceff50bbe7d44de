/*
 * setting_print.c - the setting of a new volume, as Go's MarshalIndent("", "") prints stock's
 * struct: one member a line, none indented, those marked omitempty left out when they are.
 */
#include "core/format/setting.h"

#include "core/format/json.h"

#include <inttypes.h>

#define TIERS "\"Tiers\": {\n\"0\": {\n\"ID\": 0,\n\"StorageClass\": \"\",\n\"Tag\": \"\"\n}\n},\n"

static void print_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "\"%s\": ", name);
    json_write_string(out, value);
    buf_add(out, ",\n", 2);
}

static void print_optional_text(struct buf *out, const char *name, const char *value)
{
    if (*value != 0)
        print_text(out, name, value);
}

static void print_number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, "\"%s\": %" PRId64 ",\n", name, value);
}

static void print_optional_number(struct buf *out, const char *name, uint64_t value)
{
    if (value != 0)
        buf_printf(out, "\"%s\": %" PRIu64 ",\n", name, value);
}

static void print_if_true(struct buf *out, const char *name, bool value)
{
    if (value)
        buf_printf(out, "\"%s\": true,\n", name);
}

int setting_print(const struct setting *s, struct buf *out)
{
    const char *min_client = s->min_client;

    if (*min_client == 0)
        min_client = s->acl ? "1.2.0-A" : "1.1.0-A";
    buf_add(out, "{\n", 2);
    print_text(out, "Name", s->name);
    print_text(out, "UUID", s->uuid);
    print_text(out, "Storage", s->storage);
    buf_printf(out, TIERS);
    print_text(out, "Bucket", s->bucket);
    print_number(out, "BlockSize", s->block_kib);
    print_optional_text(out, "Compression", s->compression);
    print_optional_number(out, "Shards", s->shards);
    print_if_true(out, "HashPrefix", s->hash_prefix);
    print_optional_number(out, "Capacity", s->capacity_bytes);
    print_optional_number(out, "Inodes", s->inodes);
    /* named also where nothing is encrypted */
    print_text(out, "EncryptAlgo", "aes256gcm-rsa");
    print_number(out, "TrashDays", s->trash_days);
    if (s->meta_version != 0)
        print_number(out, "MetaVersion", s->meta_version);
    print_text(out, "MinClientVersion", min_client);
    print_optional_text(out, "MaxClientVersion", s->max_client);
    print_if_true(out, "DirStats", s->dir_stats);
    buf_printf(out, "\"EnableACL\": %s\n}", s->acl ? "true" : "false");
    return buf_ok(out);
}
