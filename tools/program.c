/*
 * program.c - reads ELF headers and #! lines; see program.h.
 */
#include "tools/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH 4 /* as the kernel follows interpreters */
#define HEADERS_MAX  256
#define NOTES_MAX    4096

#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

int program_find(const char *name, char *out, size_t cap)
{
    const char *path = getenv("PATH");
    int denied = 0;

    if (name[0] == '\0')
        return -ENOENT;
    if (strchr(name, '/') != NULL) {
        struct stat sb;
        if ((size_t)snprintf(out, cap, "%s", name) >= cap)
            return -ENAMETOOLONG;
        if (stat(out, &sb) < 0)
            return -errno;
        return S_ISREG(sb.st_mode) && access(out, X_OK) == 0 ? 0 : -EACCES;
    }
    if (path == NULL)
        path = "/bin:/usr/bin";
    for (;; path++) {
        size_t n = strcspn(path, ":");
        struct stat sb;
        int len = snprintf(out, cap, "%.*s/%s", n > 0 ? (int)n : 1, n > 0 ? path : ".", name);
        if (len > 0 && (size_t)len < cap && stat(out, &sb) == 0 && S_ISREG(sb.st_mode)) {
            if (access(out, X_OK) == 0)
                return 0;
            denied = 1;
        }
        path += n;
        if (*path == '\0')
            return denied ? -EACCES : -ENOENT;
    }
}

/* --- ELF -------------------------------------------------------------------------------------- */

struct elf {
    int fd;
    ElfW(Ehdr) head;
    ElfW(Phdr) segment[HEADERS_MAX];
    size_t segments;
};

static bool read_at(int fd, void *out, size_t len, uint64_t off)
{
    return pread(fd, out, len, (off_t)off) == (ssize_t)len;
}

/* NULL when it is an ELF file of our word size, else why it is not. */
static const char *elf_read(struct elf *e)
{
    if (!read_at(e->fd, &e->head, EI_NIDENT, 0) || memcmp(e->head.e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file";
    if (e->head.e_ident[EI_CLASS] != OUR_CLASS)
        return OUR_CLASS == ELFCLASS64 ? "it is a 32-bit program, libjfspre.so is 64-bit"
                                       : "it is a 64-bit program, libjfspre.so is 32-bit";
    if (!read_at(e->fd, &e->head, sizeof e->head, 0))
        return "its ELF header is cut short";
    e->segments = e->head.e_phnum <= HEADERS_MAX ? e->head.e_phnum : 0;
    if (e->head.e_phentsize != sizeof e->segment[0] ||
        !read_at(e->fd, e->segment, e->segments * sizeof e->segment[0], e->head.e_phoff))
        return "its program headers cannot be read";
    return NULL;
}

/* The same, and it has to be for the processor that this program is for. */
static const char *elf_read_ours(struct elf *e, struct elf *self)
{
    const char *why = elf_read(e);

    self->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self->fd < 0)
        return why;
    if (why == NULL && elf_read(self) == NULL && self->head.e_machine != e->head.e_machine)
        why = "it is made for another processor";
    return why;
}

static const ElfW(Phdr) * elf_segment(const struct elf *e, uint32_t type)
{
    for (size_t i = 0; i < e->segments; i++)
        if (e->segment[i].p_type == type)
            return &e->segment[i];
    return NULL;
}

/* The build id note of the Go linker is in every Go program, stripped ones too. */
static bool elf_is_go(const struct elf *e)
{
    char notes[NOTES_MAX];

    for (size_t i = 0; i < e->segments; i++) {
        const ElfW(Phdr) *p = &e->segment[i];
        size_t len = p->p_filesz < sizeof notes ? p->p_filesz : sizeof notes;
        if (p->p_type != PT_NOTE || !read_at(e->fd, notes, len, p->p_offset))
            continue;
        for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= len;) {
            ElfW(Nhdr) n;
            memcpy(&n, notes + at, sizeof n);
            at += sizeof n;
            if (n.n_namesz == 4 && n.n_type == 4 && at + 4 <= len &&
                memcmp(notes + at, "Go\0", 4) == 0)
                return true;
            if (n.n_namesz > len || n.n_descsz > len)
                break;
            at += ((n.n_namesz + 3) & ~3u) + ((n.n_descsz + 3) & ~3u);
        }
    }
    return false;
}

static bool elf_loader(const struct elf *e, char *out, size_t cap)
{
    const ElfW(Phdr) *p = elf_segment(e, PT_INTERP);

    if (p == NULL || p->p_filesz == 0 || p->p_filesz >= cap ||
        !read_at(e->fd, out, p->p_filesz, p->p_offset))
        return false;
    out[p->p_filesz] = '\0';
    return true;
}

/* Why it is not served, or NULL.  A program with another loader than ours (glibc's) has another
 * libc. */
static const char *unserved(const struct elf *e, const struct elf *self, char *text, size_t cap)
{
    char loader[PATH_MAX], ours[PATH_MAX];

    if (elf_segment(e, PT_INTERP) == NULL)
        return "it is statically linked, so nothing can be preloaded";
    if (!elf_loader(e, loader, sizeof loader))
        return "the name of its loader cannot be read";
    if (elf_is_go(e))
        return "it is a Go program, which calls the kernel without libc";
    const char *a = strrchr(loader, '/');
    const char *b = elf_loader(self, ours, sizeof ours) ? strrchr(ours, '/') : NULL;
    if (a == NULL || b == NULL || strcmp(a, b) == 0)
        return NULL;
    snprintf(text, cap, "it uses another libc (its loader is %.150s)", loader);
    return text;
}

static void check_elf(int fd, struct program_verdict *v)
{
    struct elf e = {.fd = fd}, self = {.fd = -1};
    char text[sizeof v->why];

    const char *why = elf_read_ours(&e, &self);
    if (why == NULL)
        why = unserved(&e, &self, text, sizeof text);
    if (self.fd >= 0)
        close(self.fd);
    v->served = why == NULL;
    if (why != NULL)
        snprintf(v->why, sizeof v->why, "%s", why);
}

/* --- privileges ------------------------------------------------------------------------------- */

static bool no_new_privileges(void)
{
    char line[128];
    int yes = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "NoNewPrivs: %d", &yes) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return yes != 0;
}

/* Does exec switch credentials?  Then the loader drops LD_PRELOAD. */
static const char *gains_privileges(int fd, const struct stat *sb)
{
    struct statvfs fs;

    if ((fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0) || no_new_privileges())
        return NULL;
    if ((sb->st_mode & S_ISUID) != 0 && sb->st_uid != getuid())
        return "it is setuid, so the loader ignores LD_PRELOAD";
    if ((sb->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && sb->st_gid != getgid())
        return "it is setgid, so the loader ignores LD_PRELOAD";
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "it has file capabilities, so the loader ignores LD_PRELOAD";
    return NULL;
}

/* --- scripts ---------------------------------------------------------------------------------- */

/* The program that the kernel starts for a #! line; of `#! /usr/bin/env NAME` it is NAME's, since
 * env only passes the preload on.  head is NUL-terminated and changed. */
static int script_interpreter(char *head, char *out, size_t cap)
{
    char *save;

    head[strcspn(head, "\n")] = '\0';
    char *prog = strtok_r(head + 2, " \t", &save);
    if (prog == NULL)
        return -ENOEXEC;
    const char *base = strrchr(prog, '/');
    if (strcmp(base != NULL ? base + 1 : prog, "env") == 0) {
        for (char *word = strtok_r(NULL, " \t", &save); word != NULL;
             word = strtok_r(NULL, " \t", &save))
            if (word[0] != '-' && strchr(word, '=') == NULL)
                return program_find(word, out, cap);
    }
    return (size_t)snprintf(out, cap, "%s", prog) < cap ? 0 : -ENAMETOOLONG;
}

static int check_file(const char *path, struct program_verdict *v, int depth)
{
    char head[256], next[PATH_MAX];
    struct stat sb;
    int rc = 0;

    v->served = false;
    v->why[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (realpath(path, v->path) == NULL)
        snprintf(v->path, sizeof v->path, "%s", path);
    ssize_t n = pread(fd, head, sizeof head - 1, 0);
    if (n < 0 || fstat(fd, &sb) < 0) {
        rc = -errno;
        goto out;
    }
    head[n] = '\0';
    if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
        const char *why = gains_privileges(fd, &sb);
        if (why != NULL)
            snprintf(v->why, sizeof v->why, "%s", why);
        else
            check_elf(fd, v);
        goto out;
    }
    /* What is neither ELF nor #! is run by /bin/sh, by execvp(3) and by shells. */
    snprintf(next, sizeof next, "/bin/sh");
    if (n >= 2 && head[0] == '#' && head[1] == '!')
        rc = script_interpreter(head, next, sizeof next);
    if (rc == 0)
        rc = depth > 0 ? check_file(next, v, depth - 1) : -ELOOP;
out:
    close(fd);
    return rc;
}

int program_check(const char *path, struct program_verdict *out)
{
    memset(out, 0, sizeof *out);
    return check_file(path, out, SCRIPT_DEPTH);
}

int program_check_library(const char *path, char *why, size_t cap)
{
    struct elf e = {.fd = open(path, O_RDONLY | O_CLOEXEC)}, self = {.fd = -1};

    if (e.fd < 0) {
        int rc = -errno;
        snprintf(why, cap, "%s", strerror(-rc));
        return rc;
    }
    const char *text = elf_read_ours(&e, &self);
    close(e.fd);
    if (self.fd >= 0)
        close(self.fd);
    if (text == NULL && e.head.e_type != ET_DYN)
        text = "it is not a shared object";
    if (text != NULL)
        snprintf(why, cap, "%s", text);
    return text != NULL ? -ENOEXEC : 0;
}
