/* Permissions by effective ids and groups, sticky and setgid directories, lost setuid bits. */
#include "t.h"

#include <grp.h>

#define ALICE 1001
#define BOB   1002
#define GROUP 2001
#define OTHER 2002

/* Runs the function in a child that is this user with these groups. */
static void as(const char *who, uid_t uid, gid_t gid, gid_t extra, void (*run)(void))
{
    pid_t pid;
    printf("-- %s\n", who);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (setgroups(1, &extra) != 0 || setresgid(gid, gid, gid) != 0 ||
            setresuid(uid, uid, uid) != 0)
            _exit(3);
        umask(022);
        run();
        _exit(0);
    }
    show_wait(who, pid);
}

static void touch_all(void)
{
    char buf[8];
    int fd;

    TRY(open("private", O_RDONLY));
    TRY(open("private", O_WRONLY));
    TRY(open("group", O_RDONLY));
    TRY(open("group", O_RDWR));
    TRY(open("world", O_WRONLY | O_APPEND));
    TRY(open("world", O_RDONLY | O_TRUNC));
    TRY(open("nobody", O_RDONLY));
    SHOW(access("private", R_OK));
    SHOW(access("group", W_OK));
    SHOW(access("group", X_OK));
    SHOW(eaccess("world", R_OK | W_OK));
    SHOW(faccessat(AT_FDCWD, "group", W_OK, AT_EACCESS));
    SHOW(chmod("group", 0660));
    SHOW(chown("group", getuid(), (gid_t)-1));
    SHOW(utimensat(AT_FDCWD, "world", NULL, 0));
    SHOW(utimensat(AT_FDCWD, "world", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
    SHOW(truncate("private", 0));
    SHOW(readlink("closed/link", buf, sizeof(buf)));
    TRY(open("closed/inside", O_RDONLY));
    SHOW(access("closed/absent", F_OK));
    SHOW(access("closed", F_OK));
    SHOW(chdir("closed"));
    SHOW(chdir(top));
    SHOW(mkdir("closed/new", 0755));
    TRY(open("search/inside", O_RDONLY));
    SHOW(opendir("search") == NULL ? -1 : 0);
    SHOW(opendir("listed") == NULL ? -1 : 0);
    TRY(open("listed/inside", O_RDONLY));
    FD(fd, open("search", O_PATH));
    TRY(openat(fd, "inside", O_RDONLY));
    close(fd);
}

static void in_sticky(void)
{
    char name[32];
    snprintf(name, sizeof(name), "sticky/of-%u", getuid());
    put_file(name, "mine");
    show_stat(name);
    SHOW(unlink("sticky/of-root"));
    SHOW(rename("sticky/of-root", "sticky/taken"));
    SHOW(rename(name, "sticky/of-root"));
    SHOW(unlink("sticky/of-1001"));
    SHOW(rmdir("sticky/dir"));
}

static void in_setgid(void)
{
    put_file("setgid/file", "x");
    show_stat("setgid/file");
    SHOW(mkdir("setgid/dir", 0755));
    show_stat("setgid/dir");
    TRY(open("setgid/sg", O_CREAT | O_WRONLY, 02775));
    show_stat("setgid/sg");
    SHOW(chmod("setgid/file", 02755));
    show_stat("setgid/file");
    SHOW(chown("setgid/file", (uid_t)-1, OTHER));
    SHOW(chown("setgid/file", (uid_t)-1, GROUP));
    show_stat("setgid/file");
    SHOW(unlink("setgid/file"));
    SHOW(unlink("setgid/sg"));
    SHOW(rmdir("setgid/dir"));
}

/* writing to a setuid program takes the bit away */
static void lose_bits(void)
{
    int fd;
    FD(fd, open("suid", O_WRONLY));
    SHOW(write(fd, "x", 1));
    close(fd);
    show_stat("suid");
    SHOW(truncate("suid2", 0));
    show_stat("suid2");
}

static void effective(void)
{
    pid_t pid = fork();
    if (pid == 0) { /* real root, effective bob: access() asks for the first, open for the second */
        if (setresgid(0, OTHER, 0) != 0 || setresuid(0, BOB, 0) != 0)
            _exit(3);
        SHOW(access("private", R_OK));
        SHOW(eaccess("private", R_OK));
        TRY(open("private", O_RDONLY));
        put_file("open-dir/by-effective", "x");
        show_stat("open-dir/by-effective");
        SHOW(seteuid(0));
        TRY(open("private", O_RDONLY));
        _exit(0);
    }
    show_wait("effective ids", pid);
}

static void file_of(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    put_file(name, "content");
    if (chown(name, uid, gid) != 0 || chmod(name, mode) != 0)
        printf("%s: %s\n", name, strerrorname_np(errno));
}

static void dir_of(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    if (mkdir(name, 0755) != 0 || chown(name, uid, gid) != 0 || chmod(name, mode) != 0)
        printf("%s: %s\n", name, strerrorname_np(errno));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    if (geteuid() != 0) {
        puts("skip perm: only root can become others");
        return 0;
    }
    SHOW(chmod(".", 0755));
    file_of("private", 0600, ALICE, GROUP);
    file_of("group", 0640, ALICE, GROUP);
    file_of("world", 0666, 0, 0);
    file_of("nobody", 0000, ALICE, GROUP);
    file_of("suid", 06777, 0, 0);
    file_of("suid2", 06777, 0, 0);
    dir_of("closed", 0700, ALICE, GROUP);
    dir_of("search", 0711, ALICE, GROUP);
    dir_of("listed", 0744, ALICE, GROUP);
    dir_of("sticky", 01777, 0, 0);
    dir_of("setgid", 02777, 0, GROUP);
    dir_of("open-dir", 0777, 0, 0);
    file_of("closed/inside", 0644, ALICE, GROUP);
    file_of("search/inside", 0644, ALICE, GROUP);
    file_of("listed/inside", 0644, ALICE, GROUP);
    file_of("sticky/of-root", 0644, 0, 0);
    dir_of("sticky/dir", 0777, 0, 0);
    SHOW(symlink("inside", "closed/link"));

    as("alice", ALICE, OTHER, OTHER, touch_all);
    as("bob in the group", BOB, OTHER, GROUP, touch_all);
    as("bob", BOB, OTHER, OTHER, touch_all);
    as("alice", ALICE, OTHER, OTHER, in_sticky);
    as("bob", BOB, OTHER, OTHER, in_sticky);
    show_dir("sticky");
    as("alice in the group", ALICE, OTHER, GROUP, in_setgid);
    as("bob", BOB, OTHER, OTHER, in_setgid);
    as("bob", BOB, OTHER, OTHER, lose_bits);
    effective();
    return 0;
}
