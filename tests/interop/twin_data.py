#!/usr/bin/python3
"""Data and attributes: every change of a file by a stock mount and by the script, all keys compared.

    twin_data.py SOCKET MOUNTPOINT TRASH(0|1) GROUP...

Database 0 is mounted at MOUNTPOINT, database 1 was formatted alike.  twin_data.sh prepares both.
"""
import ctypes
import fcntl
import os
import stat
import struct
import sys
import time

import twin
from twin import BY_FD, DEFERRED, KILLPRIV, NOFOLLOW

ME = {"uid": 1000, "gid": 1000, "groups": (1000, 2000)}
OTHER = {"uid": 1001, "gid": 1001, "groups": (1001,)}
SET_MODE, SET_UID, SET_GID, SET_ATIME, SET_MTIME, SET_ATIME_NOW, SET_MTIME_NOW, SET_FLAGS = (1 << i for i in range(8))
CHUNK = 64 << 20
KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
NOW, OMIT = "now", None
LIBC = ctypes.CDLL(None, use_errno=True)
T = None  # twin.Twins


class Ours(twin.Ours):
    """Fields that depend on what the mount just did are functions; a commit's mtime is its time."""
    def __call__(self, kind, now, **fields):
        fields = {k: v() if callable(v) else v for k, v in fields.items()}
        if kind == "WRITE":
            fields.setdefault("mtime", now)
        return super().__call__(kind, now, **fields)


def m(path):
    return os.fsencode(T.mount) + b"/" + os.fsencode(path)


def ino(path):
    return os.lstat(m(path)).st_ino


def check(rc):
    if rc:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def on_fd(path, flags, action):
    def run():
        fd = os.open(m(path), flags)
        try:
            action(fd)
        finally:
            os.close(fd)
    return run


def killpriv(kw):
    return KILLPRIV if kw.get("uid") else 0


# --- one function a call: a step on both sides
def create(path, mode=0o644, size=0, uid=0, gid=0):
    """A file with `size` bytes, step by step."""
    T.step(f"mknod {path}", lambda: os.mknod(m(path), 0o644 | stat.S_IFREG), "MKNOD", path=path, mode=twin.FILE << 12 | 0o644)
    if size:
        write(path, 0, size)
    if uid or gid:
        chown(path, uid, gid)
    if mode != 0o644:
        chmod(path, mode)


def write(path, off, size, **kw):
    inode = ino(path)

    def action(fd):
        os.pwrite(fd, b"w" * size, off)
        os.fsync(fd)

    def records():
        out, at = b"", off
        while at < off + size:
            index, pos = divmod(at, CHUNK)
            n = min(off + size - at, CHUNK - pos)
            last = T.a("LRANGE", f"c{inode}_{index}", -1, -1)
            slice_id = struct.unpack_from(">Q", last[0], 4)[0] if last else 0
            out += struct.pack(">IIQIII", index, pos, slice_id, n, 0, n)
            at += n
        return out
    return T.step(f"write {path} {off}+{size}", on_fd(path, os.O_WRONLY, action), "WRITE", base=inode, data=records,
                  flags=killpriv(kw), **kw)


def truncate(path, size, **kw):
    return T.step(f"truncate {path} {size}", lambda: os.truncate(m(path), size), "TRUNCATE", path=path, length=size,
                  flags=killpriv(kw), **kw)


def ftruncate(path, size, **kw):
    return T.step(f"ftruncate {path} {size}", on_fd(path, os.O_RDWR, lambda fd: os.ftruncate(fd, size)), "TRUNCATE",
                  base=ino(path), length=size, flags=BY_FD | killpriv(kw), **kw)


def fallocate(path, mode, off, size, how=os.O_RDWR, **kw):
    def action(fd):
        check(LIBC.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(size)))
    return T.step(f"fallocate {path} {mode} {off}+{size}", on_fd(path, how, action), "FALLOCATE", base=ino(path),
                  mode=mode, off=off, length=size, flags=killpriv(kw), **kw)


def chmod(path, mode, **kw):
    return T.step(f"chmod {path} {mode:o}", lambda: os.chmod(m(path), mode), "SETATTR", path=path, valid=SET_MODE,
                  mode=mode, **kw)


def chown(path, owner=-1, group=-1, **kw):
    valid = SET_UID * (owner >= 0) | SET_GID * (group >= 0)
    return T.step(f"chown {path} {owner} {group}", lambda: os.chown(m(path), owner, group, follow_symlinks=False),
                  "SETATTR", path=path, valid=valid, new_uid=max(owner, 0), new_gid=max(group, 0), flags=NOFOLLOW, **kw)


def utimens(path, atime, mtime, nofollow=False, **kw):
    valid, spec, ours = 0, [], []
    for t, explicit, now in ((atime, SET_ATIME, SET_ATIME_NOW), (mtime, SET_MTIME, SET_MTIME_NOW)):
        if t is OMIT:
            spec += [0, (1 << 30) - 2]
        elif t == NOW:
            spec += [0, (1 << 30) - 1]
            valid |= now
        else:
            spec += [t // 10**9, t % 10**9]
            valid |= explicit
        ours.append(t if isinstance(t, int) else 0)
    times = (ctypes.c_long * 4)(*spec)
    return T.step(f"utimens {path} {atime} {mtime}",
                  lambda: check(LIBC.utimensat(-100, m(path), times, 0x100 * nofollow)), "SETATTR", path=path,
                  valid=valid, atime=ours[0], mtime=ours[1], flags=NOFOLLOW * nofollow, **kw)


def chattr(path, flags, **kw):
    """flags: 1 immutable, 2 append-only; as the ioctl has them 0x10 and 0x20."""
    linux = (flags & 1) * 0x10 | (flags & 2) * 0x10

    def action(fd):
        fcntl.ioctl(fd, 0x40086602, struct.pack("l", linux))
    return T.step(f"chattr {path} {flags}", on_fd(path, os.O_RDONLY, action), "SETATTR", path=path, valid=SET_FLAGS,
                  mode=flags, **kw)


def setxattr(path, name, value, how=0, nofollow=False, **kw):
    return T.step(f"setxattr {path} {name} {len(value)} {how}",
                  lambda: os.setxattr(m(path), name, value, how, follow_symlinks=not nofollow), "SETXATTR", path=path,
                  path2=name, data=value, mode=how, flags=NOFOLLOW * nofollow, **kw)


def getxattr(path, name, nofollow=False, **kw):
    r = T.step(f"getxattr {path} {name}", lambda: os.getxattr(m(path), name, follow_symlinks=not nofollow), "GETXATTR",
               path=path, path2=name, flags=NOFOLLOW * nofollow, **kw)
    if r.code == 0:
        want = os.getxattr(m(path), name, follow_symlinks=not nofollow)
        T.verdict(f"value of {name}", [] if r.extra == want else [f"  stock {want!r}, ours {r.extra!r}"])


def removexattr(path, name, **kw):
    return T.step(f"removexattr {path} {name}", lambda: os.removexattr(m(path), name), "REMOVEXATTR", path=path,
                  path2=name, **kw)


def listxattr(path, **kw):
    r = T.step(f"listxattr {path}", lambda: os.listxattr(m(path)), "LISTXATTR", path=path, **kw)
    want = sorted(os.listxattr(m(path)))
    got = sorted(n.decode() for n in r.extra.split(b"\0") if n)
    T.verdict(f"names of {path}", [] if got == want else [f"  stock {want}, ours {got}"])


def copy_range(src, dst):
    with open(m(src), "rb") as a, open(m(dst), "wb") as b:
        size = os.fstat(a.fileno()).st_size
        if os.copy_file_range(a.fileno(), b.fileno(), size) != size:
            raise OSError(5, "short copy")


def link(a, b):
    T.mirror(f"link {a} {b}", lambda: os.link(m(a), m(b)))


# --- groups
def writes():
    """Commits: records, lengths, counters; hard links; privileges."""
    T.mirror("dirs", lambda: [os.makedirs(m(d)) for d in ("w/a", "w/b")])
    create("w/f")
    write("w/f", 0, 6)
    write("w/f", 6, 5000)
    write("w/f", 3, 10)
    write("w/f", 4090, 6)
    write("w/f", 100 << 20, 3)
    write("w/f", CHUNK - 3, 10)
    write("w/f", 3 * CHUNK - 1, 1)
    write("w/f", 3 * CHUNK, 4096)
    T.settle("one link")
    create("w/a/x", size=10)
    link("w/a/x", "w/a/y")
    link("w/a/x", "w/b/z")
    write("w/b/z", 10, 9000)
    write("w/a/y", 100, 5)
    truncate("w/a/x", 20000)
    truncate("w/b/z", 1)
    fallocate("w/a/x", 0, 0, 70000)
    T.settle("three links")
    T.mirror("one name less", lambda: os.unlink(m("w/a/y")))
    write("w/a/x", 70000, 70000)
    T.settle("two links")
    for mode in (0o6777, 0o4766, 0o2767, 0o2777, 0o777):
        # a member of the group: of a foreign one, a local file system takes setgid always, FUSE does not
        create(f"w/s{mode:o}", mode, 4, gid=1000)
        write(f"w/s{mode:o}", 2, 1, **ME)
    create("w/root", 0o6777, 4)
    write("w/root", 4, 4)
    T.settle("writes")


def truncates():
    """truncate and ftruncate: shrink and grow over chunks, refusals, privileges."""
    create("t", size=70000)
    for size in (1000, 1000, 200 << 20, 2 * CHUNK, 70 << 20, CHUNK, 0, 1, CHUNK + 1, 5 * CHUNK, 4 * CHUNK, 4096, 4097):
        truncate("t", size)
    for size in (10, 3 * CHUNK - 5, 10, 0):  # not the same twice: that stamps here, as on a local file system
        ftruncate("t", size)
    write("t", CHUNK - 100, 200)
    write("t", 2 * CHUNK + 5, 3)
    truncate("t", 7)
    truncate("t", 3 * CHUNK)
    T.settle("over chunks")
    T.mirror("others", lambda: (os.mkdir(m("td")), os.mkfifo(m("tf")), os.symlink("t", m("tl")), os.symlink("no", m("tn"))))
    truncate("tl", 100)
    truncate("td", 0, expect="EISDIR")
    truncate("tf", 0, expect="EINVAL")
    truncate("tn", 0, expect="ENOENT")
    truncate("t/x", 0, expect="ENOTDIR")
    truncate("t", 5, expect="EACCES", **ME)
    create("tm", 0o200, 9, uid=1000, gid=1000)
    truncate("tm", 5, **ME)
    truncate("tm", 6, expect="EACCES", **OTHER)
    for mode in (0o6777, 0o2767, 0o4766):
        create(f"ts{mode:o}", mode, 100, gid=1001)
        truncate(f"ts{mode:o}", 50, **OTHER)
        create(f"tz{mode:o}", mode, 100, gid=1001)
        ftruncate(f"tz{mode:o}", 120, **OTHER)
    create("tr", 0o6777, 100)
    truncate("tr", 0)
    T.settle("truncates")


def fallocates():
    """fallocate: every mode, at and over the end and the edges of chunks, and its refusals."""
    create("fa", size=5000)
    fallocate("fa", 0, 0, 100)
    fallocate("fa", 0, 4000, 6000)
    fallocate("fa", KEEP, 5000, 10 << 20)
    fallocate("fa", PUNCH | KEEP, 10, 20)
    fallocate("fa", PUNCH | KEEP, 9000, 100000)
    fallocate("fa", PUNCH | KEEP, 10000, 5)
    fallocate("fa", PUNCH | KEEP, 50000, 5)
    fallocate("fa", ZERO, 100, 50)
    fallocate("fa", ZERO, 9990, 1000)
    fallocate("fa", ZERO | KEEP, 10980, 1000)
    fallocate("fa", ZERO | KEEP, 12000, 1)
    fallocate("fa", 0, CHUNK - 10, 20)
    fallocate("fa", ZERO, CHUNK - 5, 3 * CHUNK)
    fallocate("fa", PUNCH | KEEP, CHUNK, CHUNK)
    fallocate("fa", PUNCH | KEEP, CHUNK + 1, 3 * CHUNK)
    fallocate("fa", PUNCH | KEEP, 0, 1 << 40)
    fallocate("fa", 0, 0, 0, expect="EINVAL")
    for mode in (PUNCH, PUNCH | ZERO | KEEP, COLLAPSE, INSERT, UNSHARE, 4, 128):
        fallocate("fa", mode, 4096, 4096, expect="ENOTSUP")
    create("fs", 0o6777, 10)
    fallocate("fs", 0, 0, 100, **ME)
    create("fk", 0o6777, 10)
    fallocate("fk", 0, 0, 100)
    T.settle("fallocates")


def modes():
    """chmod: by owner, root and others; setgid of a foreign group; types."""
    create("m", 0o600, 0, uid=1000, gid=1000)
    T.mirror("others", lambda: (os.mkdir(m("md")), os.chown(m("md"), 1000, 3000), os.symlink("m", m("ml")),
                                os.mkfifo(m("mf"))))
    for mode in (0o644, 0o644, 0, 0o7777, 0o7777, 0o1755, 0o4711, 0o2755, 0o600):
        chmod("m", mode)
        chmod("md", mode)
    for mode in (0o6755, 0o2700, 0o7777, 0o640):
        chmod("m", mode, **ME)
        chmod("md", mode, **ME)
        chmod("m", mode, expect="EPERM", **OTHER)
    chmod("ml", 0o604)
    chmod("mf", 0o4777)
    chmod("none", 0o600, expect="ENOENT")
    chmod("", 0o1755)
    chmod("", 0o777, **ME)
    T.settle("modes")


def owners():
    """chown: who may, and what it takes away."""
    n = 0
    for mode in (0o644, 0o6755, 0o6745, 0o4755, 0o2745, 0o2755, 0o7777):
        for owner, group, who in ((1000, -1, {}), (-1, 2000, {}), (5, 6, {}), (1000, 1000, {}), (-1, 2000, ME),
                                  (-1, 1000, ME), (1000, 2000, ME)):
            n += 1
            create(f"o{n}", mode, 0, uid=1000, gid=1000)
            chown(f"o{n}", owner, group, **who)
    for owner, group, who in ((1001, -1, ME), (-1, 3000, ME), (0, -1, ME), (1000, 3000, ME), (-1, 1000, OTHER),
                              (1000, -1, OTHER), (1001, 1001, OTHER)):
        chown("o1", owner, group, expect="EPERM", **who)
    T.mirror("others", lambda: (os.mkdir(m("od")), os.chown(m("od"), 1000, 1000), os.chmod(m("od"), 0o6755),
                                os.symlink("o1", m("ol")), os.mknod(m("oc"), 0o6666 | stat.S_IFCHR, os.makedev(1, 3))))
    chown("od", 1000, -1)
    chown("od", -1, 2000, **ME)
    chown("od", 3, 4)
    chown("ol", 7, 8)
    chown("oc", 7, 8)
    chown("oc", 7, 8)
    T.settle("owners")


def times():
    """utimensat: explicit, now, omitted; by owner, writer and others."""
    create("u", 0o666, 3, uid=1000, gid=1000)
    create("r", 0o644, 3)
    T.mirror("link", lambda: os.symlink("u", m("ul")))
    old, older = 10**18 + 5, 123 * 10**9
    utimens("u", old, older)
    utimens("u", old, older)
    utimens("u", OMIT, old)
    utimens("u", older, OMIT)
    utimens("u", NOW, OMIT)
    utimens("u", OMIT, NOW)
    utimens("u", NOW, NOW)
    utimens("u", old, NOW)
    utimens("u", 0, 999999999)
    utimens("u", 2**33 * 10**9 + 1, 7)
    utimens("ul", old, old, nofollow=True)
    utimens("ul", older, older)
    utimens("u", old, old, **ME)
    utimens("u", NOW, NOW, **ME)
    utimens("u", NOW, NOW, **OTHER)
    utimens("u", old, old, expect="EPERM", **OTHER)
    utimens("u", NOW, OMIT, expect="EPERM", **OTHER)
    utimens("r", NOW, NOW, expect="EACCES", **ME)
    utimens("r", old, NOW, expect="EPERM", **ME)
    utimens("", old, old)
    utimens("", NOW, NOW, **ME)
    T.settle("times")


def flags():
    """chattr, and what the flags stop that a mount knows of."""
    create("a", 0o666, 100)
    chattr("a", 2)
    chattr("a", 2)
    truncate("a", 5, expect="EPERM")
    T.mirror("append", on_fd("a", os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"more")))
    for mode in (0, KEEP, PUNCH | KEEP, ZERO):
        fallocate("a", mode, 5, 200, how=os.O_RDWR | os.O_APPEND)
    chattr("a", 0, expect="EPERM", **ME)
    chattr("a", 0)
    chattr("a", 1)
    truncate("a", 5, expect="EPERM")
    chattr("a", 0)
    fallocate("a", 0, 0, 200)
    T.settle("flags")


def xattrs():
    """Extended attributes: names, sizes, who may."""
    create("x", 0o644, 1, uid=1000, gid=1000)
    T.mirror("others", lambda: (os.mkdir(m("xd")), os.chmod(m("xd"), 0o1777), os.symlink("x", m("xl")), os.mkfifo(m("xf")),
                                os.chmod(m("xf"), 0o666)))
    setxattr("x", "user.a", b"1")
    setxattr("x", "user.a", b"22", 2)
    setxattr("x", "user.a", b"3", 1, expect="EEXIST")
    setxattr("x", "user.b", b"4", 2, expect="ENODATA")
    setxattr("x", "user.b", b"", 1)
    setxattr("x", "user.big", bytes(range(256)) * 256)
    setxattr("x", "user.big2", b"x" * 65537, expect="E2BIG")
    setxattr("x", "user." + "n" * 250, b"long")
    setxattr("x", "user." + "n" * 251, b"long", expect="ERANGE")
    setxattr("x", "", b"v", expect="ERANGE")
    setxattr("x", "trusted.t", b"root")
    setxattr("x", "trusted.t", b"no", expect="EPERM", **ME)
    getxattr("x", "user.a")
    getxattr("x", "user.b")
    getxattr("x", "user.big")
    getxattr("x", "user.none", expect="ENODATA")
    getxattr("x", "trusted.t")
    getxattr("x", "trusted.t", expect="ENODATA", **ME)
    getxattr("x", "security.capability", expect="ENODATA")
    getxattr("x", "system.posix_acl_access", expect="ENODATA")
    rule = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 4, 0xFFFFFFFF) for tag in (1, 4, 32))
    setxattr("x", "system.posix_acl_access", rule, expect="ENOTSUP")
    listxattr("x")
    listxattr("xd")
    removexattr("x", "user.a")
    removexattr("x", "user.a", expect="ENODATA")
    removexattr("x", "user.big", **ME)
    setxattr("x", "user.m", b"me", **ME)
    setxattr("x", "user.o", b"other", expect="EACCES", **OTHER)
    getxattr("x", "user.m", **OTHER)
    T.mirror("private", lambda: os.chmod(m("x"), 0o600))
    getxattr("x", "user.m", expect="EACCES", **OTHER)
    removexattr("x", "user.m", expect="EACCES", **OTHER)
    setxattr("xd", "user.d", b"sticky")
    setxattr("xd", "user.d", b"sticky", expect="EPERM", **ME)
    setxattr("xl", "user.l", b"through")
    setxattr("xl", "user.l", b"itself", nofollow=True, expect="EPERM")
    getxattr("xl", "user.l", nofollow=True, expect="ENODATA")
    setxattr("xl", "trusted.l", b"itself", nofollow=True)
    setxattr("xf", "user.f", b"fifo", expect="EPERM")
    setxattr("none", "user.a", b"1", expect="ENOENT")
    T.settle("xattrs")


def deletions():
    """What a last unlink leaves of the data: lists, references, delfiles."""
    for i in range(3):
        create(f"p{i}", size=300000)
    write("p0", CHUNK - 2, 5)
    T.mirror("share", lambda: [copy_range("p1", f"p{i}") for i in (3, 4, 5)])
    for path in ("p0", "p1", "p3", "p2", "p5", "p4"):
        size = os.stat(m(path)).st_size
        inode = ino(path)
        r = T.step(f"unlink {path}", lambda p=path: os.unlink(m(p)), "UNLINK", path=path)
        if r.rflags & DEFERRED:
            r = T.ours("PURGE", time.time_ns(), base=inode, length=size)
        T.ours("FORGET", time.time_ns(), data=r.extra)
        T.settle(f"{path} is gone")
    create("big", size=10)
    truncate("big", 70 * CHUNK)
    write("big", 66 * CHUNK, 7)
    inode = ino("big")
    if T.ours.env["trash"]:
        T.step("unlink big", lambda: os.unlink(m("big")), "UNLINK", path="big")
        return
    r = T.ours("UNLINK", time.time_ns(), path="big")
    os.unlink(m("big"))
    T.verdict("a long file is deferred", [] if r.rflags & DEFERRED else [f"  rflags {r.rflags}"])
    r = T.ours("PURGE", time.time_ns(), base=inode, length=70 * CHUNK)
    T.verdict("its slices", [] if len(r.extra) == 24 else [f"  {r.extra!r}"])
    again = T.ours("PURGE", time.time_ns(), base=inode, length=70 * CHUNK)
    T.verdict("purged again", [] if (again.code, again.extra) == (0, b"") else [f"  {again.code} {again.extra!r}"])
    T.ours("FORGET", time.time_ns(), data=r.extra)
    left = [T.b("HLEN", "sliceRef"), T.b("ZCARD", "delfiles"), T.b("KEYS", f"c{inode}_*")]
    T.verdict("nothing is left", [] if left == [0, 0, []] else [f"  {left}"])


def chunks():
    """OP_CHUNKS against the lists themselves."""
    create("c", size=100)
    write("c", CHUNK - 1, 2)
    write("c", 5 * CHUNK + 9, 9)
    inode = ino("c")
    r = T.ours("CHUNKS", 1, base=inode, off=0, length=8)
    want = b""
    for i in range(8):
        records = b"".join(T.b("LRANGE", f"c{inode}_{i}", 0, -1))
        want += struct.pack(">II", i, len(records)) + records
    T.verdict("records of 8 chunks", [] if r.extra == want else [f"  {r.extra!r}\n  {want!r}"])
    T.verdict("attr of the file", [] if r.attr and r.attr.raw == T.b("GET", f"i{inode}") else ["  differs"])


GROUPS = {f.__name__: f for f in (writes, truncates, fallocates, modes, owners, times, flags, xattrs, deletions, chunks)}


def main():
    global T
    sock, mount, with_trash = sys.argv[1:4]
    T = twin.Twins(sock, mount, trash=with_trash == "1")
    T.ours = Ours(T.b, mount, trash=with_trash == "1")
    os.mkdir(m("first"))  # a mount makes the statistics of the root when they first change
    end = time.monotonic() + 30
    while not T.a("HEXISTS", "dirUsedSpace", 1) and time.monotonic() < end:
        time.sleep(0.05)
    T.mirror("first", lambda: None)
    for name in sys.argv[4:] or GROUPS:
        GROUPS[name]()
    T.finish()


main()
