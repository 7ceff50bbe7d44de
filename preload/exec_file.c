/*
 * exec_file.c - see exec_file.h.
 */
#include "preload/exec_file.h"

#include "preload/exec_env.h"
#include "preload/log.h"
#include "preload/raw.h"
#include "preload/real.h"
#include "preload/route.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#endif

#define PHDRS_MAX  64
#define NOTE_BYTES 1024

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool parse_shebang(char *line, size_t len, struct shebang *out)
{
    char *end = memchr(line, '\n', len);
    char *p = line + 2;

    if (end == NULL) {
        end = line + len;
        /* A name that may go on behind what the kernel reads is not run. */
        char *q = p + strspn(p, " \t");
        if (len == SHEBANG_BYTES && q[strcspn(q, " \t")] == '\0')
            return false;
    }
    while (end > p && is_blank(end[-1]))
        end--;
    *end = '\0';
    p += strspn(p, " \t");
    size_t n = strcspn(p, " \t");
    if (n == 0)
        return false;
    memcpy(out->interp, p, n);
    out->interp[n] = '\0';
    p += n;
    strcpy(out->arg, p + strspn(p, " \t"));
    return true;
}

bool exec_file_script(const char *path, struct shebang *out)
{
    char line[SHEBANG_BYTES + 1];
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len;

    if (fd < 0)
        return false;
    len = REAL(pread)(fd, line, SHEBANG_BYTES, 0);
    REAL(close)(fd);
    if (len < 2 || line[0] != '#' || line[1] != '!')
        return false;
    line[len] = '\0';
    return parse_shebang(line, (size_t)len, out);
}

/* A note by the Go linker: also where such a program is dynamic, it calls the kernel itself. */
static bool is_go(int fd, const ElfW(Phdr) * ph)
{
    char note[NOTE_BYTES];
    size_t len = ph->p_filesz < sizeof(note) ? ph->p_filesz : sizeof(note);
    ssize_t got = REAL(pread)(fd, note, len, (off_t)ph->p_offset);

    for (size_t at = 0; got > 0 && at + sizeof(ElfW(Nhdr)) + 4 <= (size_t)got;) {
        ElfW(Nhdr) n;
        memcpy(&n, note + at, sizeof(n));
        if (n.n_namesz == 4 && memcmp(note + at + sizeof(n), "Go\0", 4) == 0)
            return true;
        uint64_t step = sizeof(n) + ((n.n_namesz + 3ull) & ~3ull) + ((n.n_descsz + 3ull) & ~3ull);
        at += step < NOTE_BYTES ? step : NOTE_BYTES;
    }
    return false;
}

static bool has_our_loader(int fd, const ElfW(Phdr) * ph)
{
    char name[256] = "";
    size_t len = ph->p_filesz < sizeof(name) ? ph->p_filesz : sizeof(name) - 1;

    return REAL(pread)(fd, name, len, (off_t)ph->p_offset) <= 0 ||
           strstr(name, "/ld-linux") != NULL;
}

static const char *judge_elf(int fd, const ElfW(Ehdr) * eh)
{
    ElfW(Phdr) ph[PHDRS_MAX];
    const char *why = "statically linked";
    size_t n = eh->e_phnum < PHDRS_MAX ? eh->e_phnum : PHDRS_MAX;

    if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != OUR_MACHINE)
        return "built for another machine";
    if (eh->e_phentsize != sizeof(*ph) ||
        REAL(pread)(fd, ph, n * sizeof(*ph), (off_t)eh->e_phoff) != (ssize_t)(n * sizeof(*ph)))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (ph[i].p_type == PT_INTERP)
            why = has_our_loader(fd, &ph[i]) ? NULL : "linked with another libc";
    for (size_t i = 0; i < n && why == NULL; i++)
        if (ph[i].p_type == PT_NOTE && is_go(fd, &ph[i]))
            why = "written in Go, which does not use libc for files";
    return why;
}

static const char *judge_owner(const char *path, int fd)
{
    struct stat st;

    if (REAL(fstat)(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    if (((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) ||
        ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid()))
        return "set-user-ID";
    if (getuid() != 0 && REAL(getxattr)(path, "security.capability", NULL, 0) > 0)
        return "given privileges of its own";
    return NULL;
}

static const char *judge(const char *path)
{
    ElfW(Ehdr) eh;
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return NULL;
    const char *why = judge_owner(path, fd);
    if (why == NULL && REAL(pread)(fd, &eh, sizeof(eh), 0) == (ssize_t)sizeof(eh) &&
        memcmp(eh.e_ident, ELFMAG, SELFMAG) == 0)
        why = judge_elf(fd, &eh);
    REAL(close)(fd);
    return why;
}

const char *exec_file_unseen(const char *path)
{
    struct shebang s;

    if (exec_file_script(path, &s))
        return judge(s.interp);
    return judge(path);
}

/* --- once ------------------------------------------------------------------------------------- */

#define TOLD_WORDS 512

static _Atomic uint64_t told_here[TOLD_WORDS];
static _Atomic uint64_t *_Atomic told = told_here;

void exec_file_before_fork(void)
{
    if (atomic_load(&told) != told_here)
        return;
    long at = raw_syscall6(SYS_mmap, 0, sizeof(told_here), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return;
    memcpy((void *)at, (void *)told_here, sizeof(told_here));
    atomic_store(&told, (_Atomic uint64_t *)at);
}

static bool is_first(const char *path)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (; *path != '\0'; path++)
        h = (h ^ (uint8_t)*path) * UINT64_C(1099511628211);
    uint64_t bit = UINT64_C(1) << (h >> 58);
    return (atomic_fetch_or(&atomic_load(&told)[h % TOLD_WORDS], bit) & bit) == 0;
}

void exec_file_tell(const char *path, const char *name)
{
    int saved = errno;
    const char *why = exec_file_unseen(path);

    if (why != NULL && is_first(name))
        log_line("%s: %s, cannot see %s", name, why, route_prefix());
    errno = saved;
}
