/*
 * doctor - what the checks of `jfspre doctor` share.  Each prints what it found and goes on, so
 * that one run names everything.
 */
#ifndef JFSPRE_TOOLS_DOCTOR_H
#define JFSPRE_TOOLS_DOCTOR_H

#include "tools/cmd.h"

struct doctor {
    struct config c;
    struct volume vol;
    bool has_volume;
    const char *program; /* NULL: none asked for */
    int problems;
};

/* One line each: all is well; worth knowing; it stands in the way, and is counted. */
void doctor_ok(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_note(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_problem(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void check_library(struct doctor *d);
void check_process(struct doctor *d);
void check_prefix(struct doctor *d);
void check_cache(struct doctor *d);

#endif
