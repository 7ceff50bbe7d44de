/*
 * cmd_info.c - `jfspre info`: one object of the volume, down to the block files of its bytes.
 */
#include "tools/cmd.h"

#include "core/format/keys.h"
#include "core/format/record.h"
#include "core/store/store.h"
#include "core/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ULL(x)          ((unsigned long long)(x))
#define CHUNKS_PER_CALL 64

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

/* --- the path --------------------------------------------------------------------------------- */

static int cwd_inode(const struct config *c, uint64_t *ino)
{
    struct vfs *v = NULL;
    char err[256];

    int rc = vfs_mount(c, &v, err, sizeof err);
    if (rc == 0)
        rc = vfs_ready(v);
    if (rc == 0)
        rc = vfs_cwd_identify(v, ino) == 1 ? 0 : -ENOENT;
    vfs_unmount(v);
    return rc;
}

/* What lies below the prefix, or NULL. */
static const char *below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/') ? path + n : NULL;
}

/* Splits what the user gave into a directory inode and a path below it, which may be put into out.
 * With the preload in this process getcwd(3) names the volume, without it the kernel's directory
 * tells the inode. */
static int locate(const struct cmd *self, const struct config *c, const char *given, struct op *op,
                  char out[2 * PATH_MAX])
{
    char cwd[PATH_MAX];

    op->base = INO_ROOT;
    op->path = below(given, c->prefix);
    if (op->path != NULL)
        return CMD_OK;
    if (given[0] != '/' && getcwd(cwd, sizeof cwd) != NULL && below(cwd, c->prefix) != NULL &&
        snprintf(out, 2 * PATH_MAX, "%s/%s", below(cwd, c->prefix), given) < 2 * PATH_MAX) {
        op->path = out;
        return CMD_OK;
    }
    if (given[0] != '/' && cwd_inode(c, &op->base) == 0) {
        op->path = given;
        return CMD_OK;
    }
    return cmd_usage(self, "%s is not below %s", given, c->prefix);
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_time(const char *name, struct moment t)
{
    char text[64];
    struct tm tm;
    time_t sec = (time_t)t.sec;

    if (localtime_r(&sec, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
        printf("%-10s %s.%09u\n", name, text, t.nsec);
    else
        printf("%-10s %lld.%09u\n", name, (long long)t.sec, t.nsec);
}

static void print_attr(const struct op_result *r)
{
    static const char *const flags[8] = {
        [0] = " immutable", [1] = " append-only", [5] = " skip-trash"};
    const struct attr *a = &r->attr;
    char bytes[32];

    printf("inode      %llu\n", ULL(r->ino));
    printf("type       %s\n", text_type(a->type));
    printf("mode       %04o\n", a->mode);
    printf("owner      %u:%u\n", a->uid, a->gid);
    printf("links      %u\n", a->nlink);
    printf("length     %llu", ULL(a->length));
    if (a->length >= 1024)
        printf(" (%s)", text_bytes(a->length, bytes));
    putchar('\n');
    if (a->type == TYPE_BLOCKDEV || a->type == TYPE_CHARDEV)
        printf("device     %u\n", a->rdev);
    print_time("accessed", a->atime);
    print_time("modified", a->mtime);
    print_time("changed", a->ctime);
    if (a->flags != 0) {
        printf("flags     ");
        for (int i = 0; i < 8; i++)
            if ((a->flags & 1 << i) != 0)
                printf("%s", flags[i] != NULL ? flags[i] : " other");
        putchar('\n');
    }
    if (a->access_acl != 0 || a->default_acl != 0)
        printf("acl        access %u, default %u\n", a->access_acl, a->default_acl);
}

static void print_parent(struct volume *v, uint64_t dir, long long links)
{
    struct op op = {.kind = OP_PATHOF, .base = dir};
    struct op_result r;
    char path[4 * PATH_LEN_MAX + 1];

    printf("parent     %llu", ULL(dir));
    if (volume_call(v, &op, &r) == 0) {
        if (r.code == 0)
            printf(" %s%s", v->env.mount,
                   text_name(r.extra.data != NULL ? r.extra.data : (const uint8_t *)"", r.extra.len,
                             path, sizeof path));
        op_result_free(&r);
    }
    if (links > 1)
        printf(" (%lld links)", links);
    putchar('\n');
}

struct parents {
    struct volume *v;
    char key[KEY_MAX];
    struct {
        uint64_t dir;
        long long links;
    } seen[256];
    size_t count;
};

static int note_parent(void *ctx, const struct engine_item *it)
{
    struct parents *p = ctx;
    char field[24] = "", value[24] = "";

    if (it->type != 'h' || it->field_len >= sizeof field || it->value_len >= sizeof value ||
        p->count == sizeof p->seen / sizeof *p->seen)
        return 0;
    memcpy(field, it->field, it->field_len);
    memcpy(value, it->value, it->value_len);
    uint64_t dir = strtoull(field, NULL, 10);
    long long links = atoll(value);
    for (size_t i = 0; i < p->count; i++)
        if (p->seen[i].dir == dir)
            return 0; /* a scan may give it twice */
    if (links > 0) {
        p->seen[p->count].dir = dir;
        p->seen[p->count++].links = links;
    }
    return 0;
}

static int print_parents(const struct cmd *self, struct volume *v, const struct op_result *r)
{
    static const struct keys no_prefix;
    struct parents p = {.v = v};

    if (r->ino == INO_ROOT)
        return CMD_OK;
    if (r->attr.parent != 0) {
        print_parent(v, r->attr.parent, 1);
        return CMD_OK;
    }
    key_parents(&no_prefix, r->ino, p.key);
    if (v->engine->ops->scan(v->engine, p.key, note_parent, &p) < 0) {
        cmd_say(self, "%s", v->engine->ops->error(v->engine));
        return CMD_USAGE;
    }
    for (size_t i = 0; i < p.count; i++)
        print_parent(v, p.seen[i].dir, p.seen[i].links);
    return CMD_OK;
}

/* --- data ------------------------------------------------------------------------------------- */

/* The blocks that hold the bytes of a record; true when all are there. */
static bool print_blocks(struct store *store, const struct record *r)
{
    uint32_t block = store_block_bytes(store), last = (r->size - 1) / block;
    char path[4096 + 128];
    bool whole = true;

    for (uint32_t i = r->off / block; i <= (r->off + r->len - 1) / block && i <= last; i++) {
        uint32_t len = i < last ? block : r->size - i * block;
        off_t have = 0;
        int rc = store_check_block(store, r->id, i, len, &have);
        if (store_block_path(store, r->id, i, len, path, sizeof path) < 0)
            continue;
        printf("      %s", path);
        if (rc == -ENOENT)
            printf("  MISSING");
        else if (rc == -EIO)
            printf("  SHORT: %lld of %u bytes", (long long)have, len);
        else if (rc < 0)
            printf("  %s", strerror(-rc));
        putchar('\n');
        whole &= rc == 0;
    }
    return whole;
}

static bool print_chunk(struct store *store, uint32_t index, const uint8_t *data, uint32_t bytes)
{
    bool whole = true;

    if (bytes == 0)
        return true; /* zeros */
    printf("chunk %u\n", index);
    for (uint32_t at = 0; at + RECORD_BYTES <= bytes; at += RECORD_BYTES) {
        struct record r;
        if (record_decode(data + at, RECORD_BYTES, &r) < 0) {
            puts("   a malformed record");
            whole = false;
        } else if (r.id == 0) {
            printf("   at %u: %u zeros\n", r.pos, r.len);
        } else {
            printf("   at %u: %u bytes, from %u of slice %llu (%u bytes)\n", r.pos, r.len, r.off,
                   ULL(r.id), r.size);
            if (store != NULL)
                whole &= print_blocks(store, &r);
        }
    }
    if (bytes % RECORD_BYTES != 0) {
        puts("   a malformed record");
        whole = false;
    }
    return whole;
}

static int print_data(const struct cmd *self, struct volume *v, uint64_t ino, uint64_t length)
{
    struct store *store = NULL;
    uint64_t chunks = (length + CHUNK_BYTES - 1) / CHUNK_BYTES;
    char err[512];
    bool whole = true;
    int rc = CMD_OK;

    if (store_open(&v->set, &store, err, sizeof err) < 0) {
        cmd_say(self, "blocks are not checked: %s", err);
        rc = CMD_USAGE;
    }
    for (uint64_t at = 0; at < chunks; at += CHUNKS_PER_CALL) {
        struct op op = {.kind = OP_CHUNKS, .base = ino, .off = at, .len = CHUNKS_PER_CALL};
        struct op_result r;
        int e = volume_call(v, &op, &r);
        if (e < 0 || r.code != 0) {
            cmd_say(self, "%s", e < 0 ? v->engine->ops->error(v->engine) : strerror(-r.code));
            if (e == 0)
                op_result_free(&r);
            rc = CMD_USAGE;
            break;
        }
        for (size_t i = 0; i + 8 <= r.extra.len;) {
            uint32_t index = get_be32(r.extra.data + i), bytes = get_be32(r.extra.data + i + 4);
            i += 8;
            if (bytes > r.extra.len - i)
                break;
            whole &= print_chunk(store, index, r.extra.data + i, bytes);
            i += bytes;
        }
        op_result_free(&r);
    }
    store_close(store);
    return rc != CMD_OK ? rc : whole ? CMD_OK : CMD_PROBLEM;
}

/* --- the command ------------------------------------------------------------------------------ */

static void note_in_use(void *ctx, const struct vfs_in_use *u)
{
    uint64_t ino = *(uint64_t *)ctx;
    if (u->ino == ino)
        printf("here       in use on this host, %s\n",
               u->pending ? "with bytes that are not in the volume yet" : "nothing pending");
}

static int show(const struct cmd *self, const struct config *c, struct volume *v, struct op *op,
                const char *given)
{
    struct op_result r;
    char text[4 * PATH_LEN_MAX + 1];

    op->kind = OP_LOOKUP;
    op->flags = OPF_NOFOLLOW;
    int rc = volume_call(v, op, &r);
    if (rc < 0) {
        cmd_say(self, "%s", v->engine->ops->error(v->engine));
        return CMD_USAGE;
    }
    rc = CMD_PROBLEM;
    text_name(given, strlen(given), text, sizeof text);
    if (r.code == OP_ESCAPE)
        cmd_say(self, "%s leads out of the volume", text);
    else if (r.code != 0)
        cmd_say(self, "%s: %s", text, strerror(-r.code));
    else if (!r.has_attr)
        cmd_say(self, "%s: inode %llu has no attributes", text, ULL(r.ino));
    else {
        printf("path       %s\n", text);
        print_attr(&r);
        if (r.attr.type == TYPE_SYMLINK)
            printf("target     %s\n", text_name(r.extra.data != NULL ? (char *)r.extra.data : "",
                                                r.extra.len, text, sizeof text));
        rc = print_parents(self, v, &r);
        uint64_t ino = r.ino;
        if (rc == CMD_OK)
            vfs_in_use(c->cache_dir, v->set.uuid, note_in_use, &ino);
        if (rc == CMD_OK && r.attr.type == TYPE_FILE)
            rc = print_data(self, v, r.ino, r.attr.length);
    }
    op_result_free(&r);
    return rc;
}

static int info_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct op op = {0};
    char path[2 * PATH_MAX];
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (opt == '?')
            goto out;
    if (argc == optind) {
        cmd_usage(self, "PATH is needed");
        goto out;
    }
    if (cmd_config(self, &c, NULL) != CMD_OK || volume_open(self, &c, &v) != CMD_OK)
        goto out;
    rc = CMD_OK;
    for (; optind < argc; optind++) {
        int one = locate(self, &c, argv[optind], &op, path);
        if (one == CMD_OK)
            one = show(self, &c, &v, &op, argv[optind]);
        if (optind + 1 < argc)
            putchar('\n');
        rc = one > rc ? one : rc;
    }
out:
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_info = {
    .name = "info",
    .args = "PATH... [OPTIONS]",
    .brief = "show an object: inode, attributes, slices, block files",
    .help =
        "PATH is below the prefix, or relative inside it.  A symlink is shown itself.  What other\n"
        "clients see is shown: bytes that wait on this host are told, not counted.\n\n"
        "exit codes: 0 shown, 1 not there or a block is missing or short, 2 usage or no "
        "connection\n",
    .main = info_main,
};
