/*
 * cmd_dump.c - `jfspre dump`: the metadata of a volume as the JSON that `juicefs load` and
 * `jfspre load` read.
 */
#include "tools/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define SHOWN 20

enum { OPT_SKIP_TRASH = 1, OPT_KEEP_SECRETS };

/* clang-format off */
static const struct option options[] = {
    {"skip-trash",      no_argument, NULL, OPT_SKIP_TRASH},
    {"keep-secret-key", no_argument, NULL, OPT_KEEP_SECRETS},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

void dump_problem(struct dump *d, const char *fmt, ...)
{
    char line[1500];
    va_list ap;

    if (++d->problems > SHOWN)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    progress_clear(&d->progress);
    cmd_say(d->self, "warning: %s", line);
}

static int dump_to(struct dump *d, const char *path)
{
    struct output out;

    int rc = output_open(&out, path);
    if (rc < 0) {
        cmd_say(d->self, "%s: %s", path, strerror(-rc));
        return CMD_PROBLEM;
    }
    interrupt_catch();
    int code = dump_scan(d);
    rc = code != CMD_OK ? -EINTR : dump_write(d, out.f);
    rc = output_close(&out, rc);
    interrupt_end();
    if (code != CMD_OK)
        return code;
    if (rc < 0) {
        cmd_say(d->self, "%s: %s", out.shown, strerror(-rc));
        return CMD_PROBLEM;
    }
    if (d->problems > SHOWN)
        cmd_say(d->self, "warning: and %" PRIu64 " more", d->problems - SHOWN);
    if (d->problems > 0)
        cmd_say(d->self, "%s is complete but for the damage named above", out.shown);
    return d->problems > 0 ? CMD_PROBLEM : CMD_OK;
}

static int dump_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct dump d = {.self = self, .vol = &v};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1) {
        if (opt == '?')
            goto out;
        d.skip_trash |= opt == OPT_SKIP_TRASH;
        d.keep_secrets |= opt == OPT_KEEP_SECRETS;
    }
    if (argc - optind > 2) {
        cmd_usage(self, "one META-URL and one FILE only");
        goto out;
    }
    /* one argument is a file when it is no URL: the volume is then the configured one */
    const char *url = argv[optind], *path = url != NULL ? argv[optind + 1] : NULL;
    if (url != NULL && path == NULL && strstr(url, "://") == NULL) {
        path = url;
        url = NULL;
    }
    if ((path == NULL || strcmp(path, "-") == 0) && isatty(STDOUT_FILENO)) {
        cmd_usage(self, "name a FILE, or send the output somewhere");
        goto out;
    }
    progress_init(&d.progress);
    rc = cmd_config(self, &c, url);
    if (rc == CMD_OK)
        rc = volume_open(self, &c, &v);
    if (rc == CMD_OK)
        rc = dump_to(&d, path);
out:
    dump_free(&d);
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_dump = {
    .name = "dump",
    .args = "[META-URL] [FILE] [OPTIONS]",
    .brief = "write the volume's metadata as JSON, as `juicefs dump` does",
    .help =
        "Writes names, attributes, slices, quotas and the trash as JSON to FILE, or to standard\n"
        "output (no FILE, or -); one argument is a FILE unless it has ://.  `jfspre load` and "
        "`juicefs load` make a volume of it, also in\n"
        "another kind of database; the blocks are not part of it.  FILE is replaced when the dump\n"
        "is complete and on the disk.  Changes made meanwhile may be in it or not; an lmdb://\n"
        "volume is dumped as of one moment.\n\n"
        "options:\n"
        "      --skip-trash        leave the trash out\n"
        "      --keep-secret-key   keep the keys of the object storage in the setting\n\n"
        "exit codes: 0 done, 1 damaged metadata or the output failed, 2 nothing was done\n",
    .main = dump_main,
};
