/* Functions of libc that walk a tree by themselves: ftw, nftw, fts, glob. */
#include "t.h"

#include <fts.h>
#include <ftw.h>
#include <glob.h>

static char lines[256][300];
static int count;

static void print_sorted(const char *label)
{
    char *p[256];
    for (int i = 0; i < count; i++)
        p[i] = lines[i];
    qsort(p, (size_t)count, sizeof(*p), by_text);
    printf("%s:\n", label);
    for (int i = 0; i < count; i++)
        printf("  %s\n", p[i]);
    count = 0;
    fflush(stdout);
}

static int visit(const char *path, const struct stat *st, int type)
{
    snprintf(lines[count++], sizeof(lines[0]), "%s %d %o", rel(path), type, st->st_mode);
    return 0;
}

static int visit_n(const char *path, const struct stat *st, int type, struct FTW *at)
{
    snprintf(lines[count++], sizeof(lines[0]), "%s %d %o level %d base %s", rel(path), type,
             st->st_mode, at->level, path + at->base);
    return 0;
}

static int stop_at_b(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return strcmp(path + at->base, "b") == 0 ? 42 : 0;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void with_fts(int options)
{
    char root[PATH_MAX];
    char *roots[] = {root, NULL};
    FTS *f;

    strcpy(root, in_top("tree"));
    f = fts_open(roots, options, by_name);
    if (f == NULL) {
        printf("fts_open: %s\n", strerrorname_np(errno));
        return;
    }
    printf("fts %x:\n", (unsigned)options);
    for (FTSENT *e; (e = fts_read(f)) != NULL;)
        printf("  %s info %d level %d\n", rel(e->fts_path), e->fts_info, e->fts_level);
    SHOW(fts_close(f));
}

static void with_glob(const char *pattern, int flags)
{
    glob_t g;
    int rc = glob(pattern, flags, NULL, &g);
    printf("glob %s: %d", rel(pattern), rc);
    if (rc == 0) {
        for (size_t i = 0; i < g.gl_pathc; i++)
            printf(" %s", rel(g.gl_pathv[i]));
        globfree(&g);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    SHOW(mkdir("tree", 0755));
    SHOW(mkdir("tree/a", 0755));
    SHOW(mkdir("tree/a/b", 0700));
    SHOW(mkdir("tree/empty", 0755));
    put_file("tree/a/one.c", "1");
    put_file("tree/a/two.c", "2");
    put_file("tree/a/b/three.c", "3");
    put_file("tree/.hidden", "h");
    SHOW(
        mkdir("other", 0755)); /* logical walks enter each directory once, in the order they come */
    put_file("other/four", "4");
    SHOW(symlink("../other", "tree/link"));
    SHOW(symlink("nowhere", "tree/dangling"));

    SHOW(ftw(in_top("tree"), visit, 8));
    print_sorted("ftw");
    SHOW(nftw(in_top("tree"), visit_n, 8, FTW_PHYS));
    print_sorted("nftw physical");
    SHOW(nftw("tree", visit_n, 2, FTW_PHYS | FTW_DEPTH));
    print_sorted("nftw depth");
    SHOW(nftw("tree", visit_n, 8, FTW_PHYS | FTW_CHDIR));
    print_sorted("nftw chdir");
    SHOW(nftw("tree", stop_at_b, 8, FTW_PHYS));
    SHOW(nftw("absent", visit_n, 8, FTW_PHYS));
    with_fts(FTS_PHYSICAL);
    with_fts(FTS_PHYSICAL | FTS_NOCHDIR);
    with_fts(FTS_LOGICAL | FTS_NOSTAT);

    with_glob("tree/*", 0);
    with_glob("tree/a/*.c", 0);
    with_glob("tree/*/*.c", GLOB_MARK);
    with_glob(in_top("tree/a/[ot]*.c"), 0);
    with_glob("tree/{a,empty}", GLOB_BRACE | GLOB_ONLYDIR);
    with_glob("tree/.h*", GLOB_PERIOD);
    with_glob("tree/none*", 0);
    with_glob("tree/none*", GLOB_NOCHECK);
    with_glob("tree/a/one.c", 0);
    with_glob("tree/absent", 0);
    return 0;
}
