/*
 * wrap_mmap.c - mappings.  They are the kernel's, of the staging file, which first gets all bytes.
 *
 * Allocators map memory before anything is set up and while they hold their locks: an anonymous
 * mapping goes to libc without a look.  A mapping that may be written and shared is remembered
 * (maps.h).
 */
#include "preload/maps.h"
#include "preload/preload.h"

#include <stdarg.h>
#include <sys/mman.h>

SLOW void *mmap_ours(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    struct vfs_fd f;
    struct call c;
    void *at = MAP_FAILED;

    if (guard_inside() || !fdtab_get(fd, &f) || f.kind != VFS_FILE)
        return REAL(mmap)(addr, len, prot, flags, fd, off);
    /* mprotect may add PROT_WRITE later. */
    bool writes = shared && f.writable;
    call_begin(&c);
    long rc = c.err;
    if (rc == 0)
        rc = vfs_direct(c.v, fd, &f, writes ? VFS_USE_MAP_WRITE : VFS_USE_MAP_READ);
    if (rc == 0) {
        at = REAL(mmap)(addr, len, prot, flags, fd, off);
        rc = at == MAP_FAILED ? -errno : 0;
    }
    if (rc == 0 && writes && !maps_add(at, len, &f)) {
        REAL(munmap)(at, len);
        rc = -ENOMEM;
    }
    call_end(&c);
    return rc < 0 ? (to_libc(rc), MAP_FAILED) : at;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
    if ((flags & MAP_ANONYMOUS) != 0)
        return REAL(mmap)(addr, len, prot, flags, fd, off);
    if (!fdtab_may(fd)) {
        /* From here on stores tell whoever maps it too. */
        if ((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE) != 0)
            tell_others();
        return REAL(mmap)(addr, len, prot, flags, fd, off);
    }
    return ROOM(mmap_ours, addr, len, prot, flags, fd, off);
}

SLOW int munmap_ours(void *addr, size_t len)
{
    struct call c;
    int rc = REAL(munmap)(addr, len);

    if (rc != 0 || guard_inside())
        return rc;
    call_begin(&c);
    if (c.v != NULL)
        maps_remove(c.v, addr, len);
    call_end(&c);
    return 0;
}

EXPORT int munmap(void *addr, size_t len)
{
    if (atomic_load_explicit(&maps_count, memory_order_relaxed) == 0)
        return REAL(munmap)(addr, len);
    return ROOM(munmap_ours, addr, len);
}

EXPORT void *mremap(void *addr, size_t old_len, size_t len, int flags, ...)
{
    struct guard g;
    va_list ap;

    va_start(ap, flags);
    void *to = va_arg(ap, void *);
    va_end(ap);
    void *at = REAL(mremap)(addr, old_len, len, flags, to);
    if (atomic_load_explicit(&maps_count, memory_order_relaxed) == 0 || at == MAP_FAILED)
        return at;
    guard_enter(&g);
    maps_move(addr, old_len, at, len);
    guard_leave(&g);
    return at;
}

SLOW int msync_ours(void *addr, size_t len, int flags)
{
    int rc = REAL(msync)(addr, len, flags);
    struct call c;

    if (rc != 0 || (flags & MS_SYNC) == 0 || guard_inside() ||
        atomic_load_explicit(&maps_count, memory_order_relaxed) == 0)
        return rc;
    call_begin(&c);
    long err = c.err != 0 ? c.err : maps_commit(c.v, addr, len);
    call_end(&c);
    return (int)to_libc(err);
}

EXPORT int msync(void *addr, size_t len, int flags)
{
    return ROOM(msync_ours, addr, len, flags);
}
