/*
 * setting_check.c - which volumes this build may write to, and which values a new one may have.
 *
 * A feature that is not built in is refused by the name it has in the setting: a client that
 * ignores one damages the volume.
 */
#include "core/format/setting.h"

#include "core/base/line.h"
#include "core/format/json.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define META_VERSION_MAX 1
#define BLOCK_KIB_MIN    64
#define BLOCK_KIB_MAX    16384
#define BLOCK_PATH_BYTES 160 /* what a block's temporary name adds to Bucket and Name, at most */

__attribute__((format(printf, 4, 5))) static int refuse(int code, char *err, size_t errlen,
                                                        const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_vset(err, errlen, fmt, ap);
    va_end(ap);
    return code;
}

static bool known_compression(const char *name)
{
    return *name == 0 || strcasecmp(name, "none") == 0;
}

static bool known_block_size(uint32_t kib)
{
    return kib >= BLOCK_KIB_MIN && kib <= BLOCK_KIB_MAX && (kib & (kib - 1)) == 0;
}

static int check_versions(const struct setting *s, char *err, size_t errlen)
{
    if (s->meta_version > META_VERSION_MAX)
        return refuse(-ENOTSUP, err, errlen, "MetaVersion %d is not supported, only up to %d",
                      s->meta_version, META_VERSION_MAX);
    if (*s->min_client != 0 && !version_valid(s->min_client))
        return refuse(-ENOTSUP, err, errlen, "MinClientVersion \"%s\" is not a version",
                      s->min_client);
    if (*s->max_client != 0 && !version_valid(s->max_client))
        return refuse(-ENOTSUP, err, errlen, "MaxClientVersion \"%s\" is not a version",
                      s->max_client);
    if (*s->min_client != 0 && version_compare(EMULATED_VERSION, s->min_client) < 0)
        return refuse(-ENOTSUP, err, errlen,
                      "MinClientVersion %s is newer than " EMULATED_VERSION
                      ", whose rules are followed here",
                      s->min_client);
    if (*s->max_client != 0 && version_compare(EMULATED_VERSION, s->max_client) > 0)
        return refuse(-ENOTSUP, err, errlen,
                      "MaxClientVersion %s is older than " EMULATED_VERSION
                      ", whose rules are followed here",
                      s->max_client);
    return 0;
}

int setting_store_supported(const struct setting *s, char *err, size_t errlen)
{
    if (s->encrypted)
        return refuse(-ENOTSUP, err, errlen, "EncryptKey is set: encryption is not built in");
    if (strcasecmp(s->storage, "file") != 0)
        return refuse(-ENOTSUP, err, errlen, "Storage \"%s\" is not built in, only file is",
                      s->storage);
    if (*s->bucket != '/')
        return refuse(-ENOTSUP, err, errlen, "Bucket \"%s\" is not an absolute path", s->bucket);
    if (!known_block_size(s->block_kib))
        return refuse(-ENOTSUP, err, errlen, "BlockSize %u is not a power of two from %d to %d",
                      s->block_kib, BLOCK_KIB_MIN, BLOCK_KIB_MAX);
    if (!known_compression(s->compression))
        return refuse(-ENOTSUP, err, errlen, "Compression %s is not built in, only none is",
                      s->compression);
    if (s->shards > 1)
        return refuse(-ENOTSUP, err, errlen, "Shards %u is not built in, only one bucket is",
                      s->shards);
    return 0;
}

int setting_supported(const struct setting *s, char *err, size_t errlen)
{
    int rc = check_versions(s, err, errlen);

    if (rc == 0)
        rc = setting_store_supported(s, err, errlen);
    if (rc != 0)
        return rc;
    if (s->acl)
        return refuse(-ENOTSUP, err, errlen, "EnableACL is true: ACLs are not built in");
    if (s->user_group_quota)
        return refuse(-ENOTSUP, err, errlen,
                      "UserGroupQuota is true: quotas of users and groups are not built in");
    if (s->changelog)
        return refuse(-ENOTSUP, err, errlen, "ChangeLog is true: the change log is not built in");
    return 0;
}

/* ^[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]$ */
static bool valid_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(name);

    return len >= 3 && len <= 63 && strspn(name, allowed) == len && name[0] != '-' &&
           name[len - 1] != '-';
}

int setting_check_new(const struct setting *s, char *err, size_t errlen)
{
    size_t len = strlen(s->bucket);

    if (!valid_name(s->name))
        return refuse(-EINVAL, err, errlen,
                      "name \"%s\": 3 to 63 of a-z 0-9 and -, which may not be first or last",
                      s->name);
    if (*s->uuid == 0 || strchr(s->uuid, '/') != NULL)
        return refuse(-EINVAL, err, errlen, "UUID \"%s\" is not one", s->uuid);
    if (*s->bucket != '/' || s->bucket[len - 1] != '/')
        return refuse(-EINVAL, err, errlen,
                      "bucket \"%s\": an absolute path with a slash at its end is needed",
                      s->bucket);
    if (!json_is_utf8(s->bucket))
        return refuse(-EINVAL, err, errlen, "bucket \"%s\": the setting can hold only UTF-8",
                      s->bucket);
    if (len + strlen(s->name) + BLOCK_PATH_BYTES > PATH_MAX)
        return refuse(-EINVAL, err, errlen, "bucket \"%.64s...\": too long", s->bucket);
    if (s->trash_days < 0)
        return refuse(-EINVAL, err, errlen, "trash days %d: cannot be negative", s->trash_days);
    /* the rest: what could not be opened afterwards */
    return setting_supported(s, err, errlen) == 0 ? 0 : -EINVAL;
}
