/*
 * cmd_format.c - `jfspre format`: makes a volume that is what `juicefs format` makes.
 *
 * The place for the blocks is tried first, then the metadata is written; when that fails the place
 * is left as it was found.
 */
#include "tools/cmd.h"

#include "core/store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BLOCK_KIB_MIN 64
#define BLOCK_KIB_MAX 16384

enum { OPT_STORAGE = 1, OPT_BUCKET, OPT_TRASH, OPT_BLOCK, OPT_CAPACITY, OPT_INODES, OPT_HASH };

/* clang-format off */
static const struct option options[] = {
    {"storage",     required_argument, NULL, OPT_STORAGE},
    {"bucket",      required_argument, NULL, OPT_BUCKET},
    {"trash-days",  required_argument, NULL, OPT_TRASH},
    {"block-size",  required_argument, NULL, OPT_BLOCK},
    {"capacity",    required_argument, NULL, OPT_CAPACITY},
    {"inodes",      required_argument, NULL, OPT_INODES},
    {"hash-prefix", no_argument,       NULL, OPT_HASH},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

/* A size as stock takes it: a decimal number, perhaps with a fraction, and a unit B K M G T P E (B
 * in upper case only), else `unit`.  0 or -EINVAL. */
static int parse_size(const char *text, char unit, uint64_t *out)
{
    static const char units[] = "BKMGTPE";
    char *end;

    if (strspn(text, "0123456789.") == 0)
        return -EINVAL;
    errno = 0;
    double v = strtod(text, &end);
    if (errno != 0 || end == text)
        return -EINVAL;
    if (*end != '\0') {
        unit = *end++;
        if (unit >= 'a' && unit <= 'z' && unit != 'b')
            unit = (char)(unit - 'a' + 'A');
    }
    const char *at = strchr(units, unit);
    if (*end != '\0' || unit == '\0' || at == NULL)
        return -EINVAL;
    v *= (double)(UINT64_C(1) << (10 * (at - units)));
    if (!(v < 18446744073709551616.0))
        return -EINVAL;
    *out = (uint64_t)v;
    return 0;
}

static int parse_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || v > most)
        return -EINVAL;
    *out = v;
    return 0;
}

/* As stock: a power of two, rounded down, within its limits; says so when that changes it. */
static uint32_t fit_block(const struct cmd *self, uint64_t bytes)
{
    uint64_t kib = 1;

    while (kib <= BLOCK_KIB_MAX && kib * 2 <= bytes >> 10)
        kib *= 2;
    if (kib < BLOCK_KIB_MIN)
        kib = BLOCK_KIB_MIN;
    if (kib > BLOCK_KIB_MAX)
        kib = BLOCK_KIB_MAX;
    if (kib << 10 != bytes)
        cmd_say(self, "block size %llu bytes: using %llu KiB (a power of two from 64 to 16384)",
                (unsigned long long)bytes, (unsigned long long)kib);
    return (uint32_t)kib;
}

static int make_uuid(char out[37])
{
    uint8_t b[16];

    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return -errno;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
    return 0;
}

/* Absolute, without "." ".." and double slashes, and with one slash at the end, as stock stores it.
 */
static int make_bucket(const char *given, char *out, size_t cap)
{
    char all[2 * PATH_MAX];
    size_t len = 1;

    if (given[0] == '/') {
        snprintf(all, sizeof all, "%s", given);
    } else {
        char cwd[PATH_MAX];
        if (getcwd(cwd, sizeof cwd) == NULL)
            return -errno;
        snprintf(all, sizeof all, "%s/%s", cwd, given);
    }
    if (strlen(given) >= PATH_MAX || strlen(all) + 2 > cap)
        return -ENAMETOOLONG;
    strcpy(out, "/");
    for (char *save, *part = strtok_r(all, "/", &save); part != NULL;
         part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (len > 1 && out[--len - 1] != '/')
                ;
            out[len] = '\0';
            continue;
        }
        len += (size_t)sprintf(out + len, "%s/", part);
    }
    return 0;
}

static int set_option(const struct cmd *self, int opt, struct setting *s, const char **bucket)
{
    uint64_t n;

    switch (opt) {
    case OPT_STORAGE:
        if (strcasecmp(optarg, "file") != 0)
            return cmd_usage(self, "storage %s is not built in (only file is)", optarg);
        break;
    case OPT_BUCKET:
        *bucket = optarg;
        break;
    case OPT_TRASH:
        if (parse_number(optarg, INT32_MAX, &n) < 0)
            return cmd_usage(self, "--trash-days %s is not a number of days", optarg);
        s->trash_days = (int32_t)n;
        break;
    case OPT_BLOCK:
        if (parse_size(optarg, 'K', &n) < 0)
            return cmd_usage(self, "--block-size %s is not a size in KiB or with a unit", optarg);
        s->block_kib = fit_block(self, n);
        break;
    case OPT_CAPACITY:
        if (parse_size(optarg, 'G', &s->capacity_bytes) < 0)
            return cmd_usage(self, "--capacity %s is not a size in GiB or with a unit", optarg);
        break;
    case OPT_INODES:
        if (parse_number(optarg, UINT64_MAX, &s->inodes) < 0)
            return cmd_usage(self, "--inodes %s is not a number", optarg);
        break;
    case OPT_HASH:
        s->hash_prefix = true;
        break;
    default:
        return CMD_USAGE;
    }
    return CMD_OK;
}

/* CMD_OK when there is no volume in the metadata yet. */
static int refuse_existing(const struct cmd *self, struct engine *e)
{
    struct buf json = {0};
    struct setting there;
    char err[256];

    int rc = e->ops->get_setting(e, &json);
    if (rc == -ENODATA) {
        rc = CMD_OK;
    } else if (rc < 0) {
        cmd_say(self, "%s", e->ops->error(e));
        rc = CMD_USAGE;
    } else if (setting_parse((char *)json.data, json.len, &there, err, sizeof err) < 0) {
        cmd_say(self, "a volume with an unreadable setting is there already: %s", err);
        rc = CMD_PROBLEM;
    } else {
        cmd_say(self, "volume %s is there already (UUID %s)", there.name, there.uuid);
        rc = CMD_PROBLEM;
    }
    buf_free(&json);
    return rc;
}

static int make_volume(const struct cmd *self, struct engine *e, const struct setting *s)
{
    struct buf json = {0};
    char err[512], mark[sizeof s->bucket + sizeof s->name + 32];

    int rc = refuse_existing(self, e);
    if (rc != CMD_OK)
        return rc;
    if (store_format(s, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        return CMD_PROBLEM;
    }
    rc = setting_print(s, &json);
    if (rc == 0)
        rc = e->ops->format(e, &json, s->trash_days > 0);
    if (rc == -EEXIST)
        cmd_say(self, "another volume was made in this moment");
    else if (rc < 0)
        cmd_say(self, "%s", rc == -ENOMEM ? strerror(ENOMEM) : e->ops->error(e));
    if (rc < 0) {
        /* Else the next attempt would find the place in use. */
        snprintf(mark, sizeof mark, "%s%s/juicefs_uuid", s->bucket, s->name);
        unlink(mark);
    }
    buf_free(&json);
    return rc < 0 ? CMD_PROBLEM : CMD_OK;
}

static int default_bucket(const struct cmd *self, char *out, size_t cap)
{
    if (geteuid() == 0) {
        snprintf(out, cap, "/var/jfs");
        return CMD_OK;
    }
    const char *home = getenv("HOME");
    if (home == NULL || home[0] != '/')
        return cmd_usage(self, "HOME is not set: give --bucket");
    return (size_t)snprintf(out, cap, "%s/.juicefs/local", home) < cap ? CMD_OK : CMD_USAGE;
}

static int format_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct engine *e = NULL;
    struct setting s = {.storage = "file",
                        .compression = "none",
                        .block_kib = 4096,
                        .dir_stats = true,
                        .trash_days = 1,
                        .meta_version = 1};
    const char *bucket = NULL;
    char place[PATH_MAX], err[512];
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (opt == '?' || set_option(self, opt, &s, &bucket) != CMD_OK)
            goto out;
    if (argc - optind != 2) {
        cmd_usage(self, argc - optind < 2 ? "META-URL and NAME are needed" : "one NAME only");
        goto out;
    }
    if (cmd_config(self, &c, argv[optind]) != CMD_OK)
        goto out;
    if ((size_t)snprintf(s.name, sizeof s.name, "%s", argv[optind + 1]) >= sizeof s.name) {
        cmd_usage(self, "name %.16s... is longer than 63 characters", argv[optind + 1]);
        goto out;
    }
    if (bucket == NULL) {
        if (default_bucket(self, place, sizeof place) != CMD_OK)
            goto out;
        bucket = place;
    }
    int bad = make_bucket(bucket, s.bucket, sizeof s.bucket);
    if (bad == 0)
        bad = make_uuid(s.uuid);
    if (bad < 0) {
        cmd_say(self, "%s: %s", bucket, strerror(-bad));
        goto out;
    }
    if (setting_check_new(&s, err, sizeof err) < 0) {
        cmd_usage(self, "%s", err);
        goto out;
    }
    if (engine_open(c.meta, &e, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        goto out;
    }
    rc = make_volume(self, e, &s);
    if (rc == CMD_OK)
        printf("volume %s made: metadata %s, blocks %s%s/\n", s.name, e->ops->name(e), s.bucket,
               s.name);
out:
    if (e != NULL)
        e->ops->close(e);
    config_free(&c);
    return rc;
}

const struct cmd cmd_format = {
    .name = "format",
    .args = "META-URL NAME [OPTIONS]",
    .brief = "make a volume",
    .help =
        "Makes a volume as `juicefs format` does: its settings at META-URL, its place in "
        "DIR/NAME.\n"
        "Refuses when a volume is there or the place is not empty.  NAME has 3 to 63 of a-z 0-9 "
        "-.\n"
        "A password may come from META_PASSWORD instead of the URL.\n\n"
        "options:\n"
        "      --storage file     kind of object storage; only this one is built in\n"
        "      --bucket DIR       directory for the blocks, default /var/jfs for root,\n"
        "                         else $HOME/.juicefs/local\n"
        "      --trash-days N     days that removed files are kept, default 1; 0: no trash\n"
        "      --block-size SIZE  in KiB or with a unit (4M), default 4M\n"
        "      --capacity SIZE    limit of the space in GiB or with a unit (100M), default none\n"
        "      --inodes N         limit of the number of files, default none\n"
        "      --hash-prefix      spread the blocks over 256 directories\n\n"
        "exit codes: 0 made, 1 refused or failed, 2 usage or no connection\n",
    .main = format_main,
};
