/*
 * vfs - POSIX calls as functions: the volume as a program sees it.  Joins meta (names) and store
 * (bytes); the preload translates libc's calls into these and nothing else.
 *
 * Descriptors are real (DESIGN 9): an open file of ours is a kernel descriptor on a staging file in
 * the cache directory, an open directory one on an empty skeleton directory, so dup, fork, exec,
 * poll, offsets and O_APPEND are the kernel's.  vfs_identify() finds out from the kernel alone what
 * a descriptor is; struct vfs_fd is a copy of that answer which callers may keep.
 *
 * Layer:   uses meta, store, op, format, base.  Used by preload and tools.
 * Threads: every call, from any thread.  In a forked child vfs_after_fork() comes first.
 * Errors:  >= 0 or -errno, errno itself is not touched in a way callers may rely on.  VFS_ESCAPE:
 *          the walk left the volume through `..` or a symlink; loc->native names the native path
 *          on which the caller makes the libc call instead.
 */
#ifndef JFSPRE_CORE_VFS_VFS_H
#define JFSPRE_CORE_VFS_VFS_H

#include "core/base/config.h"
#include "core/format/attr.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define VFS_ESCAPE (-4096)

struct vfs;

/* An object: a path below a directory inode; path "" is the base itself.  Relative to the volume:
 * no prefix, leading slashes ignored. */
struct vfs_loc {
    uint64_t base;
    const char *path;
    char native[PATH_MAX]; /* set with VFS_ESCAPE */
};

enum vfs_kind {
    VFS_FILE, /* descriptor on a staging file */
    VFS_DIR,  /* on a skeleton directory */
    VFS_PATH, /* O_PATH of anything that is not a directory */
};

struct vfs_fd {
    uint64_t ino;
    uint32_t slot;                   /* staging number of a VFS_FILE */
    uint32_t gen;                    /* of the slot: a reused one differs */
    uint8_t kind;                    /* enum vfs_kind */
    bool readable, writable, append; /* of a VFS_FILE */
    bool borrowed; /* came by fork or exec: somebody else may hold it and close it later */
    bool made;     /* VFS_DIR: its skeleton was made for this descriptor and goes with it */
};

/* What stat(2) needs.  attr.length and attr.mtime include data not committed yet. */
struct vfs_stat {
    uint64_t ino;
    uint64_t dev; /* makes (dev, ino) unique on this host; the same in all processes */
    struct attr attr;
};

/* --- a mounted prefix ------------------------------------------------------------------------ */

/* Makes the object from the configuration; opens no connection and no file.  -EINVAL / -ENOTSUP
 * with one line in err. */
int vfs_mount(const struct config *c, struct vfs **out, char *err, size_t errlen);
/* Connects and opens staging and store; called by every function below when needed.  0 or -errno,
 * the reason is in vfs_error(). */
int vfs_ready(struct vfs *v);
void vfs_unmount(struct vfs *v); /* commits nothing; NULL is fine */
const char *vfs_error(struct vfs *v);
const char *vfs_prefix(const struct vfs *v);
void vfs_before_fork(struct vfs *v);
void vfs_after_fork(struct vfs *v, bool in_child);
/* Descriptors of our own (socket, staging table): fills up to n, returns how many there are. */
size_t vfs_own_fds(struct vfs *v, int *fds, size_t n);
/* The program moved them out of its way: old is now at fresh (see vfs_own_fds).  */
void vfs_fd_moved(struct vfs *v, int old, int fresh);
/* The program may write to its descriptors past libc and later than it closes them (io_uring): from
 * here on their bytes are in the staging files at once, and a file's slot is not used for the next
 * one before the kernel says that nobody holds it. */
void vfs_unseen(struct vfs *v);
void vfs_set_umask(struct vfs *v,
                   mode_t mask); /* from umask(2); until then it is read from /proc */

/* --- descriptors ------------------------------------------------------------------------------ */

/* open(2) with all its flags.  Returns the descriptor; *out says what it is.  A FIFO is a
 * native one of this host: VFS_ESCAPE names it, since opening it may wait. */
int vfs_open(struct vfs *v, struct vfs_loc *loc, int flags, mode_t mode, struct vfs_fd *out);
/* Is fd one of ours?  1 and *out, or 0.  readlink of /proc/self/fd. */
int vfs_identify(struct vfs *v, int fd, struct vfs_fd *out);
/* Commits what was written through any descriptor of the inode, then closes fd natively.  A commit
 * error is returned, fd is closed all the same; so is what the store refused of the file after it
 * had been acknowledged.  With sync=close a barrier. */
int vfs_close(struct vfs *v, int fd, const struct vfs_fd *f);
/* The descriptor number is about to vanish without a close by us (dup2 over it, exec with
 * close-on-exec, close_range): commits, leaves fd open. */
int vfs_commit(struct vfs *v, int fd, const struct vfs_fd *f);
/* Closes at the end of the process.  What is borrowed is committed only when nobody else holds the
 * file: half of what its owner is writing would be published otherwise. */
int vfs_leave(struct vfs *v, int fd, const struct vfs_fd *f);
/* A barrier: every change acknowledged by the processes of this user on this host is in the store,
 * for other hosts to see.  Nothing is committed.  0 or -errno: what is pending stays so. */
int vfs_flush(struct vfs *v);
/* The same, and publishes what killed processes of this user wrote and did not commit (what it does
 * with half written files: DESIGN 9).  0 or the first -errno; *out is set in any case. */
struct vfs_synced {
    uint64_t changes; /* that were pending */
    uint64_t files;   /* published or set aside */
    uint64_t failed;
};
int vfs_sync(struct vfs *v, struct vfs_synced *out);
/* The end of the process comes: what is pending is sent by vfs_flush() alone from here on. */
bool vfs_stop(struct vfs *v); /* true: a thread of ours was ended */
/* The program took input from outside its own memory and this volume (a read from a pipe, socket or
 * terminal, a child reaped): what was cached before may be older than what it was told.  Cheap. */
void vfs_input(struct vfs *v);
bool vfs_is_pending(const struct vfs *v); /* would that send anything of this process?  A load */
int vfs_fsync(struct vfs *v, int fd, const struct vfs_fd *f);
/* The program is about to take record locks (fcntl F_SETLK, lockf): no close of ours may drop them
 * from now on.  Until vfs_close() or vfs_release(), when the kernel drops them. */
int vfs_keep_locks(struct vfs *v, const struct vfs_fd *f);
/* Before the descriptor is used in a way that is not one of the calls here, or gets another number:
 * what was written is in the staging file and its offset is right.  0 or -errno. */
int vfs_settle(struct vfs *v, const struct vfs_fd *f);
/* The staging number may have no holder any more: gives it back.  After native closes. */
void vfs_release(struct vfs *v, const struct vfs_fd *f);

/* The kernel or a program without us will touch the staging file directly: all bytes are brought in
 * and changes are looked for at every commit from now on. */
enum vfs_use {
    VFS_USE_DIRECT,    /* stdio, sendfile, splice, inherited by exec: reads and writes unseen */
    VFS_USE_MAP_READ,  /* mmap, not writable-shared */
    VFS_USE_MAP_WRITE, /* MAP_SHARED with PROT_WRITE possible */
};
int vfs_direct(struct vfs *v, int fd, const struct vfs_fd *f, enum vfs_use use);

/* off -1: at the file's offset, which moves.  rwf: RWF_* flags for preadv2/pwritev2. */
ssize_t vfs_readv(struct vfs *v, int fd, const struct vfs_fd *f, const struct iovec *iov, int n,
                  off_t off, int rwf);
ssize_t vfs_writev(struct vfs *v, int fd, const struct vfs_fd *f, const struct iovec *iov, int n,
                   off_t off, int rwf);
off_t vfs_lseek(struct vfs *v, int fd, const struct vfs_fd *f, off_t off, int whence);
int vfs_ftruncate(struct vfs *v, int fd, const struct vfs_fd *f, off_t len);
int vfs_fallocate(struct vfs *v, int fd, const struct vfs_fd *f, int mode, off_t off, off_t len);
int vfs_fstat(struct vfs *v, int fd, const struct vfs_fd *f, struct vfs_stat *out);

/* --- names ------------------------------------------------------------------------------------ */

int vfs_stat(struct vfs *v, struct vfs_loc *loc, bool nofollow, struct vfs_stat *out);
/* mode R_OK|W_OK|X_OK or F_OK; real_ids: as access(2), else effective ids. */
int vfs_access(struct vfs *v, struct vfs_loc *loc, int mode, bool nofollow, bool real_ids);
ssize_t vfs_readlink(struct vfs *v, struct vfs_loc *loc, char *out, size_t len); /* cut, no NUL */
int vfs_mkdir(struct vfs *v, struct vfs_loc *loc, mode_t mode);
int vfs_mknod(struct vfs *v, struct vfs_loc *loc, mode_t mode, dev_t dev);
int vfs_symlink(struct vfs *v, const char *target, struct vfs_loc *loc);
int vfs_link(struct vfs *v, struct vfs_loc *from, struct vfs_loc *to, bool follow);
/* linkat(/proc/self/fd/N or AT_EMPTY_PATH): gives an open file, also an O_TMPFILE one, a name. */
int vfs_link_fd(struct vfs *v, int fd, const struct vfs_fd *f, struct vfs_loc *to);
int vfs_unlink(struct vfs *v, struct vfs_loc *loc);
int vfs_rmdir(struct vfs *v, struct vfs_loc *loc);
int vfs_rename(struct vfs *v, struct vfs_loc *from, struct vfs_loc *to, unsigned flags);
int vfs_truncate(struct vfs *v, struct vfs_loc *loc, off_t len);

/* Many names in few round trips.  Each is decided alone, in this order, as by open(2) with O_CREAT
 * and O_EXCL, or by unlink(2): result is 0, -errno, or VFS_ESCAPE (its single call knows where to).
 * They return 0 or the first result that is not. */
struct vfs_name {
    uint64_t base;    /* as in struct vfs_loc */
    const char *path; /* borrowed */
    int result;
};
int vfs_create_many(struct vfs *v, struct vfs_name *names, size_t n, mode_t mode);
int vfs_unlink_many(struct vfs *v, struct vfs_name *names, size_t n);

/* Attributes: `set` is a mask of SET_* (core/op/op.h). */
struct vfs_setattr {
    uint32_t set;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct moment atime, mtime;
};
int vfs_setattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const struct vfs_setattr *s);
int vfs_fsetattr(struct vfs *v, int fd, const struct vfs_fd *f, const struct vfs_setattr *s);

/* Extended attributes; sizes and errors as getxattr(2): len 0 asks for the size. */
ssize_t vfs_getxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name, void *out,
                     size_t len);
ssize_t vfs_listxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, char *out, size_t len);
int vfs_setxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name,
                 const void *value, size_t len, int flags);
int vfs_removexattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name);

/* --- directories ------------------------------------------------------------------------------ */

struct vfs_dirent {
    uint64_t ino;
    uint8_t type; /* enum inode_type */
    const char *name;
};
struct vfs_dir; /* a listing: "." and ".." first, then the names; stable positions 0..n-1 */
int vfs_dir_open(struct vfs *v, uint64_t ino, struct vfs_dir **out); /* reads nothing yet */
/* 1 and *out (borrowed until rewind/close), 0 at the end, -errno.  Fetches pages as needed. */
int vfs_dir_at(struct vfs_dir *d, size_t pos, struct vfs_dirent *out);
void vfs_dir_rewind(struct vfs_dir *d); /* the listing is read anew */
void vfs_dir_close(struct vfs_dir *d);

/* chdir: resolves, checks, enters the skeleton directory with the native chdir. */
int vfs_chdir(struct vfs *v, struct vfs_loc *loc, uint64_t *ino);
/* fchdir */
int vfs_fchdir(struct vfs *v, int fd, const struct vfs_fd *f);
/* Inode of the kernel's current directory when it is a skeleton of ours: 1, else 0. */
int vfs_cwd_identify(struct vfs *v, uint64_t *ino);
/* Path of a directory inode from the volume's root: "" or "/a/b".  -ENOENT when it is removed. */
int vfs_dir_path(struct vfs *v, uint64_t ino, char *out, size_t len);
/* Absolute native-looking path (prefix + walked path, symlinks resolved), as realpath(3). */
int vfs_realpath(struct vfs *v, struct vfs_loc *loc, char *out, size_t len);
/* A native path that execve() may use for a file of ours, with all its data in place.  Returns a
 * close-on-exec descriptor that keeps it there: the caller's, to be closed when the exec failed. */
int vfs_exec_path(struct vfs *v, struct vfs_loc *loc, char *out, size_t len);

struct vfs_statfs {
    uint64_t block_bytes, blocks, blocks_free, files, files_free, fsid;
};
int vfs_statfs(struct vfs *v, struct vfs_statfs *out);

/* A file that this user has in use on this host (open, or left by a killed program). */
struct vfs_in_use {
    uint64_t ino, length;
    bool pending; /* it has bytes that are not in the volume yet */
    bool unnamed; /* removed, or never had a name: goes with its descriptors */
};
/* Visits them, for the command: needs neither a connection nor a mount, changes nothing.  0, also
 * when there is no staging area, or -errno. */
int vfs_in_use(const char *cache_dir, const char *uuid,
               void (*visit)(void *ctx, const struct vfs_in_use *u), void *ctx);
/* What this user's programs on this host counted of the volume (core/metrics/metrics.h).  0,
 * -ENOENT: nothing so far, or -errno. */
struct metrics_counts;
int vfs_counts(const char *cache_dir, const char *uuid, struct metrics_counts *out);

#endif
