/*
 * streams_io.c - libc's streams write, read and close inside libc: printf() to a pipe calls no name
 * of ours.  They do so through a table that all streams on files share; ours is put in front of
 * three of its entries, so that what streams send and receive is seen (tell.h).
 *
 * The table (struct _IO_jump_t) lies behind the FILE that stdout points to; popen() has one of its
 * own.  An entry that is not the one libc exports by name is left alone.  Tables are read-only
 * after relocation, so their pages are opened for the moment.
 */
#include "preload/raw.h"
#include "preload/streams.h"
#include "preload/tell.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { READ_ENTRY = 14, WRITE_ENTRY = 15, CLOSE_ENTRY = 17 };

typedef ssize_t read_fn(FILE *fp, void *buf, ssize_t len);
typedef ssize_t write_fn(FILE *fp, const void *buf, ssize_t len);
typedef int close_fn(FILE *fp);

static read_fn *libc_read;
static write_fn *libc_write;
static close_fn *libc_close;

static ssize_t seen_read(FILE *fp, void *buf, ssize_t len)
{
    return heard_from(fp->_fileno, libc_read(fp, buf, len));
}

static ssize_t seen_write(FILE *fp, const void *buf, ssize_t len)
{
    tell_through(fp->_fileno);
    return libc_write(fp, buf, len);
}

/* Also those that libc opens for itself. */
static int seen_close(FILE *fp)
{
    tell_through(fp->_fileno); /* who reads the other end is told that there is no more */
    heard_forget((unsigned)fp->_fileno, (unsigned)fp->_fileno);
    return libc_close(fp);
}

static const struct {
    int entry;
    const char *name;
    void *seen;
    void **libcs;
} rows[] = {
    {READ_ENTRY, "_IO_file_read", (void *)seen_read, (void **)&libc_read},
    {WRITE_ENTRY, "_IO_file_write", (void *)seen_write, (void **)&libc_write},
    {CLOSE_ENTRY, "_IO_file_close", (void *)seen_close, (void **)&libc_close},
};
#define ROWS (sizeof(rows) / sizeof(*rows))

/* The pages of a table, and whether the loader made them read-only. */
struct pages {
    uintptr_t from, to, bytes; /* bytes of one */
    bool closed;
};

static int look(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct pages *p = ctx;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + ph->p_vaddr, to = from + ph->p_memsz;
        /* As the loader rounds: what is left on the last page stays writable. */
        if (ph->p_type == PT_GNU_RELRO && p->from >= (from & -p->bytes) &&
            p->to <= (to & -p->bytes))
            p->closed = true;
    }
    return p->closed;
}

static bool is_libcs(void **table, size_t row)
{
    return *rows[row].libcs != NULL && table[rows[row].entry] == *rows[row].libcs;
}

static void replace(void **table)
{
    uintptr_t bytes = getauxval(AT_PAGESZ), last = (uintptr_t)&table[CLOSE_ENTRY];
    struct pages p = {(uintptr_t)&table[READ_ENTRY] & -bytes, (last & -bytes) + bytes, bytes,
                      false};

    dl_iterate_phdr(look, &p);
    if (p.closed && raw_syscall3(SYS_mprotect, p.from, p.to - p.from, PROT_READ | PROT_WRITE) != 0)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (is_libcs(table, i))
            atomic_store((_Atomic(void *) *)&table[rows[i].entry], rows[i].seen);
    if (p.closed)
        raw_syscall3(SYS_mprotect, p.from, p.to - p.from, PROT_READ);
}

void streams_watch(FILE *fp)
{
    struct {
        FILE file;
        void **table;
    } *plus = (void *)fp;

    if (fp == NULL || plus->table == NULL)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (*rows[i].libcs == NULL)
            *rows[i].libcs = dlsym(RTLD_DEFAULT, rows[i].name);
    /* A cookie's, a string's or somebody else's is none of these; one seen before has ours. */
    if (is_libcs(plus->table, 0) && is_libcs(plus->table, 1))
        replace(plus->table);
}
