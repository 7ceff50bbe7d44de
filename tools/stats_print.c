/*
 * stats_print.c - counts as a table and as Prometheus's text; see stats.h.
 */
#include "tools/stats.h"

#include "core/op/op.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(OP_KINDS <= METRICS_KINDS, "a counter for each kind");

/* What is counted by kind: a column of the table, a metric of Prometheus. */
#define COUNTED(name) #name, offsetof(struct metrics_counts, name)
static const struct {
    const char *name;
    size_t field;
    bool changes; /* never counts what only reads */
    const char *help;
} by_kind[] = {
    {COUNTED(queued), true, "Changes acknowledged before the store had them."},
    {COUNTED(flushed), true, "Queued changes that the store has now."},
    {COUNTED(coalesced), true, "Queued changes that needed no request of their own."},
    {COUNTED(failed), true, "Queued changes that the store refused."},
    {COUNTED(direct), false, "Requests that were sent and waited for."},
};
#define BY_KIND (sizeof by_kind / sizeof *by_kind)

static const struct {
    const char *name, *help, *shown;
    size_t field;
} totals[] = {
    {"round_trips", "Round trips to Redis, or LMDB transactions.", "round trips",
     offsetof(struct metrics_counts, round_trips)},
    {"retries", "Requests sent again, connections tried again.", "retries",
     offsetof(struct metrics_counts, retries)},
    {"conflicts", "Changes that lost against another client.", "conflicts",
     offsetof(struct metrics_counts, conflicts)},
    {"batches_repeated", "Batches asked for twice and applied once.", "repeated",
     offsetof(struct metrics_counts, repeated)},
};
#define TOTALS (sizeof totals / sizeof *totals)

static uint64_t of_kind(const struct metrics_counts *c, size_t row, unsigned kind)
{
    const uint64_t *list = (const void *)((const char *)c + by_kind[row].field);
    return list[kind];
}

static uint64_t total(const struct metrics_counts *c, size_t row)
{
    uint64_t n;
    memcpy(&n, (const char *)c + totals[row].field, sizeof n);
    return n;
}

static uint64_t sum(const uint64_t *list, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all += list[i];
    return all;
}

/* --- the table -------------------------------------------------------------------------------- */

static uint64_t done_with(const struct metrics_counts *c, unsigned kind)
{
    return c->flushed[kind] + c->coalesced[kind] + c->direct[kind];
}

static void kinds_table(FILE *f, const struct metrics_counts *c,
                        const struct metrics_counts *before, double seconds)
{
    bool any = false;

    fprintf(f, "%-12s", "ops");
    for (size_t i = 0; i < BY_KIND; i++)
        fprintf(f, " %11s", by_kind[i].name);
    fputs(before != NULL ? "       per s\n" : "\n", f);
    for (unsigned kind = 1; kind < OP_KINDS; kind++) {
        uint64_t here = 0;
        for (size_t i = 0; i < BY_KIND; i++)
            here += of_kind(c, i, kind);
        if (here == 0)
            continue;
        any = true;
        fprintf(f, "  %-10s", op_kind_name((uint8_t)kind));
        for (size_t i = 0; i < BY_KIND; i++)
            fprintf(f, " %11" PRIu64, of_kind(c, i, kind));
        if (before != NULL)
            fprintf(f, " %11.0f", (double)(done_with(c, kind) - done_with(before, kind)) / seconds);
        fputc('\n', f);
    }
    if (!any)
        fputs("  none\n", f);
}

static void size_row(FILE *f, const struct metrics_counts *c)
{
    uint64_t n = sum(c->batch_ops, METRICS_SIZE_BUCKETS);

    fprintf(f, "batches      %" PRIu64, n);
    if (n > 0)
        fprintf(f, ", %.1f ops each:", (double)c->batch_ops_sum / (double)n);
    for (size_t i = 0; n > 0 && i < METRICS_SIZE_BUCKETS; i++) {
        if (c->batch_ops[i] == 0)
            continue;
        if (i + 1 < METRICS_SIZE_BUCKETS)
            fprintf(f, "  %" PRIu64 " to %" PRIu64, c->batch_ops[i], metrics_size_bound(i));
        else
            fprintf(f, "  %" PRIu64 " above", c->batch_ops[i]);
    }
    fputc('\n', f);
}

/* The bound below which this share of the drains lies. */
static void share(FILE *f, const struct metrics_counts *c, uint64_t n, double part)
{
    uint64_t below = 0;
    size_t i = 0;

    for (; i < METRICS_TIME_BUCKETS - 1; i++) {
        below += c->drain_time[i];
        if ((double)below >= part * (double)n)
            break;
    }
    if (i < METRICS_TIME_BUCKETS - 1)
        fprintf(f, ", %g %% within %.1f ms", part * 100, (double)metrics_time_bound_usec(i) / 1000);
    else
        fprintf(f, ", %g %% not within %.1f ms", part * 100,
                (double)metrics_time_bound_usec(i - 1) / 1000);
}

static void time_row(FILE *f, const struct metrics_counts *c)
{
    uint64_t n = sum(c->drain_time, METRICS_TIME_BUCKETS);

    if (n == 0)
        return;
    fprintf(f, "drains       %.2f ms on average", (double)c->drain_usec_sum / 1000 / (double)n);
    share(f, c, n, 0.5);
    share(f, c, n, 0.99);
    fputc('\n', f);
}

void stats_table(FILE *f, const struct metrics_counts *c, const struct metrics_counts *before,
                 double seconds)
{
    kinds_table(f, c, before, seconds);
    size_row(f, c);
    time_row(f, c);
    fprintf(f, "pending      %" PRIu64, c->depth);
    if (c->batch_size > 0)
        fprintf(f, ", batches of up to %" PRIu64, c->batch_size);
    fputc('\n', f);
    for (size_t i = 0; i < TOTALS; i++) {
        fprintf(f, "%-12s %" PRIu64, totals[i].shown, total(c, i));
        if (before != NULL)
            fprintf(f, ", %.0f per s", (double)(total(c, i) - total(before, i)) / seconds);
        fputc('\n', f);
    }
}

/* --- Prometheus ------------------------------------------------------------------------------- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP jfspre_%s %s\n# TYPE jfspre_%s %s\n", name, help, name, type);
}

static void gauge(FILE *f, const char *name, const char *help, const char *volume, uint64_t v)
{
    head(f, name, "gauge", help);
    fprintf(f, "jfspre_%s{volume=\"%s\"} %" PRIu64 "\n", name, volume, v);
}

static void histogram(FILE *f, const char *name, const char *help, const char *volume,
                      const uint64_t *buckets, size_t n, uint64_t (*bound)(size_t), double unit,
                      uint64_t all)
{
    uint64_t below = 0;

    head(f, name, "histogram", help);
    for (size_t i = 0; i < n; i++) {
        below += buckets[i];
        fprintf(f, "jfspre_%s_bucket{volume=\"%s\",le=\"", name, volume);
        if (bound(i) == UINT64_MAX)
            fputs("+Inf", f);
        else
            fprintf(f, "%.10g", (double)bound(i) * unit);
        fprintf(f, "\"} %" PRIu64 "\n", below);
    }
    fprintf(f, "jfspre_%s_sum{volume=\"%s\"} %.10g\n", name, volume, (double)all * unit);
    fprintf(f, "jfspre_%s_count{volume=\"%s\"} %" PRIu64 "\n", name, volume, below);
}

void stats_prometheus(FILE *f, const struct metrics_counts *c, const char *volume)
{
    char name[64];

    for (size_t i = 0; i < BY_KIND; i++) {
        snprintf(name, sizeof name, "ops_%s_total", by_kind[i].name);
        head(f, name, "counter", by_kind[i].help);
        for (unsigned kind = 1; kind < OP_KINDS; kind++) {
            struct op op = {.kind = (uint8_t)kind, .flags = OPF_CREATE};
            if (by_kind[i].changes && !op_changes(&op))
                continue;
            fprintf(f, "jfspre_%s{volume=\"%s\",op=\"%s\"} %" PRIu64 "\n", name, volume,
                    op_kind_name((uint8_t)kind), of_kind(c, i, kind));
        }
    }
    histogram(f, "batch_ops", "Changes in a batch.", volume, c->batch_ops, METRICS_SIZE_BUCKETS,
              metrics_size_bound, 1, c->batch_ops_sum);
    histogram(f, "drain_seconds", "From sending a batch to its answer.", volume, c->drain_time,
              METRICS_TIME_BUCKETS, metrics_time_bound_usec, 1e-6, c->drain_usec_sum);
    gauge(f, "queue_depth", "Changes pending on this host.", volume, c->depth);
    gauge(f, "batch_size", "Largest batch in force.", volume, c->batch_size);
    for (size_t i = 0; i < TOTALS; i++) {
        snprintf(name, sizeof name, "%s_total", totals[i].name);
        head(f, name, "counter", totals[i].help);
        fprintf(f, "jfspre_%s{volume=\"%s\"} %" PRIu64 "\n", name, volume, total(c, i));
    }
}
