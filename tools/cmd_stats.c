/*
 * cmd_stats.c - `jfspre stats`: what this user's programs did to a volume on this host, once, again
 * and again, or for Prometheus.
 */
#include "tools/cmd.h"
#include "tools/stats.h"
#include "tools/transfer.h"

#include "core/vfs/vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVERY_S      1.0
#define EVERY_MIN_S  0.05
#define EVERY_MAX_S  86400
#define READABLE     0644 /* node_exporter is another user */
#define CLEAR_SCREEN "\033[H\033[J"

enum { OPT_PROMETHEUS = 1, OPT_TEXTFILE, OPT_WATCH, OPT_COUNT };

/* clang-format off */
static const struct option options[] = {
    {"prometheus", no_argument,       NULL, OPT_PROMETHEUS},
    {"textfile",   required_argument, NULL, OPT_TEXTFILE},
    {"watch",      optional_argument, NULL, OPT_WATCH},
    {"count",      required_argument, NULL, OPT_COUNT},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

struct stats {
    const struct cmd *self;
    const struct config *config;
    const struct volume *vol;
    bool prometheus;
    const char *textfile;
    double every_s; /* 0: once */
    unsigned long count;
    struct metrics_counts last;
    uint64_t last_ms; /* 0: none yet */
};

static int write_textfile(const struct stats *s, const struct metrics_counts *c)
{
    struct output out;
    mode_t mask = umask(0);

    umask(mask);
    int rc = output_open(&out, s->textfile);
    if (rc == 0) {
        if (out.temporary[0] != '\0')
            fchmod(fileno(out.f), READABLE & ~mask);
        stats_prometheus(out.f, c, s->vol->set.name);
        rc = output_close(&out, 0);
    }
    if (rc < 0)
        cmd_say(s->self, "%s: %s", s->textfile, strerror(-rc));
    return rc < 0 ? CMD_PROBLEM : CMD_OK;
}

static int show(struct stats *s)
{
    struct metrics_counts c;
    int rc = vfs_counts(s->config->cache_dir, s->vol->set.uuid, &c);

    if (rc < 0 && rc != -ENOENT) { /* nothing was counted yet: zeros */
        cmd_say(s->self, "the counts below %s: %s", s->config->cache_dir,
                rc == -EINVAL ? "another version made them" : strerror(-rc));
        return CMD_PROBLEM;
    }
    if (s->textfile != NULL)
        return write_textfile(s, &c);
    if (s->prometheus) {
        stats_prometheus(stdout, &c, s->vol->set.name);
        return CMD_OK;
    }
    uint64_t now = clock_mono_ms();
    double seconds = (double)(now > s->last_ms ? now - s->last_ms : 1) / 1000;
    if (s->every_s > 0 && isatty(STDOUT_FILENO))
        fputs(CLEAR_SCREEN, stdout);
    printf("volume       %s, %s\n", s->vol->set.name, s->vol->set.uuid);
    stats_table(stdout, &c, s->last_ms != 0 ? &s->last : NULL, seconds);
    s->last = c;
    s->last_ms = now;
    return fflush(stdout) == 0 ? CMD_OK : CMD_PROBLEM;
}

static void nap(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL); /* a signal ends it, and the watching */
}

static int watch(struct stats *s)
{
    int rc = CMD_OK;

    interrupt_catch();
    for (unsigned long n = 1; rc == CMD_OK; n++) {
        rc = show(s);
        if (s->every_s == 0 || (s->count > 0 && n >= s->count))
            break;
        if (!s->prometheus && s->textfile == NULL && !isatty(STDOUT_FILENO))
            putchar('\n');
        nap(s->every_s);
        if (interrupted())
            break;
    }
    return rc;
}

static int take_option(const struct cmd *self, int opt, struct stats *s)
{
    char *end = NULL;

    switch (opt) {
    case OPT_PROMETHEUS:
        s->prometheus = true;
        break;
    case OPT_TEXTFILE:
        s->textfile = optarg;
        break;
    case OPT_WATCH:
        s->every_s = optarg != NULL ? strtod(optarg, &end) : EVERY_S;
        if (optarg != NULL && (end == optarg || *end != '\0' || !(s->every_s >= EVERY_MIN_S) ||
                               s->every_s > EVERY_MAX_S))
            return cmd_usage(self, "--watch=%s: want seconds from %g to %d", optarg, EVERY_MIN_S,
                             EVERY_MAX_S);
        break;
    case OPT_COUNT:
        s->count = strtoul(optarg, &end, 10);
        if (*end != '\0' || s->count == 0 || strspn(optarg, "0123456789") == 0)
            return cmd_usage(self, "--count %s: want a number from 1 on", optarg);
        break;
    default:
        return CMD_USAGE; /* said */
    }
    return CMD_OK;
}

static int stats_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct stats s = {.self = self, .config = &c, .vol = &v};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (take_option(self, opt, &s) != CMD_OK)
            goto out;
    if (argc - optind > 1) {
        cmd_usage(self, "one META-URL only");
        goto out;
    }
    if (s.prometheus && s.every_s > 0 && s.textfile == NULL) {
        cmd_usage(self, "--watch goes with the table or with --textfile");
        goto out;
    }
    rc = cmd_config(self, &c, argv[optind]);
    if (rc == CMD_OK)
        rc = volume_open(self, &c, &v);
    if (rc == CMD_OK)
        rc = watch(&s);
out:
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_stats = {
    .name = "stats",
    .args = "[META-URL] [OPTIONS]",
    .brief = "show what programs did to the volume on this host: ops, batches, round trips",
    .help =
        "Without META-URL: the configured volume.  Counted are this user's programs on this host,\n"
        "since the cache directory was made.\n\n"
        "options:\n"
        "      --watch[=SECONDS]  again every second, with what is done a second, until ^C\n"
        "      --count N          with --watch: N times\n"
        "      --prometheus       as Prometheus's text\n"
        "      --textfile FILE    the same into FILE, which is replaced whole (node_exporter's\n"
        "                         textfile collector); with --watch again and again\n\n"
        "exit codes: 0 shown, 1 the counts or the output failed, 2 usage or no connection\n",
    .main = stats_main,
};
