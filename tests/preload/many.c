/* The calls of jfspre.h: many names at once, each as the single call has it. */
#include "t.h"

#include "../../include/jfspre.h"

#define MANY 1300

static void show_errors(const char *const *names, size_t n, const int *errors)
{
    for (size_t i = 0; i < n; i++)
        printf("  %.20s: %s\n", names[i] != NULL ? names[i] : "NULL",
               errors[i] == 0 ? "ok" : strerrorname_np(errors[i]));
}

#define CREATE(dir, mode, ...)                                                                     \
    do {                                                                                           \
        const char *names_[] = {__VA_ARGS__};                                                      \
        size_t n_ = sizeof names_ / sizeof *names_;                                                \
        int errors_[16];                                                                           \
        SHOW(jfspre_create_many(dir, names_, n_, mode, errors_));                                  \
        show_errors(names_, n_, errors_);                                                          \
    } while (0)
#define UNLINK(dir, ...)                                                                           \
    do {                                                                                           \
        const char *names_[] = {__VA_ARGS__};                                                      \
        size_t n_ = sizeof names_ / sizeof *names_;                                                \
        int errors_[16];                                                                           \
        SHOW(jfspre_unlink_many(dir, names_, n_, errors_));                                        \
        show_errors(names_, n_, errors_);                                                          \
    } while (0)

static int count(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

static void thousands(int dir)
{
    static char text[MANY][16];
    static const char *names[MANY];
    static int errors[MANY];

    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "n%d", i);
        names[i] = text[i];
    }
    SHOW(jfspre_create_many(dir, names, MANY, 0600, errors));
    for (int i = 0; i < MANY; i++)
        if (errors[i] != 0)
            printf("%s: %d\n", names[i], errors[i]);
    SHOW(count("many"));
    SHOW(unlinkat(dir, "n700", 0));
    SHOW(jfspre_create_many(dir, names, MANY, 0600, errors));
    SHOW(errors[699]);
    SHOW(errors[700]);
    SHOW(errors[701]);
    SHOW(unlinkat(dir, "n700", 0));
    SHOW(jfspre_unlink_many(dir, names, MANY, errors));
    SHOW(errors[699]);
    SHOW(errors[700]);
    SHOW(errors[MANY - 1]);
    SHOW(count("many"));
}

int main(int argc, char **argv)
{
    char long_name[300], below[PATH_MAX], native[] = "/tmp/jfspre-many-XXXXXX", out[64];
    int fd, dir, file;

    begin(argc, argv);
    SHOW(jfspre_flush());
    SHOW(mkdir("many", 0755));
    FD(dir, open("many", O_RDONLY | O_DIRECTORY));
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';

    umask(027);
    CREATE(dir, 0666, "a", "b", "c");
    show_stat("many/a");
    CREATE(dir, 0777, "d");
    show_stat("many/d");
    CREATE(dir, 0666, "e", "a", "e", "f");
    CREATE(dir, 0666, "", ".", "..", "g/", "nowhere/x", "a/x", long_name, "sub/../h");
    SHOW(mkdir("many/sub", 0755));
    SHOW(symlink("gone", "many/link"));
    CREATE(dir, 0666, "sub/x", "sub", "link", "sub/../i", "./j");
    CREATE(AT_FDCWD, 0666, "many/k", "l");
    CREATE(-1, 0666, "m", "n");
    FD(file, open("l", O_RDONLY));
    CREATE(file, 0666, "m");
    SHOW(jfspre_create_many(dir, NULL, 0, 0666, NULL));
    const char *two[] = {"o", "a"};
    SHOW(jfspre_create_many(dir, two, 2, 0666, NULL));
    SHOW(access("many/o", F_OK));

    /* paths of both sides in one list, and one that leaves through a symlink */
    SHOW(mkdtemp(native) != NULL);
    SHOW(symlink(native, "many/out"));
    snprintf(below, sizeof below, "%s/many/abs", top);
    snprintf(out, sizeof out, "%s/native", native);
    {
        const char *names[] = {"p", out, below, "out/climbed", "a"};
        int errors[5];
        SHOW(jfspre_create_many(dir, names, 5, 0666, errors));
        for (int i = 0; i < 5; i++)
            printf("  %d: %d\n", i, errors[i]);
        SHOW(access(out, F_OK));
        SHOW(access(below, F_OK));
        SHOW(access("many/out/climbed", F_OK));
        SHOW(jfspre_unlink_many(dir, names, 5, errors));
        for (int i = 0; i < 5; i++)
            printf("  %d: %d\n", i, errors[i]);
    }
    SHOW(rmdir(native)); /* empty: both are gone */

    UNLINK(dir, "b", "nothing", "b", "sub", "link", "out", "", "sub/x", "c/x", long_name);
    UNLINK(-1, "c");
    FD(fd, open("many/c", O_RDWR));
    SHOW(write(fd, "open", 4));
    UNLINK(dir, "c", "d");
    SHOW(pread(fd, below, 4, 0));
    show_bytes("after unlink", below, 4);
    SHOW(close(fd));
    SHOW(jfspre_unlink_many(dir, NULL, 0, NULL));
    UNLINK(dir, "e", "f", "h", "i", "j", "k", "o");
    SHOW(rmdir("many/sub"));
    SHOW(count("many"));
    thousands(dir);
    FD(fd, open("open", O_WRONLY | O_CREAT, 0644));
    SHOW(write(fd, "x", 1));
    errno = 0;
    SHOW(jfspre_flush());
    SHOW(close(fd));
    return 0;
}
