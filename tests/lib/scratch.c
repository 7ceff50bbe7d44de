/*
 * scratch.c - see scratch.h.
 */
#include "tests/lib/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void scratch_make(const char *name, char out[SCRATCH_MAX])
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(out, SCRATCH_MAX, "%s/%s-XXXXXX", tmp != NULL ? tmp : "/tmp", name);
    if (n >= SCRATCH_MAX || mkdtemp(out) == NULL) {
        perror(out);
        exit(2);
    }
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    return remove(path);
}

void scratch_remove(const char *path)
{
    nftw(path, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}
