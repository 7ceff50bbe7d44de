/* The fopen family: modes, positions, freopen, tmpfile, what is buffered at exit. */
#include "t.h"

static void close_all(FILE *f)
{
    if (f != NULL)
        SHOW(fclose(f));
}

/* opens, says whether it could, closes */
static void mode(const char *path, const char *how)
{
    FILE *f;
    errno = 0;
    f = fopen(path, how);
    printf("fopen(%s, %s): %s\n", rel(path), how, f != NULL ? "open" : strerrorname_np(errno));
    if (f != NULL)
        fclose(f);
    fflush(stdout);
}

static void modes(void)
{
    mode("absent", "r");
    mode("absent", "r+");
    mode("file", "w");
    mode("file", "wx");
    mode("file", "r");
    mode("new", "wx");
    mode("app", "a");
    mode("app", "a+");
    mode("file", "re");
    mode("file", "z");
    mode("dir/x", "w");
    SHOW(mkdir("dir", 0755));
    mode("dir", "r");
    mode("dir", "w");
    mode("", "r");
    show_stat("new");
}

static void reading_and_writing(void)
{
    char line[64], *p = NULL;
    size_t cap = 0;
    FILE *f = fopen("file", "w+");

    SHOW(fprintf(f, "first %d\nsecond\nthird", 1));
    SHOW(ftell(f));
    SHOW(fseek(f, 6, SEEK_SET));
    SHOW(fgetc(f));
    SHOW(ungetc('Z', f));
    printf("%s", fgets(line, sizeof(line), f));
    SHOW(fseek(f, 0, SEEK_END));
    SHOW(fputs("!\n", f));
    SHOW(fflush(f));
    show_stat("file");
    rewind(f);
    SHOW(getline(&p, &cap, f));
    SHOW(getline(&p, &cap, f));
    SHOW(getline(&p, &cap, f));
    SHOW(getline(&p, &cap, f));
    SHOW(feof(f) != 0);
    SHOW(ferror(f));
    free(p);
    close_all(f);
    show_file("file");

    f = fopen("file", "a+");
    SHOW(fputs("appended\n", f));
    SHOW(fseek(f, 0, SEEK_SET));
    SHOW(fgetc(f));
    SHOW(fputs("at the end all the same\n", f));
    close_all(f);
    show_file("file");

    f = fopen("file", "r+");
    SHOW(fputs("FIRST", f));
    SHOW(fseek(f, -5, SEEK_END));
    SHOW(fwrite("SAME", 1, 4, f));
    close_all(f);
    show_file("file");
    f = fopen("file", "r");
    SHOW(fputs("x", f));
    SHOW(ferror(f) != 0);
    close_all(f);
}

static void large(void)
{
    static char block[10000];
    struct stat st;
    FILE *f = fopen("large", "w");

    for (int i = 0; i < 700; i++) { /* 7 MB: over a block */
        memset(block, 'a' + i % 26, sizeof(block));
        if (fwrite(block, 1, sizeof(block), f) != sizeof(block))
            printf("short write at %d\n", i);
    }
    SHOW(fstat(fileno(f), &st));
    close_all(f);
    show_digest("large");
    f = fopen("large", "r");
    SHOW(setvbuf(f, NULL, _IOFBF, 65536));
    SHOW(fseek(f, 4194300, SEEK_SET));
    SHOW(fread(block, 1, 8, f));
    show_bytes("across a block", block, 8);
    close_all(f);
    f = fopen("large", "r+");
    SHOW(fseek(f, 4194302, SEEK_SET));
    SHOW(fputs("1234", f));
    SHOW(fflush(f));
    SHOW(ftruncate(fileno(f), 5000000));
    close_all(f);
    show_digest("large");
}

static void descriptors(void)
{
    FILE *f;
    int fd;

    FD(fd, open("by-fd", O_RDWR | O_CREAT, 0644));
    f = fdopen(fd, "w");
    SHOW(fileno(f) == fd);
    SHOW(fputs("through a stream\n", f));
    close_all(f);
    SHOW(close(fd));
    show_file("by-fd");
    SHOW(fdopen(-1, "r") == NULL ? -1 : 0);
    FD(fd, open("by-fd", O_RDONLY));
    SHOW(fdopen(fd, "w") == NULL ? -1 : 0);
    close(fd);

    f = fopen("by-fd", "r");
    f = freopen("other", "w", f);
    SHOW(fputs("reopened\n", f));
    f = freopen("by-fd", "r", f);
    SHOW(fgetc(f));
    show_file("other");
    SHOW(freopen("absent", "r", f) == NULL ? -1 : 0);

    f = tmpfile();
    SHOW(fputs("temporary", f));
    rewind(f);
    SHOW(fgetc(f));
    close_all(f);

    SHOW(remove("other"));
    SHOW(rename("by-fd", "renamed"));
    show_dir(".");
}

/* stdout sent to a file of the directory, from here and from a child */
static void redirected(void)
{
    int saved;
    pid_t pid;

    fflush(stdout);
    saved = dup(1);
    if (freopen("stdout", "w", stdout) == NULL)
        return;
    printf("into the file\n");
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        printf("from the child, left in the buffer\n");
        exit(0);
    }
    waitpid(pid, NULL, 0);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    show_file("stdout");
}

/* what a program leaves in a buffer when it ends is written */
static void unflushed(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        FILE *f = fopen("left", "w");
        fputs("by exit", f);
        exit(0);
    }
    show_wait("exit", pid);
    show_file("left");
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        FILE *f = fopen("lost", "w");
        fputs("not by _exit", f);
        _exit(0);
    }
    show_wait("_exit", pid);
    show_file("lost");
    pid = fork();
    if (pid == 0) { /* written, never closed */
        int fd = open("unclosed", O_WRONLY | O_CREAT, 0644);
        _exit(write(fd, "written", 7) == 7 ? 0 : 1);
    }
    show_wait("_exit", pid);
    show_file("unclosed");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    modes();
    reading_and_writing();
    large();
    descriptors();
    redirected();
    unflushed();
    return 0;
}
