/*
 * cmd_bench.c - `jfspre bench`: what batching is worth on the user's own volume.
 */
#include "tools/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_DEFAULT 1000
#define FILES_MAX     10000000
#define RTT_SAMPLES   51

enum { OPT_JSON = 1 };

/* clang-format off */
static const struct option options[] = {
    {"files",     required_argument, NULL, 'n'},
    {"processes", required_argument, NULL, 'p'},
    {"runs",      required_argument, NULL, 'r'},
    {"json",      no_argument,       NULL, OPT_JSON},
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The cheapest question: GET setting. */
static int measure(struct bench *b)
{
    struct engine *e = b->vol->engine;
    uint64_t took[RTT_SAMPLES];
    struct buf text = {0};
    int rc = e->ops->describe(e, &text);

    if (rc == 0)
        snprintf(b->server, sizeof b->server, "%s", (const char *)text.data);
    for (size_t i = 0; rc == 0 && i < RTT_SAMPLES; i++) {
        buf_clear(&text);
        uint64_t from = clock_mono_ns();
        rc = e->ops->get_setting(e, &text);
        took[i] = clock_mono_ns() - from;
    }
    buf_free(&text);
    if (rc < 0) {
        cmd_say(b->self, "%s", e->ops->error(e));
        return CMD_USAGE;
    }
    qsort(took, RTT_SAMPLES, sizeof *took, by_value);
    b->rtt_ms = (double)took[RTT_SAMPLES / 2] / 1e6;
    return CMD_OK;
}

static int name_dirs(struct bench *b)
{
    char host[128] = "host";

    gethostname(host, sizeof host - 1);
    snprintf(b->dir, sizeof b->dir, "jfspre-bench-%s-%d", host, (int)getpid());
    if ((size_t)snprintf(b->cache, sizeof b->cache, "%s/bench.%d", b->config->cache_dir,
                         (int)getpid()) < sizeof b->cache)
        return CMD_OK;
    cmd_say(b->self, "%s: %s", b->config->cache_dir, strerror(ENAMETOOLONG));
    return CMD_USAGE;
}

static int take_number(const struct cmd *self, char opt, uint64_t most, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(optarg, &end, 10);
    if (errno == 0 && optarg[0] >= '0' && optarg[0] <= '9' && *end == '\0' && *out >= 1 &&
        *out <= most)
        return CMD_OK;
    return cmd_usage(self, "-%c %s: want a number from 1 to %llu", opt, optarg,
                     (unsigned long long)most);
}

static int take_option(const struct cmd *self, int opt, struct bench *b)
{
    uint64_t n = 0;
    int rc = CMD_OK;

    switch (opt) {
    case 'n':
        return take_number(self, 'n', FILES_MAX, &b->files);
    case 'p':
        rc = take_number(self, 'p', BENCH_PROCESSES_MAX, &n);
        b->processes = (unsigned)n;
        return rc;
    case 'r':
        rc = take_number(self, 'r', BENCH_RUNS_MAX, &n);
        b->runs = (unsigned)n;
        return rc;
    case OPT_JSON:
        b->json = true;
        return CMD_OK;
    default:
        return CMD_USAGE; /* said */
    }
}

static int bench_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct volume v = {0};
    struct bench b = {
        .self = self, .config = &c, .vol = &v, .files = FILES_DEFAULT, .processes = 1, .runs = 1};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "n:p:r:", options, &c)) != -1)
        if (take_option(self, opt, &b) != CMD_OK)
            goto out;
    if (argc - optind > 1) {
        cmd_usage(self, "one META-URL only");
        goto out;
    }
    if (b.files < b.processes) {
        cmd_usage(self, "-n: fewer files than processes");
        goto out;
    }
    rc = cmd_config(self, &c, argv[optind]);
    if (rc == CMD_OK)
        rc = volume_open(self, &c, &v);
    if (rc == CMD_OK)
        rc = name_dirs(&b);
    if (rc == CMD_OK)
        rc = measure(&b);
    if (rc == CMD_OK && v.set.trash_days > 0)
        cmd_say(self, "the volume has a trash of %d day%s: what is removed here goes there first",
                v.set.trash_days, text_s((uint64_t)v.set.trash_days));
    if (rc == CMD_OK)
        rc = bench_run(&b);
    if (rc == CMD_OK)
        bench_print(&b);
out:
    volume_close(&v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_bench = {
    .name = "bench",
    .args = "[META-URL] [OPTIONS]",
    .brief = "measure files a second on your own volume: batched, one by one, unsafe",
    .help =
        "Makes a directory of its own in the volume, creates, stats, lists, reads, renames and\n"
        "removes files there, and removes the directory, also when interrupted.  Three ways:\n"
        "batched (as programs do it), one by one (batchwrite=0), unsafe (unsafe_batch=1).  What\n"
        "is counted is in the store and seen by others.  No root is needed, and no preload.\n\n"
        "options:\n"
        "  -n, --files N       files, default 1000\n"
        "  -p, --processes N   processes that share them, each in its own directory, default 1\n"
        "  -r, --runs N        repeat everything and give the medians, default 1\n"
        "      --json          as JSON\n\n"
        "exit codes: 0 measured, 1 something failed, 2 usage or no connection\n",
    .main = bench_main,
};
