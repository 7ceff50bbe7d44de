/*
 * op - one request to the metadata: a change or a read, in one encoding.
 *
 * The same bytes are an argument of the Lua dispatcher, an input of the LMDB engine and later an
 * entry of the log, so everything that decides the outcome is inside: who asks, when, the objects.
 * An object is named by (base inode, path): the path may be "" (the base itself), one name, or many
 * components; engines walk it with symlinks and permission checks of `cred`.
 *
 * Encoding, big-endian (lua/lib_op.lua reads the same):
 *   0 u8 version=1  1 u8 kind  2 u16 umask  4 u32 flags  8 u32 valid  12 u32 uid  16 u32 gid
 *   20 i64 now_sec  28 u32 now_nsec  32 u64 base  40 u64 base2  48 u64 ino  56 u32 mode
 *   60 u32 rdev  64 u32 new_uid  68 u32 new_gid  72 i64 atime_sec  80 u32 atime_nsec
 *   84 i64 mtime_sec  92 u32 mtime_nsec  96 u64 off  104 u64 len  112 u64 sid
 *   120 u16 n groups, n * u32;  u16 len + path;  u16 len + path2;  u32 len + data
 *
 * Layer: op; uses base.
 */
#ifndef JFSPRE_CORE_OP_OP_H
#define JFSPRE_CORE_OP_OP_H

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/format/attr.h"

#include <stdbool.h>
#include <stdint.h>

#define OP_VERSION      1
#define OP_HEADER_BYTES 120
#define OP_GROUPS_MAX   64 /* supplementary groups sent; the rest is cut, with one log line */

/*
 * Kinds.  R: only reads.  What is used beside cred, now, base and path:
 */
enum op_kind {
    OP_LOOKUP = 1, /* R. result: ino, attr, parent; a symlink's target in extra.  valid = access(2)
                      mask to check on the object (4 r, 2 w, 1 x) or 0 */
    OP_OPEN,    /* open(2): valid = 4|2 as it is opened; flags CREATE EXCL TRUNC DIRECTORY APPEND.
                   ino, mode, umask for a new file.  result: as LOOKUP; rflags CREATED;
                   extra: records of chunk 0 of a regular file */
    OP_READDIR, /* R. base (path walked): off = cursor (0 first), len = entries wanted (a hint).
                   extra: u64 next cursor (0: end), then entries: u16 namelen, name, u8 type,
                   u64 ino, u16 attrlen, attr.  Names may come twice in different pages.
                   path2 = last name of the page before */
    OP_CHUNKS, /* R. base = inode: chunk indexes off..off+len-1.  extra: for each of them u32 index,
                  u32 bytes, records; at most 256 chunks, and none after 1 MiB of records (at
                  least one: ask again for the rest).  result: attr.  BY_FD: the inode may be gone
                  already */
    OP_GETXATTR,  /* R. path2 = name; extra: value */
    OP_LISTXATTR, /* R. extra: names, each ended by NUL */
    OP_STATFS,    /* R. extra: i64 usedSpace, i64 totalInodes, i64 not 0: directories have quotas */
    OP_PATHOF,    /* R. base = directory inode.  extra: its path below the root, "/a/b" ("" for the
                     root) */
    OP_MKNOD,     /* file, fifo, device, socket: ino, mode (type<<12 | bits), umask, rdev */
    OP_MKDIR,     /* ino, mode, umask */
    OP_SYMLINK,   /* ino, data = target */
    OP_LINK,      /* object 1 gets the new name (base2, path2) */
    OP_UNLINK,    /* data: n * u64 inodes that this host holds open: their data stays (DEFERRED).
                     ino, here and for the next two: what the name is expected to be, 0: anything;
                     -ENOENT when it is another inode's by now */
    OP_RMDIR,
    OP_RENAME,      /* to (base2, path2); flags NOREPLACE EXCHANGE; data as OP_UNLINK */
    OP_SETATTR,     /* valid: SET_*; mode, new_uid, new_gid, atime, mtime */
    OP_TRUNCATE,    /* len = new length.  extra: nothing */
    OP_WRITE,       /* commit: base = inode; data = n * (u32 chunk index, 24-byte record) in order;
                       mtime; flags KILLPRIV; mode = the setuid and setgid bits to drop, 0: by
                       cred */
    OP_FALLOCATE,   /* base = inode; mode = FALLOC_FL_*; off, len */
    OP_SETXATTR,    /* path2 = name, data = value, mode = 0 | XATTR_CREATE 1 | XATTR_REPLACE 2 */
    OP_REMOVEXATTR, /* path2 = name */
    OP_PURGE,   /* delete-file-data of format 5.10: base = inode, len = its length; extra: slices
                   without a reference, n * (u64 id, u32 size), to be removed from the store */
    OP_FORGET,  /* data = n * (u64 id, u32 size): blocks are removed; HDEL sliceRef fields that
                   are negative */
    OP_MAKE,    /* a new name with all that happened to it before it was sent (create, write, chmod,
                   chown, utimens): base = directory, path = one name, ino; data = its attr
                   (ATTR_BYTES, without ACL and tier; nlink, parent and length are final), then of a
                   file its records as OP_WRITE has them, of a symlink its target.  Checked: base is a
                   directory that cred may add names to, the name is free, limits and quotas.
                   off = 1 + entries that the caller believes base to hold before, 0: do not look;
                   another number: OPR_FOREIGN, and it is done all the same.  result: no attr */
    OP_REPACK,  /* records move to a new slice, whose blocks are there: ino = its id, len = its
                   size, data = n * (u64 inode, u32 chunk index, 24-byte record, 24-byte new record
                   of the same place).  Each whose inode is a file and whose list holds exactly that
                   record is replaced where it stands; the others are left.  References of both
                   slices become exact.  extra: u32 how many were replaced, then slices without a
                   reference as OP_PURGE.  -EEXIST: sliceRef knows the new slice */
    OP_RECOUNT, /* repairs sliceRef: data = n * (u64 id, u32 size, i64 seen, i64 right): a field
                   that is still as seen (absent: 0) becomes right.  extra: u32 how many */
    OP_AHEAD,   /* R. what will be asked of names of a directory: base = it, data = n * (u8 length,
                   name), n <= 1000; or none, and len = how many, any.  extra, for each that is there,
                   at least the first 1 MiB: u16 namelen, name, u8 type, u64 ino, u16 attrlen, attr,
                   u8 has it extended attributes, u32 bytes, records of chunk 0.  result: its attr */
    OP_KINDS,
};

enum op_flag {
    OPF_NOFOLLOW = 1 << 0,  /* do not follow a symlink that is the last component of path */
    OPF_CREATE = 1 << 1,    /* OP_OPEN */
    OPF_EXCL = 1 << 2,      /* OP_OPEN */
    OPF_TRUNC = 1 << 3,     /* OP_OPEN */
    OPF_DIRECTORY = 1 << 4, /* the object must be a directory: ENOTDIR */
    OPF_APPEND = 1 << 5,    /* OP_OPEN: O_APPEND given (append-only files allow it) */
    OPF_NOREPLACE = 1 << 6, /* OP_RENAME */
    OPF_EXCHANGE = 1 << 7,  /* OP_RENAME */
    OPF_KILLPRIV = 1 << 8,  /* OP_WRITE, OP_TRUNCATE, OP_FALLOCATE: drop setuid, and setgid where
                               group-execute is set */
    OPF_BY_FD = 1 << 9, /* the caller holds the object open: no access check on it (ftruncate) */
    OPF_NOFOLLOW2 =
        1 << 10,         /* as NOFOLLOW for path2: never set today, path2 is always a new name */
    OPF_OPATH = 1 << 11, /* OP_OPEN for O_PATH: no access check on the object itself */
};

/* op.valid of OP_SETATTR; 0: chown(2) that names neither owner, which still drops setuid */
enum op_set {
    SET_MODE = 1 << 0,
    SET_UID = 1 << 1,
    SET_GID = 1 << 2,
    SET_ATIME = 1 << 3,
    SET_MTIME = 1 << 4,
    SET_ATIME_NOW = 1 << 5,
    SET_MTIME_NOW = 1 << 6,
    SET_FLAGS = 1 << 7, /* op.mode holds the whole flags byte, when SET_MODE is not set */
};

struct op_cred {
    uint32_t uid, gid; /* effective */
    uint16_t ngroups;
    const uint32_t *groups;
};

struct op_content {
    const void *bytes;
    uint32_t len;
};

struct op {
    uint8_t kind;
    uint16_t umask;
    uint32_t flags, valid;
    struct op_cred cred;
    struct moment now;
    uint64_t base, base2, ino;
    uint32_t mode, rdev;
    uint32_t new_uid, new_gid;
    struct moment atime, mtime;
    uint64_t off, len;
    uint64_t sid;             /* session that keeps unlinked files alive; 0: none */
    const char *path, *path2; /* NULL is "" */
    const void *data;
    uint32_t data_len;
    /* OP_WRITE, instead of data: all bytes of a file that has none yet, for the pack of the pending
     * group.  Only meta_call() knows it, and only where the op is acknowledged early: else the
     * answer is -EAGAIN, and the caller writes a slice. */
    const struct op_content *content;
    uint64_t
        pack; /* of a queued op: slice among its records whose size is not final; never encoded */
};

/* op_result.code beside 0 and -errno */
/* The walk left the volume: extra is the native path to use instead of path (rflags 1) or of path2
 * (rflags 2). */
#define OP_ESCAPE 1

enum op_rflag {
    OPR_CREATED = 1 << 0,
    OPR_TRASHED = 1 << 1, /* unlink, rename: the (replaced) file went to trash */
    OPR_GONE = 1 << 2, /* its last link went: inode deleted; extra: slices to remove as OP_PURGE */
    OPR_DEFERRED = 1 << 3, /* with GONE: data still there, listed in delfiles; OP_PURGE it later */
    OPR_FOREIGN = 1 << 4,  /* OP_MAKE: somebody else changed the directory */
    OPR_LINKED = 1 << 5,   /* open, with CREATED: the name came from a symlink, not from path */
};

struct op_result {
    int code; /* 0, -errno, OP_ESCAPE */
    uint32_t rflags;
    uint64_t ino;    /* the object (unlink, rename: the inode that lost a name; 0: none) */
    uint64_t parent; /* directory that holds the last component */
    bool has_attr;
    struct attr attr; /* of ino, after the change */
    struct buf extra; /* freed by op_result_free() */
};

/* What every request needs of the volume; an argument of its own before the op records.
 * Encoding: u32 flags, u64 capacity, u64 inodes, u32 skip_dir_mtime_ms, u16 len + mount. */
enum op_env_flag { ENV_TRASH = 1, ENV_DIR_STATS = 2 };
struct op_env {
    uint32_t flags;
    uint64_t capacity_bytes, inodes; /* 0: no limit */
    uint32_t skip_dir_mtime_ms;      /* 100, as a stock mount */
    const char *mount; /* the prefix: absolute symlink targets below it stay in the volume */
};

/* Appends.  A path that its u16 cannot hold makes *out fail (buf_ok()); a vfs path never does. */
void op_encode(const struct op *op, struct buf *out);
void op_env_encode(const struct op_env *env, struct buf *out);

/* Where a decoded op keeps what the encoding has in another shape. */
struct op_room {
    uint32_t groups[OP_GROUPS_MAX];
    char path[PATH_LEN_MAX + 1], path2[PATH_LEN_MAX + 1];
};
/* op.data is a view into data, groups and paths are in *room: both must outlive *out.  0, or
 * -EINVAL for another version, an unknown kind, a NUL in a path, anything missing or left over. */
int op_decode(const void *data, size_t len, struct op *out, struct op_room *room);
/* Where the record items (record.h) of an OP_WRITE, or of an OP_MAKE of a file, begin in its data;
 * data_len: it has none. */
size_t op_records(const struct op *op);
bool op_changes(const struct op *op);   /* false: it only reads */
const char *op_kind_name(uint8_t kind); /* "create" style lower-case name for logs and metrics */
void op_result_free(struct op_result *r);

#endif
