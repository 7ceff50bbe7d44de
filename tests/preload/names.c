/* mkdir, rmdir, unlink, rename with its flags, and which names and paths are accepted. */
#include "t.h"

static char *repeated(char c, size_t n)
{
    static char out[4][PATH_MAX + 2];
    static unsigned next;
    char *o = out[next++ % 4];
    memset(o, c, n);
    o[n] = '\0';
    return o;
}

static void making(void)
{
    SHOW(mkdir("a", 0755));
    SHOW(mkdir("a", 0755));
    SHOW(mkdir("a/", 0755));
    SHOW(mkdir("new/", 0755));
    SHOW(mkdir("a/b/c", 0755));
    SHOW(mkdir("", 0755));
    SHOW(mkdir(".", 0755));
    SHOW(mkdir("..", 0755));
    SHOW(mkdir("a/..", 0755));
    put_file("file", "x");
    SHOW(mkdir("file", 0755));
    SHOW(mkdir("file/x", 0755));
    SHOW(symlink("nowhere", "dangling"));
    SHOW(mkdir("dangling", 0755));
    SHOW(mkdir("dangling/", 0755));
    SHOW(mkdirat(AT_FDCWD, "a/b", 0700));
    show_stat("a");
    show_stat("a/b");
}

static void removing(void)
{
    int dir;

    SHOW(rmdir("a"));
    SHOW(rmdir("file"));
    SHOW(rmdir("absent"));
    SHOW(rmdir("dangling"));
    SHOW(rmdir("a/b/."));
    SHOW(rmdir("a/b/.."));
    SHOW(unlink("a"));
    SHOW(unlink("absent"));
    SHOW(unlink("file/"));
    SHOW(unlink("file/x"));
    SHOW(unlink(""));
    SHOW(unlink("dangling"));
    FD(dir, open("a", O_RDONLY));
    SHOW(unlinkat(dir, "b", 0));
    SHOW(unlinkat(dir, "b", AT_REMOVEDIR));
    SHOW(unlinkat(dir, "../file", AT_REMOVEDIR));
    SHOW(unlinkat(dir, "../file", 0));
    SHOW(unlinkat(dir, "x", 0x40000000));
    close(dir);
    SHOW(remove("a"));
    SHOW(remove("a"));
    put_file("file", "x");
    SHOW(remove("file"));
    SHOW(rmdir("new/"));
    show_dir(".");
}

static void renaming(void)
{
    int dir;

    put_file("f1", "one");
    put_file("f2", "two");
    SHOW(mkdir("d1", 0755));
    SHOW(mkdir("d2", 0755));
    SHOW(mkdir("d2/full", 0755));
    SHOW(rename("f1", "f3"));
    SHOW(rename("f1", "f3"));
    SHOW(rename("f3", "f2"));
    show_file("f2");
    SHOW(rename("f2", "f2"));
    SHOW(rename("f2", "d1"));
    SHOW(rename("d1", "f2"));
    SHOW(rename("d1", "d2"));
    SHOW(rename("d2", "d1"));
    show_dir("d1");
    SHOW(rename("d1", "d1/full/x"));
    SHOW(rename("d1", "d1/x"));
    SHOW(rename("d1/full", "."));
    SHOW(rename(".", "x"));
    SHOW(rename("d1/..", "x"));
    SHOW(rename("f2", "absent/x"));
    SHOW(rename("f2", "f2/x"));
    SHOW(rename("f2", "new/"));
    SHOW(rename("d1", "moved/"));
    SHOW(rename("moved/", "d1"));
    SHOW(rename("f2/", "x"));
    SHOW(rename("d1/full", "d3"));
    show_stat("d1");
    SHOW(rename("d3", "d1/back"));
    show_stat("d1");
    SHOW(symlink("f2", "link"));
    SHOW(rename("link", "link2"));
    show_stat("link2");
    SHOW(rename("f2", "link2"));
    show_stat("link2");
    FD(dir, open("d1", O_RDONLY));
    SHOW(renameat(AT_FDCWD, "link2", dir, "file"));
    SHOW(renameat(dir, "file", AT_FDCWD, "f2"));
    close(dir);
    /* two names of one inode: nothing happens, both stay */
    SHOW(link("f2", "f2-too"));
    SHOW(rename("f2", "f2-too"));
    show_stat("f2");
    show_dir(".");
}

static void with_flags(void)
{
    put_file("p", "p");
    put_file("q", "q");
    SHOW(renameat2(AT_FDCWD, "p", AT_FDCWD, "q", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "p", AT_FDCWD, "r", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "q", RENAME_EXCHANGE));
    show_file("r");
    show_file("q");
    SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "absent", RENAME_EXCHANGE));
    SHOW(mkdir("e", 0755));
    SHOW(mkdir("e/inner", 0755));
    SHOW(renameat2(AT_FDCWD, "r", AT_FDCWD, "e/inner", RENAME_EXCHANGE));
    show_stat("r");
    show_stat("e");
    show_file("e/inner");
    SHOW(renameat2(AT_FDCWD, "e", AT_FDCWD, "e/inner", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "q", AT_FDCWD, "r", RENAME_NOREPLACE | RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "q", AT_FDCWD, "r", 0x100));
}

/* start, many "./" and "file": a path of exactly so many bytes */
static const char *long_way(const char *start, size_t bytes)
{
    static char path[PATH_MAX + 8];
    size_t n = strlen(start), odd = (bytes - 4 - n) % 2;

    memcpy(path, start, n);
    for (size_t i = n; i < bytes - 4; i++)
        path[i] = (i - n) % 2 == 0 ? '.' : '/';
    if (odd) { /* ".//" for the last "./" */
        path[bytes - 5] = '/';
    }
    strcpy(path + bytes - 4, "file");
    return path;
}

static void lengths(void)
{
    const char *path;

    TRY(open(repeated('n', 255), O_CREAT | O_WRONLY, 0644));
    TRY(open(repeated('n', 256), O_CREAT | O_WRONLY, 0644));
    SHOW(mkdir(repeated('m', 255), 0755));
    SHOW(mkdir(repeated('m', 256), 0755));
    SHOW(access(repeated('n', 255), F_OK));
    SHOW(access(repeated('n', 256), F_OK));
    SHOW(rename(repeated('n', 255), repeated('o', 255)));
    SHOW(rename(repeated('o', 255), repeated('o', 256)));
    SHOW(symlink("x", repeated('s', 256)));
    SHOW(link(repeated('o', 255), repeated('l', 256)));
    SHOW(unlink(repeated('o', 255)));
    SHOW(rmdir(repeated('m', 255)));

    put_file("file", "long way");
    SHOW(access(long_way("", 4095), F_OK));
    SHOW(access(long_way(in_top(""), 4095), F_OK));
    TRY(open(long_way("", 4095), O_RDWR));
    SHOW(access(long_way("", 4096), F_OK));
    SHOW(access(long_way(in_top(""), 4096), F_OK));
    path = long_way("", 4096);
    TRY(open(path, O_RDONLY));
    SHOW(mkdir(path, 0755));
    SHOW(symlink(repeated('t', 4095), "long-target"));
    SHOW(symlink(repeated('t', 4096), "longer-target"));
    SHOW(symlink("", "no-target"));
    SHOW(unlink("long-target"));
}

static void bytes_of_names(void)
{
    static const char *const names[] = {"new\nline",        "tab\t",    " ",    "-rf",
                                        "\xff\xfe\x80",     "\xc3\x28", "a\\b", "\x01",
                                        "\xf0\x9f\x90\x98", "..."};
    char target[32];

    SHOW(mkdir("odd", 0755));
    SHOW(chdir("odd"));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        put_file(names[i], names[i]);
        SHOW(access(names[i], F_OK));
    }
    SHOW(symlink("\xff\n", "link"));
    show_bytes("target", target, readlink("link", target, sizeof(target)));
    show_dir(".");
    SHOW(chdir(".."));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    making();
    removing();
    renaming();
    with_flags();
    lengths();
    bytes_of_names();
    return 0;
}
