/* mkstemp and its kin: names are random, so only what can be told apart is printed. */
#include "t.h"

/* "pre" + 6 changed characters + suffix? */
static void judge(const char *label, const char *made, const char *before, size_t suffix)
{
    size_t n = strlen(before);
    int kept = strlen(made) == n && strncmp(made, before, n - suffix - 6) == 0 &&
               strcmp(made + n - suffix, before + n - suffix) == 0;
    printf("%s: shape %s, filled %s\n", label, kept ? "kept" : "broken",
           strncmp(made + n - suffix - 6, "XXXXXX", 6) != 0 ? "yes" : "no");
}

int main(int argc, char **argv)
{
    char name[PATH_MAX];
    int fd;

    begin(argc, argv);
    SHOW(mkdir("d", 0755));
    strcpy(name, "d/aXXXXXX");
    FD(fd, mkstemp(name));
    judge("mkstemp", name, "d/aXXXXXX", 0);
    SHOW(write(fd, "x", 1));
    show_fstat("mkstemp", fd);
    SHOW(fcntl(fd, F_GETFL) & O_ACCMODE);
    close(fd);
    SHOW(unlink(name));

    strcpy(name, in_top("d/bXXXXXX"));
    FD(fd, mkostemp(name, O_CLOEXEC | O_APPEND));
    judge("mkostemp", name, in_top("d/bXXXXXX"), 0);
    SHOW(fcntl(fd, F_GETFD));
    SHOW((fcntl(fd, F_GETFL) & O_APPEND) != 0);
    close(fd);
    SHOW(unlink(name));

    strcpy(name, "d/cXXXXXX.txt");
    FD(fd, mkstemps(name, 4));
    judge("mkstemps", name, "d/cXXXXXX.txt", 4);
    close(fd);
    SHOW(unlink(name));
    strcpy(name, "d/eXXXXXX.o");
    FD(fd, mkostemps(name, 2, O_CLOEXEC));
    judge("mkostemps", name, "d/eXXXXXX.o", 2);
    close(fd);
    SHOW(unlink(name));

    strcpy(name, "d/fXXXXXX");
    SHOW(mkdtemp(name) == name);
    judge("mkdtemp", name, "d/fXXXXXX", 0);
    SHOW(access(name, R_OK | W_OK | X_OK));
    SHOW(rmdir(name));

    strcpy(name, "d/tooshortXXX");
    FD(fd, mkstemp(name));
    strcpy(name, "absent/aXXXXXX");
    FD(fd, mkstemp(name));
    SHOW(mkdtemp(name) == NULL ? -1 : 0);
    strcpy(name, "d/XXXXXXsuffix");
    FD(fd, mkstemps(name, 7));
    for (int i = 0; i < 50; i++) {
        strcpy(name, "d/manyXXXXXX");
        fd = mkstemp(name);
        if (fd < 0)
            printf("mkstemp: %s\n", strerrorname_np(errno));
        close(fd);
        unlink(name);
    }
    show_dir("d");
    return 0;
}
