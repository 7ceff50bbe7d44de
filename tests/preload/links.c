/* Symbolic and hard links, and the functions that resolve a path. */
#include "t.h"

static void symbolic(void)
{
    char buf[64];
    int dir;

    put_file("file", "hello");
    SHOW(mkdir("dir", 0755));
    SHOW(symlink("file", "link"));
    SHOW(symlink("file", "link"));
    SHOW(symlink("any thing\n", "odd"));
    SHOW(symlink("file", "absent/link"));
    SHOW(symlink("file", "dir"));
    SHOW(symlink("file", ""));
    memset(buf, '#', sizeof(buf));
    SHOW(readlink("link", buf, sizeof(buf)));
    show_bytes("whole", buf, 6);
    memset(buf, '#', sizeof(buf));
    SHOW(readlink("link", buf, 2));
    show_bytes("cut", buf, 4);
    SHOW(readlink("file", buf, sizeof(buf)));
    SHOW(readlink("dir", buf, sizeof(buf)));
    SHOW(readlink("absent", buf, sizeof(buf)));
    SHOW(readlink("file/x", buf, sizeof(buf)));
    FD(dir, open("dir", O_RDONLY));
    SHOW(symlinkat("../file", dir, "up"));
    SHOW(readlinkat(dir, "up", buf, sizeof(buf)));
    SHOW(readlinkat(dir, "../odd", buf, sizeof(buf)));
    close(dir);
    show_file("dir/up");
    show_stat("odd");
    SHOW(unlink("link"));
    show_stat("file");
}

/* forty links in a row are followed, forty-one are not */
static void chain(void)
{
    char from[16], to[16];
    SHOW(mkdir("chain", 0755));
    SHOW(chdir("chain"));
    put_file("l0", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "l%d", i - 1);
        snprintf(to, sizeof(to), "l%d", i);
        if (symlink(from, to) != 0)
            printf("symlink %s: %s\n", to, strerrorname_np(errno));
    }
    TRY(open("l40", O_RDONLY));
    TRY(open("l41", O_RDONLY));
    SHOW(chdir(".."));
}

static void hard(void)
{
    struct stat a, b;
    char name[64];
    int fd, dir;

    SHOW(link("file", "second"));
    show_stat("file");
    SHOW(stat("file", &a));
    SHOW(stat("second", &b));
    SHOW(a.st_ino == b.st_ino);
    put_file("second", "changed");
    show_file("file");
    SHOW(link("file", "second"));
    SHOW(link("absent", "third"));
    SHOW(link("dir", "dir2"));
    SHOW(link("file", "absent/x"));
    SHOW(link("file", "dir/third"));
    SHOW(unlink("file"));
    show_stat("second");
    show_file("dir/third");
    SHOW(symlink("second", "link"));
    SHOW(link("link", "link2"));
    show_stat("link2");
    SHOW(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    show_stat("followed");
    SHOW(linkat(AT_FDCWD, "link", AT_FDCWD, "x", 0x40000000));
    FD(dir, open("dir", O_RDONLY));
    SHOW(linkat(dir, "third", AT_FDCWD, "fourth", 0));
    close(dir);
    show_stat("fourth");
    FD(fd, open("fourth", O_RDONLY));
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    errno = 0;
    show_result("linkat of a descriptor",
                linkat(AT_FDCWD, name, AT_FDCWD, "fifth", AT_SYMLINK_FOLLOW), 0);
    close(fd);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "dir/n%d", i);
        if (link("second", name) != 0)
            printf("link %s: %s\n", name, strerrorname_np(errno));
    }
    show_stat("second");
    SHOW(rename("dir/n0", "n0"));
    SHOW(rename("dir/n1", "n0"));
    SHOW(unlink("n0"));
    show_stat("second");
    show_dir(".");
}

static void resolving(void)
{
    char out[PATH_MAX], *p;

    SHOW(mkdir("dir/deep", 0755));
    SHOW(symlink("dir/deep", "to-deep"));
    SHOW(symlink(in_top("dir"), "to-dir"));
    printf("%s\n", rel(realpath(".", out)));
    printf("%s\n", rel(realpath("to-deep", out)));
    printf("%s\n", rel(realpath("to-deep/..", out)));
    printf("%s\n", rel(realpath("to-dir/third", out)));
    printf("%s\n", rel(realpath(in_top("to-dir/../second"), out)));
    printf("%s\n", rel(realpath("link", out)));
    printf("%s\n", rel(realpath("absent", out)));
    printf("%s\n", rel(realpath("second/x", out)));
    printf("%s\n", rel(realpath("", out)));
    p = realpath("to-deep", NULL);
    printf("%s\n", rel(p));
    free(p);
    p = canonicalize_file_name("to-dir/deep/./..//deep");
    printf("%s\n", rel(p));
    free(p);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    symbolic();
    chain();
    hard();
    resolving();
    return 0;
}
