/*
 * cmd_fsck.c - `jfspre fsck`: scans the metadata once, checks it against itself and against the
 * blocks, prints what it finds and a summary.  It changes nothing.
 */
#include "tools/fsck.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SHOWN_OF_A_KIND 20

enum { OPT_ALL = 1, OPT_STRICT, OPT_NO_BLOCKS };

/* clang-format off */
static const struct option options[] = {
    {"all",       no_argument, NULL, OPT_ALL},
    {"strict",    no_argument, NULL, OPT_STRICT},
    {"no-blocks", no_argument, NULL, OPT_NO_BLOCKS},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

static const struct {
    const char *name;
    bool error;
} findings[] = {
#define X(id, text, is_error) {text, is_error},
    FINDINGS(X)
#undef X
};

void fsck_progress_end(const struct fsck *f)
{
    if (f->progress)
        fputs("\r\033[K", stderr);
}

void fsck_find(struct fsck *f, enum finding kind, const char *fmt, ...)
{
    va_list ap;

    if ((++f->found[kind] > SHOWN_OF_A_KIND && !f->all) || f->quiet)
        return;
    fsck_progress_end(f);
    printf("%s: %s: ", findings[kind].error ? "error" : "warning", findings[kind].name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void fsck_progress(struct fsck *f, const char *what, uint64_t done, uint64_t of)
{
    if (!f->progress)
        return;
    fflush(stdout);
    fprintf(stderr, "\r\033[K%s: %" PRIu64, what, done);
    if (of > 0)
        fprintf(stderr, " of %" PRIu64, of);
    fflush(stderr);
}

static void report(const struct fsck *f, uint64_t *errors, uint64_t *warnings)
{
    char bytes[32];

    *errors = *warnings = 0;
    fsck_progress_end(f);
    for (int k = 0; k < FIND_KINDS; k++) {
        *(findings[k].error ? errors : warnings) += f->found[k];
        if (f->found[k] > SHOWN_OF_A_KIND && !f->all)
            printf("%s: %s: and %" PRIu64 " more (--all shows them)\n",
                   findings[k].error ? "error" : "warning", findings[k].name,
                   f->found[k] - SHOWN_OF_A_KIND);
    }
    printf("%s: %" PRIu64 " file%s, %" PRIu64 " director%s, %" PRIu64 " other%s; %" PRIu64
           " slice%s, %" PRIu64 " block%s (%s); %" PRIu64 " error%s, %" PRIu64 " warning%s\n",
           f->vol->set.name, f->files, text_s(f->files), f->dirs, f->dirs == 1 ? "y" : "ies",
           f->others, text_s(f->others), f->slices, text_s(f->slices), f->blocks, text_s(f->blocks),
           text_bytes(f->bytes, bytes), *errors, text_s(*errors), *warnings, text_s(*warnings));
}

static int check(struct fsck *f, bool blocks, bool strict)
{
    struct store *store = NULL;
    uint64_t errors, warnings;
    char err[512];

    int rc = fsck_scan(f);
    if (rc != CMD_OK)
        return rc;
    fsck_tree(f);
    fsck_refs(f);
    fsck_counters(f);
    fsck_dir_stats(f);
    if (blocks && store_open(&f->vol->set, &store, err, sizeof err) < 0) {
        fsck_progress_end(f);
        cmd_say(f->self, "blocks are not checked: %s", err);
        rc = CMD_USAGE;
    } else if (blocks) {
        fsck_blocks(f, store);
    }
    store_close(store);
    if (f->no_memory) {
        cmd_say(f->self, "out of memory");
        return CMD_USAGE;
    }
    report(f, &errors, &warnings);
    if (errors + warnings > 0 && f->sessions.len > 0)
        puts("note: the volume is mounted somewhere; what changed during the check may look wrong");
    if (rc == CMD_OK && (errors > 0 || (strict && warnings > 0)))
        rc = CMD_PROBLEM;
    return rc;
}

static int fsck_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct fsck f = {.self = self, .vol = &v, .progress = isatty(STDERR_FILENO)};
    bool blocks = true, strict = false;
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1) {
        if (opt == '?')
            goto out;
        f.all |= opt == OPT_ALL;
        strict |= opt == OPT_STRICT;
        blocks &= opt != OPT_NO_BLOCKS;
    }
    if (argc - optind > 1) {
        cmd_usage(self, "one META-URL only");
        goto out;
    }
    rc = cmd_config(self, &c, argv[optind]);
    if (rc == CMD_OK)
        rc = volume_open(self, &c, &v);
    if (rc == CMD_OK)
        rc = check(&f, blocks, strict);
out:
    fsck_free(&f);
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_fsck = {
    .name = "fsck",
    .args = "[META-URL] [OPTIONS]",
    .brief = "check names, counts and blocks of the volume",
    .help =
        "Reads all metadata once and checks: attributes, entries and records are well formed; "
        "every\n"
        "name leads to an inode and back; nlink and parents; symlinks; slices against sliceRef,\n"
        "for which there is no stock check; counters; every block is there and long enough.\n"
        "Errors are wrong or lost data, or will be; warnings are space that is not given back and\n"
        "statistics that drifted.  Nothing is changed: `jfspre gc` and `juicefs fsck --repair` "
        "do.\n\n"
        "options:\n"
        "      --all            print every finding, not the first 20 of a kind\n"
        "      --no-blocks      leave the blocks out\n"
        "      --strict         warnings count as errors\n\n"
        "exit codes: 0 clean, 1 errors found, 2 it could not be checked (wholly)\n",
    .main = fsck_main,
};
