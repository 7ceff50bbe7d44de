/*
 * three_internal - what three_world.c and three_run.c share.
 */
#ifndef JFSPRE_TESTS_LIB_THREE_INTERNAL_H
#define JFSPRE_TESTS_LIB_THREE_INTERNAL_H

#include "tests/lib/three.h"

struct three {
    struct server *server;
    const struct difference *known;
    size_t nknown;
    char dir[300], run[400]; /* of all, of the run that is going on */
    unsigned runs, nap_ms;
    unsigned tried[STEP_KINDS], worked[STEP_KINDS];
};

#endif
