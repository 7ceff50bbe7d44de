/*
 * transfer - what `jfspre dump` and `jfspre load` share: progress, interruption, and the output
 * file that appears whole or not at all.
 */
#ifndef JFSPRE_TOOLS_TRANSFER_H
#define JFSPRE_TOOLS_TRANSFER_H

#include "tools/cmd.h"

#include <stdio.h>

struct progress {
    bool shown; /* stderr is a terminal */
    uint64_t next_ms;
};

void progress_init(struct progress *p);
/* On a terminal: one line that is written over, a few times a second. */
void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t of);
void progress_clear(struct progress *p); /* before anything else is said */

/* From now on SIGINT, SIGTERM and SIGHUP are noted, so that what was begun can be removed. */
void interrupt_catch(void);
bool interrupted(void);
/* Ends the process by the signal that was noted; else returns. */
void interrupt_end(void);

/* Standard output, a file that is no regular one (written to as it is), or a temporary file beside
 * the one that it replaces when it is complete and on the disk. */
struct output {
    FILE *f;
    const char *shown; /* for messages */
    char target[4096];
    char temporary[4096 + 16];
};

/* path NULL or "-": standard output.  0 or -errno. */
int output_open(struct output *o, const char *path);
/* rc 0: completes it; else removes it.  0, rc, or the -errno of what failed; an old file is then as
 * it was. */
int output_close(struct output *o, int rc);

#endif
