/*
 * stats - what `jfspre stats` prints of the counts that a user's programs keep.
 */
#ifndef JFSPRE_TOOLS_STATS_H
#define JFSPRE_TOOLS_STATS_H

#include "core/metrics/metrics.h"

#include <stdio.h>

/* A table for people.  before, when not NULL: the counts of `seconds` ago, for what is done a
 * second. */
void stats_table(FILE *f, const struct metrics_counts *c, const struct metrics_counts *before,
                 double seconds);
/* Prometheus's text format, every name with the volume's as its label. */
void stats_prometheus(FILE *f, const struct metrics_counts *c, const char *volume);

#endif
