/*
 * cmd_gc.c - `jfspre gc`: tells what nobody refers to any more, removes it when asked to, and moves
 * what is in use out of slices that are mostly dead; see gc.h.
 */
#include "tools/gc.h"

#include "core/vfs/vfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGE_SECONDS 3600 /* as stock: a block waits that long for its record at most */
#define PERCENT     50

enum { OPT_DELETE = 1, OPT_REPACK, OPT_AGE };

/* clang-format off */
static const struct option options[] = {
    {"delete", no_argument,       NULL, OPT_DELETE},
    {"repack", optional_argument, NULL, OPT_REPACK},
    {"age",    required_argument, NULL, OPT_AGE},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

bool gc_out_of_memory(struct gc *gc)
{
    cmd_say(gc->self, "out of memory");
    gc->failed = true;
    return false;
}

int gc_call(struct gc *gc, struct op *op, struct op_result *res)
{
    int rc = volume_call(gc->vol, op, res);

    if (rc == 0 && res->code == 0)
        return 0;
    if (rc == 0) {
        rc = res->code;
        op_result_free(res);
        if (rc == -EBUSY)
            return rc;
        cmd_say(gc->self, "%s of inode or slice %" PRIu64 ": %s", op_kind_name(op->kind),
                op->base != 0 ? op->base : op->ino, strerror(abs(rc)));
    } else {
        cmd_say(gc->self, "%s", gc->vol->engine->ops->error(gc->vol->engine));
    }
    gc->failed = true;
    return rc;
}

int gc_scan(struct gc *gc, bool quiet)
{
    struct fsck fresh = {.self = gc->self, .vol = gc->vol, .progress = gc->f.progress};

    fsck_free(&gc->f);
    gc->f = fresh;
    gc->f.quiet = quiet;
    int rc = fsck_scan(&gc->f);
    if (rc == CMD_OK)
        fsck_sort_refs(&gc->f);
    return rc;
}

/* --- the report ------------------------------------------------------------------------------- */

static void print_sum(const struct gc *gc, const char *what, const struct gc_sum *s, bool is_done)
{
    char bytes[32];

    if (s->n == 0)
        return;
    printf("%s: %" PRIu64 " (%s)", what, s->n, text_bytes(s->bytes, bytes));
    if (s->young > 0)
        printf(", %" PRIu64 " of them too young to go", s->young);
    puts(is_done && gc->is_delete && s->young < s->n ? ": removed" : "");
}

static void print_number(const char *what, uint64_t n, const char *then)
{
    if (n > 0)
        printf("%s: %" PRIu64 "%s\n", what, n, then);
}

static void report(const struct gc *gc)
{
    const char *done = gc->is_delete ? ": removed" : "";
    char all[32], live[32];

    fsck_progress_end(&gc->f);
    print_sum(gc, "removed files whose data waits", &gc->removed, true);
    print_sum(gc, "slices without a reference", &gc->unreferenced, true);
    print_number("chunks of inodes that are gone", gc->lists, done);
    print_sum(gc, "leaked blocks", &gc->blocks, true);
    print_sum(gc, "temporary files", &gc->temporary, true);
    print_number("sliceRef too low", gc->too_low, " (see above)");
    print_number("sliceRef too high", gc->too_high,
                 gc->lowered > 0  ? ": put right"
                 : !gc->is_delete ? ""
                 : gc->is_mounted ? ": left, since the volume is mounted somewhere"
                                  : ": left, since it changes");
    print_number("sliceRef of slices that nobody uses", gc->unused,
                 gc->dropped > 0 ? ": removed" : "");
    if (gc->dead.n > 0)
        printf("mostly dead: %" PRIu64 " slice%s of %s, with %s in use\n", gc->dead.n,
               text_s(gc->dead.n), text_bytes(gc->dead.bytes, all),
               text_bytes(gc->live_bytes, live));
    if (gc->moved + gc->moved_not > 0)
        printf("repacked: %" PRIu64 " record%s into %" PRIu64 " slice%s of %s; %" PRIu64
               " slice%s removed; %" PRIu64 " record%s changed meanwhile\n",
               gc->moved, text_s(gc->moved), gc->made.n, text_s(gc->made.n),
               text_bytes(gc->made.bytes, all), gc->gone, text_s(gc->gone), gc->moved_not,
               text_s(gc->moved_not));
    printf("%s: %" PRIu64 " slice%s, %" PRIu64 " block%s (%s) in use\n", gc->vol->set.name,
           gc->slices, text_s(gc->slices), gc->used.n, text_s(gc->used.n),
           text_bytes(gc->used.bytes, all));
}

/* --- the command ------------------------------------------------------------------------------ */

/* What cannot be read may refer to anything. */
static bool is_readable(const struct gc *gc)
{
    if (gc->f.found[FIND_BAD_RECORD] + gc->f.found[FIND_BAD_KEY] == 0)
        return true;
    cmd_say(gc->self, "the metadata is damaged (see above, and jfspre fsck): nothing is changed");
    return false;
}

static int collect(struct gc *gc)
{
    int rc = gc_scan(gc, false);

    if (rc != CMD_OK)
        return rc;
    if ((gc->is_delete || gc->is_repack) && !is_readable(gc))
        return CMD_PROBLEM;
    bool is_suspect = gc_refs_look_wrong(gc);
    gc_waiting(gc);
    gc_blocks(gc);
    if (is_suspect)
        gc_refs(gc);
    if (gc->is_delete && gc->is_repack && !gc->failed)
        rc = gc_scan(gc, true);
    if (rc == CMD_OK && !gc->failed)
        gc_repack(gc);
    report(gc);
    if (rc != CMD_OK)
        return rc;
    return gc->failed || gc->too_low + gc->too_high > gc->lowered ? CMD_PROBLEM : CMD_OK;
}

/* A whole decimal number of at most most. */
static bool number(const char *text, unsigned long most, unsigned long *out)
{
    char *end;

    *out = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *out <= most;
}

static bool take_option(struct gc *gc, int opt, unsigned long *age)
{
    unsigned long percent = PERCENT;

    switch (opt) {
    case OPT_DELETE:
        gc->is_delete = true;
        return true;
    case OPT_REPACK:
        gc->is_repack = true;
        if (optarg != NULL && !number(optarg, 100, &percent)) {
            cmd_usage(gc->self, "--repack=%s: want a share in percent, 0 to 100", optarg);
            return false;
        }
        gc->percent = (unsigned)percent;
        return true;
    case OPT_AGE:
        if (number(optarg, UINT32_MAX, age))
            return true;
        cmd_usage(gc->self, "--age %s: want seconds", optarg);
        return false;
    default:
        return false;
    }
}

/* Blocks of changes that wait on this host, perhaps since long, look like nobody's. */
static int send_pending(const struct cmd *self, const struct config *c)
{
    struct vfs *v = NULL;
    char err[512] = "";

    int rc = vfs_mount(c, &v, err, sizeof err);
    if (rc < 0) {
        cmd_say(self, "%s", err);
        return CMD_USAGE;
    }
    rc = vfs_ready(v);
    if (rc == 0)
        rc = vfs_flush(v);
    if (rc < 0)
        cmd_say(self, "pending changes: %s", vfs_error(v));
    vfs_unmount(v);
    return rc < 0 ? CMD_USAGE : CMD_OK;
}

static int gc_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct gc gc = {.self = self, .vol = &v, .percent = PERCENT};
    unsigned long age = AGE_SECONDS;
    char err[512];
    int opt, rc = CMD_USAGE;

    gc.f.progress = isatty(STDERR_FILENO);
    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1) {
        if (!take_option(&gc, opt, &age))
            goto out;
    }
    if (argc - optind > 1) {
        cmd_usage(self, "one META-URL only");
        goto out;
    }
    gc.old_enough = clock_now().sec - (int64_t)age;
    rc = cmd_config(self, &c, argv[optind]);
    if (rc == CMD_OK)
        rc = volume_open(self, &c, &v);
    if (rc == CMD_OK && setting_supported(&v.set, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        rc = CMD_USAGE;
    }
    if (rc == CMD_OK && gc.is_delete)
        rc = send_pending(self, &c);
    if (rc == CMD_OK && store_open(&v.set, &gc.store, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        rc = CMD_USAGE;
    }
    if (rc == CMD_OK)
        rc = collect(&gc);
out:
    fsck_free(&gc.f);
    store_close(gc.store);
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_gc = {
    .name = "gc",
    .args = "[META-URL] [OPTIONS]",
    .brief = "tell, or remove, what nobody refers to; repack shared slices",
    .help =
        "Reads all metadata, then all names of blocks, and tells: data of removed files that "
        "waits\n"
        "for deletion, slices without a reference, blocks that no slice has, wrong counts in\n"
        "sliceRef (one that is too low is an error: data will be lost), slices of which less than\n"
        "half is in use.  Changes nothing without an option.\n\n"
        "options:\n"
        "      --delete           remove what is told (after what this user has pending is sent), "
        "and lower\n"
        "                         counts that are too high\n"
        "      --repack[=SHARE]   copy what is in use out of slices of which less than SHARE "
        "percent\n"
        "                         (default 50) is, and remove those; files stay as they are\n"
        "      --age SECONDS      what is younger stays (default 3600): its record may be on the "
        "way\n\n"
        "exit codes: 0 done, 1 a count is wrong or something failed, 2 nothing was done\n",
    .main = gc_main,
};
