/* Extended attributes of files, directories and descriptors. */
#include "t.h"

#include <sys/xattr.h>

static void show_list(const char *path)
{
    char buf[4096], *names[64];
    ssize_t n = listxattr(path, buf, sizeof(buf));
    size_t count = 0;

    if (n < 0) {
        printf("listxattr: %s\n", strerrorname_np(errno));
        return;
    }
    for (char *p = buf; p < buf + n; p += strlen(p) + 1)
        if (strncmp(p, "user.", 5) == 0)
            names[count++] = p;
    qsort(names, count, sizeof(*names), by_text);
    printf("%s has", path);
    for (size_t i = 0; i < count; i++)
        printf(" %s", names[i]);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char big[65537];
    char buf[256], name[300];
    int fd;

    begin(argc, argv);
    put_file("file", "x");
    SHOW(mkdir("dir", 0755));
    SHOW(symlink("file", "link"));
    SHOW(symlink("absent", "dangling"));

    SHOW(setxattr("file", "user.a", "one", 3, 0));
    SHOW(getxattr("file", "user.a", buf, sizeof(buf)));
    show_bytes("value", buf, 3);
    SHOW(getxattr("file", "user.a", NULL, 0));
    SHOW(getxattr("file", "user.a", buf, 2));
    SHOW(getxattr("file", "user.none", buf, sizeof(buf)));
    SHOW(setxattr("file", "user.a", "two", 3, XATTR_CREATE));
    SHOW(setxattr("file", "user.b", "two", 3, XATTR_REPLACE));
    SHOW(setxattr("file", "user.a", "two\0x", 5, XATTR_REPLACE));
    SHOW(setxattr("file", "user.b", "", 0, XATTR_CREATE));
    SHOW(getxattr("file", "user.a", buf, sizeof(buf)));
    show_bytes("value", buf, 5);
    SHOW(getxattr("file", "user.b", buf, sizeof(buf)));
    SHOW(setxattr("file", "user.a", "x", 1, 0x10));
    SHOW(setxattr("file", "", "x", 1, 0));
    memset(name, 'n', sizeof(name));
    memcpy(name, "user.", 5);
    name[255] = '\0';
    SHOW(setxattr("file", name, "long", 4, 0));
    name[255] = 'n';
    name[256] = '\0';
    SHOW(setxattr("file", name, "longer", 6, 0));
    SHOW(setxattr("file", "user.big", big, sizeof(big), 0));
    SHOW(setxattr("file", "nonsense.a", "x", 1, 0));
    SHOW(getxattr("file", "nonsense.a", buf, sizeof(buf)));

    SHOW(setxattr("link", "user.through", "l", 1, 0));
    SHOW(getxattr("file", "user.through", buf, sizeof(buf)));
    SHOW(lgetxattr("link", "user.through", buf, sizeof(buf)));
    SHOW(setxattr("dangling", "user.x", "x", 1, 0));
    SHOW(getxattr("absent", "user.x", buf, sizeof(buf)));
    SHOW(setxattr("dir", "user.d", "dir", 3, 0));
    SHOW(lgetxattr("dir", "user.d", buf, sizeof(buf)));
    show_list("file");
    show_list("dir");
    SHOW(listxattr("absent", NULL, 0));
    SHOW(listxattr("file", buf, 1));

    FD(fd, open("file", O_RDWR));
    SHOW(fsetxattr(fd, "user.fd", "f", 1, 0));
    SHOW(fgetxattr(fd, "user.fd", buf, sizeof(buf)));
    SHOW(fremovexattr(fd, "user.fd"));
    SHOW(fgetxattr(fd, "user.fd", buf, sizeof(buf)));
    SHOW(flistxattr(fd, NULL, 0) > 0);
    close(fd);
    SHOW(removexattr("file", "user.a"));
    SHOW(removexattr("file", "user.a"));
    SHOW(lremovexattr("file", "user.b"));
    show_list("file");
    SHOW(rename("file", "renamed"));
    show_list("renamed");
    SHOW(unlink("renamed"));
    put_file("renamed", "new");
    show_list("renamed");
    return 0;
}
