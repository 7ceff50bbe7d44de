/* Directory streams: every name once, stable positions, changes while reading; getdents64. */
#include "t.h"

#include <sys/syscall.h>

#define MANY 3000

/* How often each of the names n0..n2999 comes; -1 for a stranger. */
static int count_names(DIR *d, unsigned char seen[MANY])
{
    int others = 0;
    memset(seen, 0, MANY);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == 'n' && atoi(e->d_name + 1) < MANY)
            seen[atoi(e->d_name + 1)]++;
        else
            others++;
    }
    return others;
}

static void sum(const char *label, const unsigned char seen[MANY], int others)
{
    int none = 0, once = 0, more = 0;
    for (int i = 0; i < MANY; i++) {
        none += seen[i] == 0;
        once += seen[i] == 1;
        more += seen[i] > 1;
    }
    printf("%s: %d once, %d more than once, %d not, %d others\n", label, once, more, none, others);
    fflush(stdout);
}

static void many(void)
{
    static unsigned char seen[MANY];
    char name[32];
    struct stat st;
    DIR *d;
    int others, fd;

    SHOW(mkdir("many", 0755));
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "many/n%d", i);
        if (i % 100 == 0 ? mkdir(name, 0755) : mknod(name, S_IFREG | 0644, 0))
            printf("%s: %s\n", name, strerrorname_np(errno));
    }
    SHOW(stat("many", &st));
    SHOW(st.st_nlink);
    d = opendir("many");
    others = count_names(d, seen);
    sum("all", seen, others);
    rewinddir(d);
    others = count_names(d, seen);
    sum("again", seen, others);

    /* removing while reading: each name that is left comes once, in the next round none */
    rewinddir(d);
    memset(seen, 0, sizeof(seen));
    others = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != 'n') {
            others++;
            continue;
        }
        seen[atoi(e->d_name + 1)]++;
        if (unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0) != 0)
            printf("%s: %s\n", e->d_name, strerrorname_np(errno));
    }
    sum("while removing", seen, others);
    rewinddir(d);
    others = count_names(d, seen);
    sum("after", seen, others);
    fd = dirfd(d);
    SHOW(closedir(d));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(rmdir("many"));
}

/* telldir and seekdir: from any position the rest is as it was. */
static void positions(void)
{
    char names[64][256], name[32];
    long where[64];
    int n = 0, wrong = 0;
    DIR *d;

    SHOW(mkdir("few", 0755));
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "few/f%d", i);
        put_file(name, "");
    }
    d = opendir("few");
    for (;;) {
        struct dirent *e;
        where[n] = telldir(d);
        if ((e = readdir(d)) == NULL)
            break;
        strcpy(names[n++], e->d_name);
    }
    printf("%d entries\n", n);
    for (int i = n - 1; i >= 0; i--) {
        struct dirent *e;
        seekdir(d, where[i]);
        e = readdir(d);
        wrong += e == NULL || strcmp(e->d_name, names[i]) != 0;
        e = readdir(d);
        wrong += i + 1 < n ? e == NULL || strcmp(e->d_name, names[i + 1]) != 0 : e != NULL;
    }
    printf("%d wrong after seekdir\n", wrong);
    /* a name made meanwhile may or may not come, one removed must not come twice */
    seekdir(d, where[5]);
    SHOW(unlink("few/f0"));
    put_file("few/late", "");
    rewinddir(d);
    n = 0;
    while (readdir(d) != NULL)
        n++;
    printf("%d entries\n", n);
    closedir(d);
}

static int only_f1(const struct dirent *e)
{
    return strncmp(e->d_name, "f1", 2) == 0;
}

static void forms(void)
{
    struct dirent **list, *e, *result;
    struct dirent space;
    struct stat st;
    char buf[65536];
    DIR *d;
    int fd, n, dots = 0, same = 0;

    n = scandir("few", &list, only_f1, alphasort);
    printf("scandir:");
    for (int i = 0; i < n; i++) {
        printf(" %s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    printf("\n");
    SHOW(scandir("absent", &list, NULL, NULL));
    SHOW(opendir("absent") == NULL ? -1 : 0);
    SHOW(opendir("few/f1") == NULL ? -1 : 0);
    SHOW(opendir("") == NULL ? -1 : 0);

    FD(fd, open("few", O_RDONLY | O_DIRECTORY));
    d = fdopendir(fd);
    SHOW(dirfd(d) == fd);
    n = 0;
    while ((e = readdir(d)) != NULL) {
        n++;
        dots += e->d_name[0] == '.' && e->d_type == DT_DIR;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            same += st.st_ino == e->d_ino || strcmp(e->d_name, "..") == 0;
    }
    printf("%d entries, %d dots, %d inode numbers as stat says\n", n, dots, same);
    SHOW(fstatat(dirfd(d), "f3", &st, 0));
    SHOW(closedir(d));
    FD(fd, open("few/f1", O_RDONLY));
    SHOW(fdopendir(fd) == NULL ? -1 : 0);
    close(fd);
    SHOW(fdopendir(-1) == NULL ? -1 : 0);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    d = opendir("few");
    n = 0;
    while (readdir_r(d, &space, &result) == 0 && result != NULL)
        n++;
    printf("readdir_r: %d\n", n);
    closedir(d);
#pragma GCC diagnostic pop

    FD(fd, open("few", O_RDONLY | O_DIRECTORY));
    n = 0;
    for (ssize_t got; (got = getdents64(fd, buf, 512)) > 0;)
        for (ssize_t at = 0; at < got; at += ((struct dirent64 *)(buf + at))->d_reclen)
            n++;
    printf("getdents64: %d\n", n);
    SHOW(lseek(fd, 0, SEEK_SET));
    n = 0;
    for (ssize_t got; (got = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0;)
        for (ssize_t at = 0; at < got; at += ((struct dirent64 *)(buf + at))->d_reclen)
            n++;
    printf("by syscall(): %d\n", n);
    SHOW(getdents64(fd, buf, 1));
    close(fd);
}

/* A directory that is removed while open is empty. */
static void removed(void)
{
    struct stat st;
    DIR *d;
    int n = 0;

    SHOW(mkdir("gone", 0755));
    d = opendir("gone");
    SHOW(rmdir("gone"));
    while (readdir(d) != NULL)
        n++;
    printf("%s\n", n <= 2 ? "nothing but dots" : "names");
    SHOW(fstat(dirfd(d), &st));
    SHOW(st.st_nlink);
    TRY(openat(dirfd(d), "x", O_CREAT | O_WRONLY, 0644));
    SHOW(mkdirat(dirfd(d), "x", 0755));
    closedir(d);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    many();
    positions();
    forms();
    removed();
    return 0;
}
