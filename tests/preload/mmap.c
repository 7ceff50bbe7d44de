/* Mapped files: what is stored through a mapping is in the file, also after the descriptor is gone.
 */
#include "t.h"

#include <sys/mman.h>

#define SIZE (5 * 1024 * 1024 + 123)

int main(int argc, char **argv)
{
    char *p, *q;
    pid_t pid;
    int fd, status;

    begin(argc, argv);
    FD(fd, open("file", O_RDWR | O_CREAT, 0644));
    SHOW(ftruncate(fd, SIZE));
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW(p == MAP_FAILED ? -1 : 0);
    for (size_t i = 0; i < SIZE; i++)
        p[i] = (char)(i * 7 + i / 4096);
    SHOW(msync(p, SIZE, MS_SYNC));
    SHOW(munmap(p, SIZE));
    SHOW(close(fd));
    show_digest("file");

    /* closed before the store, unmapped before the look */
    FD(fd, open("file", O_RDWR));
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096 * 1024);
    SHOW(close(fd));
    memcpy(p + 100, "stored after close", 18);
    SHOW(munmap(p, 8192));
    FD(fd, open("file", O_RDONLY));
    char back[18];
    SHOW(pread(fd, back, 18, 4096 * 1024 + 100));
    show_bytes("back", back, 18);
    close(fd);

    /* private: stays here */
    FD(fd, open("file", O_RDONLY));
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    SHOW(p == MAP_FAILED ? -1 : 0);
    printf("%d\n", p[0] == 0 && p[1] == 7);
    memcpy(p, "private", 7);
    SHOW(munmap(p, SIZE));
    SHOW(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    close(fd);
    show_digest("file");

    /* written and mapped at once */
    FD(fd, open("both", O_RDWR | O_CREAT, 0644));
    SHOW(write(fd, "0123456789", 10));
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    show_bytes("mapped", p, 10);
    SHOW(pwrite(fd, "AB", 2, 2));
    show_bytes("after a write", p, 10);
    p[5] = 'C';
    SHOW(pread(fd, back, 10, 0));
    show_bytes("after a store", back, 10);
    q = mremap(p, 4096, 8192, MREMAP_MAYMOVE);
    SHOW(q == MAP_FAILED ? -1 : 0);
    q[6] = 'D';
    SHOW(munmap(q, 8192));
    close(fd);
    show_file("both");

    /* shared with a child */
    FD(fd, open("both", O_RDWR));
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pid = fork();
    if (pid == 0) {
        p[0] = 'c';
        _exit(0);
    }
    waitpid(pid, &status, 0);
    SHOW(p[0]);
    SHOW(munmap(p, 4096));
    close(fd);
    show_file("both");
    return 0;
}
