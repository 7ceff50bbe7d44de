/*
 * bench_print.c - what `jfspre bench` found, as a table or as JSON.
 */
#include "tools/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double rate(const struct bench_result *r)
{
    return r->seconds > 0 ? (double)r->files / r->seconds : 0;
}

static double trips(const struct bench_result *r)
{
    return r->files > 0 ? r->round_trips / (double)r->files : 0;
}

/* How many times as fast the one mode is as the other. */
static double ratio(const struct bench *b, unsigned work, enum bench_mode one, enum bench_mode two)
{
    double slow = rate(&b->results[two][work]);
    return slow > 0 ? rate(&b->results[one][work]) / slow : 0;
}

static uint64_t queued(const struct bench *b, enum bench_mode mode)
{
    uint64_t n = 0;
    for (unsigned w = 0; w < WORKS; w++)
        n += b->results[mode][w].queued;
    return n;
}

static bool is_lmdb(const struct bench *b)
{
    return strncmp(b->vol->engine->ops->name(b->vol->engine), "lmdb:", 5) == 0;
}

static void table(const struct bench *b)
{
    printf("volume      %s at %s, %s\n", b->vol->set.name,
           b->vol->engine->ops->name(b->vol->engine), b->server);
    printf("round trip  %.4f ms\n", b->rtt_ms);
    printf("files       %" PRIu64 " in %u process%s", b->files, b->processes,
           b->processes == 1 ? "" : "es");
    if (b->runs > 1)
        printf(", median of %u runs", b->runs);
    printf("\n\n%-12s", "");
    for (unsigned m = 0; m < MODES; m++)
        printf(" %21s", bench_modes[m]);
    printf("\n%-12s", "");
    for (unsigned m = 0; m < MODES; m++)
        printf("    files/s %s/file", is_lmdb(b) ? " txns" : "trips");
    puts("  speed-up  of unsafe");
    for (unsigned w = 0; w < WORKS; w++) {
        printf("%-12s", bench_works[w]);
        for (unsigned m = 0; m < MODES; m++) {
            const struct bench_result *r = &b->results[m][w];
            if (b->built[m])
                printf(" %10.0f %10.3f", rate(r), trips(r));
            else
                printf(" %21s", "not here");
        }
        printf(" %7.1f x", ratio(b, w, MODE_BATCHED, MODE_DIRECT));
        if (b->built[MODE_UNSAFE])
            printf(" %8.0f %%\n", 100 * ratio(b, w, MODE_BATCHED, MODE_UNSAFE));
        else
            printf(" %10s\n", "-");
    }
    if (queued(b, MODE_BATCHED) == 0)
        puts("\nbatched: nothing was acknowledged early, so it is what one by one is");
}

static void json_text(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        if ((unsigned char)*s >= ' ')
            putchar(*s);
    }
    putchar('"');
}

static void json(const struct bench *b)
{
    const char *comma = "";

    printf("{\"volume\": ");
    json_text(b->vol->set.name);
    printf(", \"meta\": ");
    json_text(b->vol->engine->ops->name(b->vol->engine));
    printf(", \"server\": ");
    json_text(b->server);
    printf(",\n \"round_trip_ms\": %.4f, \"files\": %" PRIu64
           ", \"processes\": %u, \"runs\": %u,\n \"results\": [",
           b->rtt_ms, b->files, b->processes, b->runs);
    for (unsigned m = 0; m < MODES; m++) {
        if (!b->built[m]) {
            printf("%s\n  {\"mode\": \"%s\", \"built\": false}", comma, bench_modes[m]);
            comma = ",";
            continue;
        }
        for (unsigned w = 0; w < WORKS; w++, comma = ",") {
            const struct bench_result *r = &b->results[m][w];
            printf("%s\n  {\"mode\": \"%s\", \"built\": true, \"work\": \"%s\", \"files\": %" PRIu64
                   ", \"seconds\": %.6f, \"files_per_s\": %.1f, \"round_trips\": %.1f, "
                   "\"round_trips_per_file\": %.4f, \"queued\": %" PRIu64 ", \"speed_up\": %.3f}",
                   comma, bench_modes[m], bench_works[w], r->files, r->seconds, rate(r),
                   r->round_trips, trips(r), r->queued, ratio(b, w, m, MODE_DIRECT));
        }
    }
    puts("\n ]}");
}

void bench_print(const struct bench *b)
{
    if (b->json)
        json(b);
    else
        table(b);
}
