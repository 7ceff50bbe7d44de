/* Directories of several pages, read while names come and go: what is true of them afterwards. */
#include "t.h"

#include <sys/mman.h>

#define MANY  1500
#define FIRST 600 /* read before something happens: past the first page, not at the end */

static volatile int *turn; /* shared with children */

static void fill(const char *dir)
{
    char name[32];
    SHOW(mkdir(dir, 0755));
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%s/n%d", dir, i);
        close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644));
    }
}

static int read_some(DIR *d, int most)
{
    int n = 0;
    while (n < most && readdir(d) != NULL)
        n++;
    return n;
}

static int count(const char *dir)
{
    DIR *d = opendir(dir);
    int n = d != NULL ? read_some(d, INT_MAX) : -1;
    if (d != NULL)
        closedir(d);
    return n;
}

/* Takes all names away that were given to it at first; how many were there. */
static int empty(const char *dir)
{
    char name[32];
    int n = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%s/n%d", dir, i);
        n += unlink(name) == 0;
    }
    return n;
}

static void try_names(const char *dir)
{
    SHOW(chdir(dir));
    SHOW(access("n0", F_OK));
    SHOW(access("n1499", F_OK));
    SHOW(access("fresh", F_OK));
    SHOW(access("moved", F_OK));
    TRY(open("n0", O_CREAT | O_EXCL | O_WRONLY, 0644));
    TRY(open("fresh", O_CREAT | O_EXCL | O_WRONLY, 0644));
    SHOW(mkdir("moved", 0755));
    SHOW(mkdir("n7", 0755));
    SHOW(chdir(".."));
}

static void change(const char *dir)
{
    SHOW(chdir(dir));
    SHOW(unlink("n0"));
    SHOW(unlink("n1499"));
    SHOW(rename("n1", "moved"));
    SHOW(rename("n1498", "n2"));
    TRY(open("fresh", O_CREAT | O_EXCL | O_WRONLY, 0644));
    SHOW(chdir(".."));
}

static void finish(const char *dir)
{
    char name[32];
    SHOW(empty(dir));
    SHOW(rmdir(dir));
    snprintf(name, sizeof name, "%s/fresh", dir);
    SHOW(unlink(name));
    SHOW(rmdir(dir));
    snprintf(name, sizeof name, "%s/moved", dir);
    SHOW(unlink(name));
    SHOW(rmdir(dir));
    SHOW(access(dir, F_OK));
}

static void nothing(void)
{
    fill("still");
    SHOW(count("still"));
    SHOW(empty("still"));
    SHOW(rmdir("still"));
}

/* By the reader itself. */
static void own(void)
{
    DIR *d = opendir("own");
    SHOW(read_some(d, FIRST));
    change("own");
    read_some(d, INT_MAX);
    closedir(d);
    try_names("own");
    SHOW(count("own"));
    finish("own");
}

/* By the other one of two readers' owner, one half through and one at its end. */
static void both(void)
{
    DIR *d = opendir("both"), *e = opendir("both");
    SHOW(read_some(d, FIRST));
    SHOW(read_some(e, FIRST / 60));
    SHOW(read_some(d, INT_MAX));
    change("both");
    read_some(e, INT_MAX);
    closedir(d);
    closedir(e);
    try_names("both");
    SHOW(count("both"));
    finish("both");
}

/* By another process, of which this one is told through memory only. */
static void other(void)
{
    DIR *d = opendir("other");
    *turn = 0;
    pid_t pid = fork();
    if (pid == 0) {
        change("other");
        *turn = 1;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    *turn = 0;
    SHOW(read_some(d, FIRST));
    pid = fork();
    if (pid == 0) {
        while (*turn == 0)
            usleep(100);
        rename("other/moved", "other/n0");
        rename("other/n2", "other/moved");
        close(open("other/late", O_CREAT | O_EXCL | O_WRONLY, 0644));
        *turn = 2;
        _exit(0);
    }
    *turn = 1;
    while (*turn == 1)
        usleep(100);
    read_some(d, INT_MAX);
    closedir(d);
    TRY(open("other/late", O_CREAT | O_EXCL | O_WRONLY, 0644));
    try_names("other");
    SHOW(empty("other"));
    SHOW(unlink("other/fresh"));
    SHOW(unlink("other/moved"));
    SHOW(rmdir("other"));
    SHOW(unlink("other/late"));
    SHOW(rmdir("other"));
    waitpid(pid, NULL, 0);
}

/* In a child, which knows nothing of what its parent made. */
static void in_child(void (*what)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        what();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    top = argc > 1 ? argv[1] : ".";
    turn = mmap(NULL, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SHOW(chdir(top));
    nothing();
    fill("again");
    fill("own");
    fill("both");
    fill("other");
    SHOW(count("again")); /* by who made it */
    SHOW(unlink("again/n3"));
    SHOW(access("again/n3", F_OK));
    TRY(open("again/n4", O_CREAT | O_EXCL | O_WRONLY, 0644));
    SHOW(empty("again"));
    SHOW(rmdir("again"));
    in_child(own);
    in_child(both);
    in_child(other);
    SHOW(count("."));
    return 0;
}
