/* stat and its kin, access, modes, owners and times. */
#include "t.h"

#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <utime.h>

static void forms(void)
{
    struct stat st, other;
    struct statx sx;
    int fd, dir;

    put_file("file", "hello");
    SHOW(symlink("file", "link"));
    SHOW(mkdir("dir", 0750));
    SHOW(stat("file", &st));
    show_st("stat", &st);
    SHOW(stat("link", &st));
    show_st("through the link", &st);
    SHOW(lstat("link", &st));
    show_st("the link", &st);
    SHOW(stat("absent", &st));
    SHOW(stat("file/x", &st));
    SHOW(stat("", &st));
    SHOW(stat("file/", &st));
    SHOW(lstat("link/", &st));
    SHOW(stat("dir/", &st));

    FD(fd, open("file", O_RDWR));
    FD(dir, open("dir", O_RDONLY | O_DIRECTORY));
    SHOW(fstat(fd, &other));
    SHOW(stat("file", &st));
    SHOW(st.st_ino == other.st_ino && st.st_dev == other.st_dev);
    SHOW(lstat("link", &other));
    SHOW(st.st_ino == other.st_ino);
    SHOW(st.st_dev == other.st_dev);
    SHOW(fstat(-1, &st));
    SHOW(fstatat(dir, "../file", &st, 0));
    SHOW(fstatat(dir, "../link", &st, AT_SYMLINK_NOFOLLOW));
    show_st("fstatat", &st);
    SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
    show_st("empty path", &st);
    SHOW(fstatat(dir, "", &st, AT_EMPTY_PATH));
    show_st("empty path", &st);
    SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    SHOW(S_ISDIR(st.st_mode));
    SHOW(fstatat(dir, "", &st, 0));
    SHOW(fstatat(fd, "x", &st, 0));
    SHOW(fstatat(dir, "x", &st, 0x40000000));

    SHOW(statx(AT_FDCWD, "link", 0, STATX_BASIC_STATS, &sx));
    printf("statx %o links %u size %llu, all basic fields: %d\n", sx.stx_mode, sx.stx_nlink,
           (unsigned long long)sx.stx_size, (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    SHOW(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx));
    printf("kind %c\n", kind_of(sx.stx_mode));
    SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
    printf("size %llu\n", (unsigned long long)sx.stx_size);
    SHOW(statx(dir, "absent", 0, STATX_SIZE, &sx));
    SHOW(write(fd, "hello, world", 12));
    SHOW(fstat(fd, &st));
    show_st("after a write", &st);
    SHOW(stat("file", &st));
    show_st("by name, still open", &st);
    close(fd);
    close(dir);
    SHOW(stat("file", &st));
    show_st("closed", &st);
}

static void accesses(void)
{
    int dir;

    SHOW(access("file", F_OK));
    SHOW(access("file", R_OK | W_OK));
    SHOW(access("absent", F_OK));
    SHOW(access("dir", X_OK));
    SHOW(access("file/x", F_OK));
    SHOW(access("file", 64));
    SHOW(eaccess("file", R_OK));
    SHOW(euidaccess("absent", R_OK));
    FD(dir, open("dir", O_RDONLY));
    SHOW(faccessat(dir, "../file", R_OK, 0));
    SHOW(faccessat(dir, "../file", R_OK, AT_EACCESS));
    SHOW(symlink("nowhere", "dangling"));
    SHOW(faccessat(AT_FDCWD, "dangling", F_OK, 0));
    SHOW(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    close(dir);
}

static void modes(void)
{
    struct stat st;
    int fd, dir;

    SHOW(chmod("file", 0600));
    show_stat("file");
    SHOW(chmod("link", 04711));
    show_stat("file");
    show_stat("link");
    FD(fd, open("file", O_RDONLY));
    SHOW(fchmod(fd, 0444));
    show_stat("file");
    show_fstat("descriptor", fd);
    FD(dir, open("dir", O_RDONLY));
    SHOW(fchmodat(dir, "../file", 0644, 0));
    SHOW(fchmodat(AT_FDCWD, "file", 0604, AT_SYMLINK_NOFOLLOW));
    SHOW(fchmod(dir, 02775));
    show_stat("dir");
    SHOW(chmod("absent", 0600));
    SHOW(chmod("dangling", 0600));
    SHOW(fchmod(-1, 0600));
    SHOW(mkdir("dir/inherits", 0755));
    SHOW(stat("dir/inherits", &st));
    SHOW((st.st_mode & S_ISGID) != 0);
    SHOW(umask(077));
    SHOW(mkdir("dir/narrow", 0777));
    show_stat("dir/narrow");
    TRY(open("dir/narrow/file", O_CREAT | O_WRONLY, 0666));
    show_stat("dir/narrow/file");
    SHOW(umask(022));
    SHOW(mkdir("sticky", 01777));
    show_stat("sticky");
    SHOW(chmod("sticky", 01777));
    show_stat("sticky");
    close(fd);
    close(dir);

    SHOW(chown("file", (uid_t)-1, (gid_t)-1));
    SHOW(lchown("link", getuid(), getgid()));
    SHOW(fchownat(AT_FDCWD, "link", getuid(), getgid(), AT_SYMLINK_NOFOLLOW));
    SHOW(chown("absent", 0, 0));
    if (geteuid() == 0) { /* for others the answers are no news */
        SHOW(chmod("file", 06755));
        SHOW(chown("file", 1234, 4321));
        show_stat("file");
        SHOW(lchown("link", 77, 78));
        show_stat("link");
        show_stat("file");
        SHOW(chown("dir", 1, (gid_t)-1));
        show_stat("dir");
    }
}

static const char *volatile nothing; /* a null pointer that compilers do not see */

static void show_times(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        printf("%s: atime %lld.%09ld mtime %lld.%09ld\n", path, (long long)st.st_atim.tv_sec,
               st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    fflush(stdout);
}

/* 1 when the time lies within the last minute */
static int is_now(struct timespec t)
{
    return t.tv_sec >= time(NULL) - 60 && t.tv_sec <= time(NULL) + 1;
}

static void times(void)
{
    const struct timespec both[2] = {{1000000000, 123456789}, {1500000000, 1}};
    const struct timespec omit[2] = {{0, UTIME_OMIT}, {1600000000, 999999999}};
    const struct timespec now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    const struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    const struct timeval micro[2] = {{1000000001, 5}, {1500000001, 999999}};
    struct utimbuf seconds = {1000000002, 1500000002};
    struct stat st;
    int fd, dir;

    SHOW(utimensat(AT_FDCWD, "file", both, 0));
    show_times("file");
    SHOW(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW));
    show_times("link");
    SHOW(utimensat(AT_FDCWD, "link", omit, 0));
    show_times("file");
    SHOW(utimensat(AT_FDCWD, "file", now, 0));
    SHOW(stat("file", &st));
    SHOW(is_now(st.st_mtim));
    SHOW(st.st_atim.tv_sec);
    SHOW(utimensat(AT_FDCWD, "file", bad, 0));
    SHOW(utimensat(AT_FDCWD, "absent", both, 0));
    FD(fd, open("file", O_RDWR));
    SHOW(futimens(fd, both));
    show_times("file");
    SHOW(futimens(fd, NULL));
    SHOW(fstat(fd, &st));
    SHOW(is_now(st.st_mtim) && is_now(st.st_atim));
    SHOW(utimensat(fd, nothing, omit, 0));
    SHOW(utimensat(AT_FDCWD, "file", omit, 0));
    SHOW(stat("file", &st));
    SHOW(st.st_mtim.tv_sec);
    SHOW(st.st_mtim.tv_nsec);
    SHOW(utimes("file", micro));
    show_times("file");
    SHOW(lutimes("link", micro));
    show_times("link");
    SHOW(futimes(fd, micro));
    SHOW(utime("file", &seconds));
    show_times("file");
    FD(dir, open("dir", O_RDONLY));
    SHOW(futimesat(dir, "../file", micro));
    SHOW(utimensat(dir, "../file", both, 0));
    SHOW(futimens(dir, both));
    show_times("dir");

    /* A write after setting the time moves it on; data written before does not undo it at close. */
    SHOW(write(fd, "x", 1));
    SHOW(futimens(fd, both));
    close(fd);
    show_times("file");
    FD(fd, open("file", O_WRONLY));
    SHOW(write(fd, "y", 1));
    close(fd);
    SHOW(stat("file", &st));
    SHOW(is_now(st.st_mtim));
    close(dir);
    TRY(open("dir/new", O_CREAT | O_WRONLY, 0644));
    SHOW(stat("dir", &st));
    SHOW(is_now(st.st_mtim) && is_now(st.st_ctim));
}

static void filesystem(void)
{
    struct statvfs sv;
    SHOW(statvfs("file", &sv));
    SHOW(sv.f_namemax);
    SHOW(sv.f_blocks > 0 && sv.f_bfree <= sv.f_blocks);
    SHOW(statvfs("absent", &sv));
    SHOW(pathconf("dir", _PC_NAME_MAX));
    SHOW(pathconf("dir", _PC_PATH_MAX));
    SHOW(pathconf("absent", _PC_NAME_MAX));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    forms();
    accesses();
    modes();
    times();
    filesystem();
    return 0;
}
