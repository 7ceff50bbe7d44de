/*
 * streams_io.c - libc's streams write and read inside libc: printf() to a pipe calls no name of
 * ours.  They do so through a table that all streams on files share; two of its entries are put in
 * front of here, so that what streams send and receive is seen (tell.h).
 *
 * The table (struct _IO_jump_t) lies behind the FILE that stdout points to.  Nothing is touched
 * when its entries are not the ones that libc exports by name.  It is read-only after relocation,
 * so the pages are opened for the moment.
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

#define READ_ENTRY  14
#define WRITE_ENTRY 15

typedef ssize_t read_fn(FILE *fp, void *buf, ssize_t len);
typedef ssize_t write_fn(FILE *fp, const void *buf, ssize_t len);

static read_fn *libc_read;
static write_fn *libc_write;

static ssize_t seen_read(FILE *fp, void *buf, ssize_t len)
{
    return heard_from(fp->_fileno, libc_read(fp, buf, len));
}

static ssize_t seen_write(FILE *fp, const void *buf, ssize_t len)
{
    tell_through(fp->_fileno);
    return libc_write(fp, buf, len);
}

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

static void replace(void **table)
{
    uintptr_t bytes = getauxval(AT_PAGESZ), first = (uintptr_t)&table[READ_ENTRY];
    struct pages p = {first & -bytes, ((uintptr_t)&table[WRITE_ENTRY] & -bytes) + bytes, bytes,
                      false};

    dl_iterate_phdr(look, &p);
    if (p.closed && raw_syscall3(SYS_mprotect, p.from, p.to - p.from, PROT_READ | PROT_WRITE) != 0)
        return;
    atomic_store((_Atomic(void *) *)&table[READ_ENTRY], (void *)seen_read);
    atomic_store((_Atomic(void *) *)&table[WRITE_ENTRY], (void *)seen_write);
    if (p.closed)
        raw_syscall3(SYS_mprotect, p.from, p.to - p.from, PROT_READ);
}

void streams_watch(FILE *fp)
{
    struct {
        FILE file;
        void **table;
    } *plus = (void *)fp;

    if (libc_read == NULL) {
        libc_read = (read_fn *)dlsym(RTLD_DEFAULT, "_IO_file_read");
        libc_write = (write_fn *)dlsym(RTLD_DEFAULT, "_IO_file_write");
    }
    if (fp == NULL || libc_read == NULL || libc_write == NULL || plus->table == NULL ||
        plus->table[READ_ENTRY] != (void *)libc_read ||
        plus->table[WRITE_ENTRY] != (void *)libc_write)
        return;
    replace(plus->table);
}
