/*
 * cmd_status.c - `jfspre status`: the volume's setting, its usage, who has it mounted, its trash,
 * and what waits on this host.
 */
#include "tools/cmd.h"

#include "core/base/vec.h"
#include "core/format/json.h"
#include "core/vfs/vfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 1000

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

static int failed(const struct cmd *self, struct volume *v)
{
    cmd_say(self, "%s", v->engine->ops->error(v->engine));
    return CMD_USAGE;
}

/* --- setting ---------------------------------------------------------------------------------- */

static void print_setting(const struct volume *v)
{
    const struct setting *s = &v->set;
    char err[256], bytes[32];

    printf("volume     %s\n", s->name);
    printf("uuid       %s\n", s->uuid);
    printf("store      %s %s%s/\n", s->storage, s->bucket, s->name);
    printf("blocks     %s%s%s\n", text_bytes((uint64_t)s->block_kib << 10, bytes),
           s->hash_prefix ? ", hash prefix" : "",
           s->compression[0] == '\0' || strcmp(s->compression, "none") == 0 ? "" : ", compressed");
    if (s->trash_days > 0)
        printf("trash      %d day%s\n", s->trash_days, text_s((uint64_t)s->trash_days));
    else
        puts("trash      none");
    if (setting_supported(s, err, sizeof err) < 0)
        printf("refused    %s\n", err);
}

static int print_usage(const struct cmd *self, struct volume *v)
{
    struct op op = {.kind = OP_STATFS, .base = INO_ROOT};
    struct op_result r;
    char used[32], most[32];

    if (volume_call(v, &op, &r) < 0)
        return failed(self, v);
    if (r.code != 0 || r.extra.len < 16) {
        cmd_say(self, "usage: %s", r.code < 0 ? strerror(-r.code) : "malformed answer");
        op_result_free(&r);
        return CMD_PROBLEM;
    }
    int64_t space = (int64_t)get_be64(r.extra.data), inodes = (int64_t)get_be64(r.extra.data + 8);
    op_result_free(&r);
    printf("used       %s", text_bytes(space > 0 ? (uint64_t)space : 0, used));
    if (v->set.capacity_bytes > 0)
        printf(" of %s", text_bytes(v->set.capacity_bytes, most));
    printf(", %" PRId64, inodes);
    if (v->set.inodes > 0)
        printf(" of %" PRIu64, v->set.inodes);
    printf(" inode%s\n", text_s((uint64_t)inodes));
    return CMD_OK;
}

/* --- sessions --------------------------------------------------------------------------------- */

struct session {
    uint64_t sid;
    double expires; /* unix seconds; 0: not listed */
    char *info;     /* JSON; NULL: none */
    size_t info_len;
};

static int by_sid(const void *a, const void *b)
{
    const struct session *x = a, *y = b;
    return (x->sid > y->sid) - (x->sid < y->sid);
}

/* Fields of both keys, gathered under their number; a scan may give one twice. */
static int note_session(void *ctx, const struct engine_item *it)
{
    struct vec *all = ctx;
    struct session *s = NULL;
    char text[32] = "";

    if ((it->type != 'h' && it->type != 'z') || it->field_len >= sizeof text)
        return 0;
    memcpy(text, it->field, it->field_len);
    uint64_t sid = strtoull(text, NULL, 10);
    for (size_t i = 0; i < all->len && s == NULL; i++) {
        struct session *have = vec_at(all, i);
        if (have->sid == sid)
            s = have;
    }
    if (s == NULL) {
        s = vec_add(all);
        if (s == NULL)
            return -ENOMEM;
        s->sid = sid;
    }
    if (it->type == 'z') {
        size_t n = it->value_len < sizeof text - 1 ? it->value_len : sizeof text - 1;
        memcpy(text, it->value, n);
        text[n] = '\0';
        s->expires = strtod(text, NULL);
        return 0;
    }
    free(s->info);
    s->info = malloc(it->value_len + 1);
    if (s->info == NULL)
        return -ENOMEM;
    memcpy(s->info, it->value, it->value_len);
    s->info[s->info_len = it->value_len] = '\0';
    return 0;
}

static void read_info(const struct session *s, char host[256], char mount[1024], char version[64],
                      int64_t *process)
{
    struct json j;
    char name[32];

    json_init(&j, s->info, s->info_len);
    if (!json_object(&j))
        return;
    while (json_member(&j, name, sizeof name)) {
        if (strcmp(name, "HostName") == 0)
            json_string(&j, host, 256);
        else if (strcmp(name, "MountPoint") == 0)
            json_string(&j, mount, 1024);
        else if (strcmp(name, "Version") == 0)
            json_string(&j, version, 64);
        else if (strcmp(name, "ProcessID") == 0)
            json_integer(&j, process);
        else
            json_skip(&j);
    }
}

static void print_session(const struct session *s)
{
    char host[256] = "", mount[1024] = "", version[64] = "", shown[4096];
    int64_t process = 0;

    if (s->info != NULL)
        read_info(s, host, mount, version, &process);
    printf("session    %" PRIu64 " %s", s->sid, text_name(host, strlen(host), shown, sizeof shown));
    printf(":%s, process %" PRId64, text_name(mount, strlen(mount), shown, sizeof shown), process);
    printf(", version %s%s\n", text_name(version, strlen(version), shown, sizeof shown),
           s->expires < (double)time(NULL) ? " (gone, not cleaned up)" : "");
}

static int print_sessions(const struct cmd *self, struct volume *v)
{
    struct vec all = VEC_OF(struct session);
    int rc = v->engine->ops->scan(v->engine, "sessionInfos", note_session, &all);

    if (rc == 0)
        rc = v->engine->ops->scan(v->engine, "allSessions", note_session, &all);
    if (rc == 0) {
        vec_sort(&all, by_sid);
        if (all.len == 0)
            puts("sessions   none");
        for (size_t i = 0; i < all.len; i++)
            print_session(vec_at(&all, i));
    }
    for (size_t i = 0; i < all.len; i++)
        free(((struct session *)vec_at(&all, i))->info);
    vec_free(&all);
    return rc < 0 ? failed(self, v) : CMD_OK;
}

/* --- trash ------------------------------------------------------------------------------------ */

struct totals {
    uint64_t count, bytes;
};

/* Adds up a directory of the trash; each directory at its top is an hour. */
static int add_up(struct volume *v, uint64_t dir, bool hours, struct totals *t)
{
    char last[NAME_LEN_MAX + 1] = "";
    for (uint64_t cursor = 0;;) {
        struct op op = {.kind = OP_READDIR, .base = dir, .off = cursor, .len = PAGE, .path2 = last};
        struct op_result r;
        int rc = volume_call(v, &op, &r);
        if (rc < 0)
            return rc;
        rc = r.code;
        if (rc == 0 && r.extra.len < 8)
            rc = -EIO;
        cursor = rc == 0 ? get_be64(r.extra.data) : 0;
        for (size_t at = 8; rc == 0 && at + 2 <= r.extra.len;) {
            const uint8_t *p = r.extra.data + at;
            size_t name = get_be16(p);
            if (at + 2 + name + 11 > r.extra.len)
                break;
            p += 2;
            if (name <= NAME_LEN_MAX) {
                memcpy(last, p, name);
                last[name] = '\0';
            }
            p += name;
            uint64_t ino = get_be64(p + 1);
            size_t len = get_be16(p + 9);
            struct attr a;
            at += 2 + name + 11 + len;
            if (at > r.extra.len)
                break;
            if (hours) {
                rc = add_up(v, ino, false, t);
                continue;
            }
            t->count++;
            t->bytes += usage_of_length(
                attr_decode(p + 11, len, &a) == 0 && a.type == TYPE_FILE ? a.length : 0);
        }
        op_result_free(&r);
        if (rc < 0 || cursor == 0)
            return rc;
    }
}

static int print_trash(const struct cmd *self, struct volume *v)
{
    struct totals t = {0};
    char bytes[32];

    int rc = add_up(v, INO_TRASH, true, &t);
    if (rc == -ENOENT)
        return CMD_OK; /* the volume never had any */
    if (rc < 0)
        cmd_say(self, "trash: %s", strerror(-rc));
    else
        printf("in trash   %" PRIu64 " object%s, %s\n", t.count, text_s(t.count),
               text_bytes(t.bytes, bytes));
    return rc < 0 ? CMD_PROBLEM : CMD_OK;
}

/* --- this host -------------------------------------------------------------------------------- */

struct here {
    uint64_t in_use, pending, bytes, unnamed;
};

static void note_here(void *ctx, const struct vfs_in_use *u)
{
    struct here *h = ctx;
    h->in_use++;
    h->unnamed += u->unnamed;
    h->pending += u->pending;
    h->bytes += u->pending ? u->length : 0;
}

static int print_here(const struct cmd *self, const struct config *c, const struct volume *v)
{
    struct here h = {0};
    char bytes[32];

    int rc = vfs_in_use(c->cache_dir, v->set.uuid, note_here, &h);
    if (rc < 0) {
        cmd_say(self, "%s: %s", c->cache_dir, strerror(-rc));
        return CMD_PROBLEM;
    }
    printf("this host  %" PRIu64 " file%s in use", h.in_use, text_s(h.in_use));
    if (h.pending > 0)
        printf(", %" PRIu64 " with bytes that are not in the volume yet (up to %s)", h.pending,
               text_bytes(h.bytes, bytes));
    if (h.unnamed > 0)
        printf(", %" PRIu64 " without a name", h.unnamed);
    putchar('\n');
    return CMD_OK;
}

static int status_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (opt == '?')
            goto out;
    if (argc - optind > 1) {
        cmd_usage(self, "one META-URL only");
        goto out;
    }
    if (cmd_config(self, &c, argv[optind]) != CMD_OK || volume_open(self, &c, &v) != CMD_OK)
        goto out;
    print_setting(&v);
    rc = print_usage(self, &v);
    if (rc == CMD_OK)
        rc = print_trash(self, &v);
    if (rc == CMD_OK)
        rc = print_sessions(self, &v);
    if (rc == CMD_OK)
        rc = print_here(self, &c, &v);
out:
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_status = {
    .name = "status",
    .args = "[META-URL] [OPTIONS]",
    .brief = "show setting, usage, sessions, trash and what waits here",
    .help =
        "Without META-URL: the configured volume.  Sessions are stock mounts; programs with the\n"
        "preload have none.  `this host` is what this user's programs have open here.\n\n"
        "exit codes: 0 shown, 1 something could not be read, 2 usage or no connection\n",
    .main = status_main,
};
