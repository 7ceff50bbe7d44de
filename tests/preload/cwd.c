/* The current directory: chdir, fchdir, getcwd, moved and removed ones, leaving and coming back. */
#include "t.h"

static void where(void)
{
    char buf[PATH_MAX];
    printf("cwd %s\n", rel(getcwd(buf, sizeof(buf))));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char buf[PATH_MAX], *p;
    struct stat st, here;
    int fd, native;

    begin(argc, argv);
    where();
    SHOW(mkdir("a", 0755));
    SHOW(mkdir("a/b", 0755));
    SHOW(symlink("a/b", "link"));
    put_file("file", "x");
    SHOW(chdir("a"));
    where();
    SHOW(chdir("b"));
    where();
    SHOW(chdir("../.."));
    where();
    SHOW(chdir("link"));
    where();
    SHOW(chdir(".."));
    where();
    SHOW(chdir("absent"));
    SHOW(chdir("../file"));
    SHOW(chdir(""));
    SHOW(chdir("."));
    where();
    SHOW(stat(".", &st));
    SHOW(stat("../a", &here));
    SHOW(st.st_ino == here.st_ino && st.st_dev == here.st_dev);
    put_file("rel", "relative");
    show_file(in_top("a/rel"));
    SHOW(unlink("./rel"));

    FD(fd, open("b", O_RDONLY | O_DIRECTORY));
    SHOW(fchdir(fd));
    where();
    close(fd);
    FD(fd, open("../../file", O_RDONLY));
    SHOW(fchdir(fd));
    close(fd);
    SHOW(fchdir(-1));
    SHOW(getcwd(buf, 3) == NULL ? -1 : 0);
    p = getcwd(NULL, 0);
    printf("%s\n", rel(p));
    free(p);
    p = get_current_dir_name();
    printf("%s\n", rel(p));
    free(p);

    /* out of it and back: everything relative is native meanwhile */
    FD(fd, open(".", O_RDONLY | O_DIRECTORY));
    SHOW(chdir("/"));
    printf("cwd %s\n", getcwd(buf, sizeof(buf)));
    SHOW(access("etc/passwd", F_OK));
    SHOW(access(in_top("file"), F_OK));
    FD(native, open("etc", O_RDONLY | O_DIRECTORY));
    SHOW(fchdir(fd));
    where();
    SHOW(fchdir(native));
    printf("cwd %s\n", getcwd(buf, sizeof(buf)));
    SHOW(access("passwd", F_OK));
    close(native);
    SHOW(fchdir(fd));
    close(fd);
    SHOW(chdir(top));
    SHOW(chdir(".."));
    SHOW(access(strrchr(top, '/') + 1, F_OK));
    SHOW(chdir(top));
    where();

    /* moved away while we are in it */
    SHOW(chdir("a/b"));
    SHOW(rename("../../a", "../../moved"));
    where();
    put_file("after", "moved");
    show_file(in_top("moved/b/after"));
    SHOW(unlink("after"));

    /* removed while we are in it */
    SHOW(rmdir("../b"));
    SHOW(getcwd(buf, sizeof(buf)) == NULL ? -1 : 0);
    TRY(open("x", O_CREAT | O_WRONLY, 0644));
    TRY(open(".", O_RDONLY));
    SHOW(stat(".", &st));
    SHOW(st.st_nlink);
    SHOW(mkdir("y", 0755));
    SHOW(chdir(".."));
    where();
    SHOW(chdir(top));
    show_dir(".");

    /* long and deep */
    memset(buf, 'd', 200);
    buf[200] = '\0';
    for (int i = 0; i < 15; i++)
        if (mkdir(buf, 0755) != 0 || chdir(buf) != 0)
            printf("level %d: %s\n", i, strerrorname_np(errno));
    p = getcwd(NULL, 0);
    printf("%zu bytes deep\n", p != NULL ? strlen(p) - strlen(top) : 0);
    free(p);
    put_file("deep", "down here");
    show_file("deep");
    for (int i = 0; i < 15; i++)
        if (chdir("..") != 0)
            printf("up %d: %s\n", i, strerrorname_np(errno));
    where();
    return 0;
}
