#!/usr/bin/python3
"""Names: every change of a directory by a stock mount and by the script, all keys compared.

    twin_names.py SOCKET MOUNTPOINT TRASH(0|1) GROUP...

Database 0 is mounted at MOUNTPOINT, database 1 was formatted alike.  twin_names.sh prepares both.
"""
import os
import random
import stat
import struct
import sys

import twin
from twin import CREATE, NOFOLLOW, FILE, FIFO, BLOCKDEV, CHARDEV, SOCKET
from twin_steps import (T, m, say, mkdir, mknod, symlink, link, unlink, rmdir, rename, open_, access, lookup,
                        write, ino, held)
ME = {"uid": 1000, "gid": 1000, "groups": (1000, 2000)}
OTHER = {"uid": 1001, "gid": 1001, "groups": (1001,)}


def make():
    """create, mkdir, symlink, mknod: modes, owners, inheritance, the last component."""
    mkdir("d")
    mkdir("d/sub/", 0o7777)
    mkdir("d", expect="EEXIST")
    mkdir("d/sub/.", expect="EEXIST")
    mkdir("d/..", expect="EEXIST")
    mkdir("", expect="EEXIST")
    mkdir("no/x", expect="ENOENT")
    mkdir(b"d/" + b"n" * 255)
    mkdir(b"d/" + b"n" * 256, expect="ENAMETOOLONG")
    mknod("f", 0o666, umask=0o077)
    mknod("f", expect="EEXIST")
    mknod("f/", expect="EEXIST")
    mknod("nope/", expect="ENOENT")
    mknod("f/x", expect="ENOTDIR")
    mknod(b"d/\xff\n\x01", 0o7777)
    mknod("d/fifo", 0o640, FIFO)
    mknod("d/sock", 0o600, SOCKET)
    mknod("d/chr", 0o600, CHARDEV, os.makedev(300, 70000))
    mknod("d/blk", 0o600, BLOCKDEV, os.makedev(7, 3))
    mkdir("me", 0o777, umask=0)
    mknod("me/fifo", 0o644, FIFO, **ME)
    mknod("me/chr", 0o644, CHARDEV, os.makedev(1, 3), expect="EPERM", **ME)
    mknod("me/white", 0o644, CHARDEV, 0, **ME)
    mknod("d/mine", expect="EACCES", **ME)
    mkdir("d/mine", expect="EACCES", **ME)
    mkdir("d/sub", expect="EEXIST", **ME)
    symlink("../f", "d/link")
    symlink("x" * 4095, "long")
    symlink("x", "d/link", expect="EEXIST")
    symlink("x", "nope/", expect="ENOENT")
    symlink("gone", "dangling", **ME)
    mkdir("dangling", expect="EEXIST")
    mknod("dangling", expect="EEXIST")
    # setgid directories: group and bit are inherited, a foreign group loses the bit on files
    T.mirror("setgid dir", lambda: (os.mkdir(m("g")), os.chown(m("g"), 0, 2000), os.chmod(m("g"), 0o2777)))
    mknod("g/in", 0o2755, **ME)
    mknod("g/out", 0o2755, **OTHER)
    mknod("g/noexec", 0o2744, **OTHER)
    mknod("g/umask", 0o2775, umask=0o077, **OTHER)
    mknod("g/root", 0o2755)
    mkdir("g/sub", **OTHER)
    symlink("x", "g/link", **OTHER)
    mknod("me/sgid", 0o6755, **ME)
    mkdir("me/noexec", 0o666, **ME)
    mknod("me/noexec/x", expect="EACCES", **ME)
    T.settle("make")


def opens():
    """open(2): creation, symlinks, every refusal."""
    creat, excl = os.O_CREAT | os.O_WRONLY, os.O_CREAT | os.O_EXCL | os.O_WRONLY
    open_("o", creat, 0o640)
    open_("o", creat)
    open_("o", excl, expect="EEXIST")
    open_("x", excl, 0o7777, umask=0)
    open_("nope", expect="ENOENT")
    open_("nope/", creat, expect="EISDIR")
    open_("o/", creat, expect="EISDIR")
    open_("o/", expect="ENOTDIR")
    open_("o/..", expect="ENOTDIR")
    open_("", expect="OK")
    open_(".", creat, expect="EISDIR")
    open_(".", excl, expect="EEXIST")
    open_("od/..", excl, expect="ENOENT")
    mkdir("od")
    open_("od", os.O_WRONLY, expect="EISDIR")
    open_("od", os.O_RDONLY | os.O_TRUNC, expect="EISDIR")
    open_("od", creat, expect="EISDIR")
    open_("od", os.O_CREAT, expect="EISDIR")
    open_("od/", os.O_DIRECTORY)
    open_("o", os.O_DIRECTORY, expect="ENOTDIR")
    symlink("o", "ol")
    symlink("od/made", "odl")
    symlink("od", "dl")
    symlink("loop2", "loop1")
    symlink("loop1", "loop2")
    open_("ol")
    open_("ol", os.O_NOFOLLOW, expect="ELOOP")
    open_("ol", os.O_NOFOLLOW | os.O_PATH)
    open_("ol/", expect="ENOTDIR")
    open_("dl/", os.O_NOFOLLOW)
    open_("dl", os.O_NOFOLLOW | os.O_DIRECTORY, expect="ENOTDIR")
    open_("odl", expect="ENOENT")
    open_("odl", excl, expect="EEXIST")
    open_("odl", os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY, expect="ELOOP")
    open_("odl", creat, 0o604)
    open_("loop1", expect="ELOOP")
    open_("loop1", creat, expect="ELOOP")
    open_("loop1", os.O_PATH | os.O_NOFOLLOW)
    open_("loop1/x", expect="ELOOP")
    open_("dl/deep", creat)
    open_("od/none/x", creat, expect="ENOENT")
    # permissions
    open_("o", os.O_RDONLY, expect="EACCES", **ME)
    open_("o", os.O_RDONLY | os.O_PATH, **ME)
    open_("x", os.O_RDWR, **ME)
    open_("od/new", creat, expect="EACCES", **ME)
    mkdir("ow", 0o777, umask=0)
    open_("ow/new", os.O_CREAT | os.O_RDWR, 0o000, **ME)
    open_("ow/new", os.O_CREAT | os.O_RDWR, expect="EACCES", **ME)
    open_("ow/new", os.O_RDWR)
    mkdir("closed", 0o700)
    open_("closed/x", creat, expect="EACCES", **ME)
    open_("closed/.", expect="EACCES", **ME)
    open_("closed", expect="EACCES", **ME)
    open_("closed", os.O_PATH, **ME)
    access("o", os.R_OK, expect="EACCES", **ME)
    access("x", os.R_OK | os.W_OK | os.X_OK, **ME)
    access("o", os.X_OK, expect="EACCES")
    access("x", os.X_OK)
    access("closed", os.X_OK)
    access("closed", os.X_OK, expect="EACCES", **ME)
    # truncation
    write("t", 5000)
    open_("t", os.O_RDONLY | os.O_TRUNC, expect="EACCES", **ME)
    open_("t", os.O_WRONLY | os.O_TRUNC)  # of an empty file it stamps, as on a local file system; stock does not
    T.settle("open")


def walks():
    """Walks: errno of stat on many odd paths, and the same answers inode by inode."""
    T.mirror("tree", lambda: [
        os.makedirs(m("w/a/b/c")), os.mkdir(m("w/p")), os.mkdir(m("w/p/q")), os.close(os.open(m("w/a/f"), os.O_CREAT, 0o644)),
        os.symlink("a", m("w/la")), os.symlink("../a/b/", m("w/p/lb")), os.symlink(m("w/a/b"), m("w/abs")),
        os.symlink(m("").rstrip(b"/"), m("w/top")), os.symlink("..", m("w/up")), os.symlink("f", m("w/a/lf")),
        os.symlink("f/", m("w/a/lfs")), os.symlink("nowhere", m("w/dang")), os.symlink(".", m("w/dot")),
        os.chmod(m("w/p"), 0o711), os.chmod(m("w/p/q"), 0o600)])
    T.mirror("chain", lambda: [os.symlink("a" if i == 0 else f"chain{i - 1}", m(f"w/chain{i}")) for i in range(45)])
    paths = ["w", "w/", "w//a", "./w/./a", "w/a/..", "w/a/../a", "w/a/b/../../p", "w/la", "w/la/", "w/la/b", "w/p/lb",
             "w/p/lb/c", "w/p/lb/../f", "w/abs", "w/abs/c", "w/abs/..", "w/top", "w/top/w/a", "w/top/", "w/up", "w/up/w",
             "w/a/lf", "w/a/lf/", "w/a/lfs", "w/a/f/", "w/a/f/.", "w/a/f/..", "w/a/f/x", "w/dang", "w/dang/", "w/dang/x",
             "w/dot/dot/a", "w/nope", "w/nope/x", "w/nope/..", "w/" + "n" * 255, "w/" + "n" * 256, "w/" + "n" * 256 + "/x",
             "w/a/b/c/../../../la/b", "w/chain39", "w/chain40", "w/chain44", "w/chain38/b", "///w", ".", "",
             "w/" + "./" * 1800 + "a", "w/p/q", "w/p/q/", "w/p/q/.", "w/p/q/x", "w/p/", ".trash", ".trash/"]
    for who in ({}, ME):
        for path in paths:
            for nofollow in (False, True):
                compare_stat(path, nofollow, who)
    T.verdict("path of 4095 bytes", [] if T.ours("LOOKUP", 1, path="w/" + "./" * 2046 + "a").error() == "OK" else ["refused"])
    T.verdict("path of 4096 bytes", [] if T.ours("LOOKUP", 1, path="w/" + "./" * 2046 + "/a").error() == "ENAMETOOLONG" else ["taken"])
    escapes()


def compare_stat(path, nofollow, who):
    found = {}

    def action():
        st = (os.lstat if nofollow else os.stat)(m(path))
        os.write(w, f"{st.st_ino} {st.st_mode:o} {st.st_nlink} {st.st_uid} {st.st_gid} {st.st_size}".encode())
    r, w = os.pipe()
    error = twin.as_user(who.get("uid", 0), who.get("gid", 0), who.get("groups", ()), 0o022, action)
    os.close(w)
    found["stock"] = os.read(r, 1000).decode() if error == "OK" else error
    os.close(r)
    result = T.ours("LOOKUP", 1, path=path, flags=NOFOLLOW * nofollow, **who)
    if result.error() == "OK":
        a = result.attr
        fmt = {1: stat.S_IFREG, 2: stat.S_IFDIR, 3: stat.S_IFLNK}[a.type]
        found["ours"] = f"{result.ino} {fmt | a.mode:o} {a.nlink} {a.uid} {a.gid} {a.length}"
    else:
        found["ours"] = result.error()
    if path.startswith(".trash"):  # stock shows a size of its own
        found = {k: v.rsplit(" ", 1)[0] for k, v in found.items()}
    name = say("walk", path or '""', "nofollow" if nofollow else "", "user" if who else "")
    T.verdict(name, [] if found["stock"] == found["ours"] else [f"  {found}"])


def escapes():
    """What leaves the volume is answered with the native path."""
    T.mirror("links out", lambda: (os.symlink("/usr/lib", m("w/out")), os.symlink("../../..", m("w/a/far"))))
    mount = T.mount
    for path, want in (("..", f"{mount}/.."), ("../", f"{mount}/../"), ("../x/y", f"{mount}/../x/y"),
                       ("w/../../x", f"{mount}/../x"), ("w/out", "/usr/lib"), ("w/out/", "/usr/lib/"),
                       ("w/out/a/../b", "/usr/lib/a/../b"), ("w/a/far/t", f"{mount}/../t"), ("w/a/far", f"{mount}/..")):
        r = T.ours("LOOKUP", 1, path=path)
        T.verdict(f"escape {path}", [] if (r.code, r.extra) == (1, want.encode()) else [f"  {r.code} {r.extra}"])
    r = T.ours("RENAME", 1, path="w/a", path2="w/out/x")
    T.verdict("escape of path2", [] if (r.code, r.rflags, r.extra) == (1, 2, b"/usr/lib/x") else [f"  {r.code} {r.rflags} {r.extra}"])
    r = T.ours("LOOKUP", 1, path="w/out", flags=NOFOLLOW)
    T.verdict("a link out is not followed", [] if (r.code, r.extra) == (0, b"/usr/lib") else [f"  {r.code} {r.extra}"])


def links():
    """link(2) and what it leaves in Parent and p{ino}."""
    mkdir("l")
    mkdir("l2")
    mknod("l/a")
    unlink("l/a")
    write("l/f", 10000)
    link("l/f", "l/g")
    link("l/f", "l2/h")
    link("l2/h", "l2/i")
    link("l/f", "l/g", expect="EEXIST")
    link("l/f", "l/new/", expect="ENOENT")
    link("l", "l3", expect="EPERM")
    link("l/none", "l3", expect="ENOENT")
    link("l/f", "no/x", expect="ENOENT")
    link("l/f", "l2/mine", expect="EPERM", **ME)
    T.mirror("owner", lambda: os.chown(m("l/f"), 1000, 1000))
    link("l/f", "l2/mine", expect="EACCES", **ME)
    symlink("f", "l/s")
    link("l/s", "l/s2")
    T.mirror("unlink l/s2", lambda: os.unlink(m("l/s2")))
    for db in (T.a, T.b):  # stock added the symlink's length when it was linked, and left it there
        db("HINCRBY", "dirDataLength", ino("l"), -1)
    link("l/s", "l2/f2", follow=True)
    rename("l/g", "l2/g")
    rename("l2/g", "l2/h")
    rename("l2/h", "l2/hh", 1)
    unlink("l/f")
    unlink("l2/f2")
    unlink("l2/i")
    unlink("l2/hh")
    unlink("l2/g")
    mknod("l/fifo", kind=FIFO)
    link("l/fifo", "l2/fifo")
    unlink("l/fifo")
    unlink("l2/fifo")
    unlink("l/s")
    T.settle("link")


def removes():
    """unlink and rmdir, every type and refusal, the sticky bit, inodes held open."""
    mkdir("r")
    mknod("r/first")
    unlink("r/first")  # a stock mount makes the trash's hour directory also for an rmdir that fails
    mkdir("r/e")
    mkdir("r/full")
    for name, kind in (("file", FILE), ("fifo", FIFO), ("sock", SOCKET), ("chr", CHARDEV)):
        mknod(f"r/{name}", kind=kind)
    symlink("target", "r/sym")
    mknod("r/full/x")
    unlink("r/e", expect="EISDIR")
    unlink("r/e/", expect="EISDIR")
    unlink("r/file/", expect="ENOTDIR")
    unlink("r/sym/", expect="ENOTDIR")
    unlink("r/none", expect="ENOENT")
    unlink("r/none/", expect="ENOENT")
    unlink("r/.", expect="EISDIR")
    unlink("r/..", expect="EISDIR")
    unlink("r/file", expect="EACCES", **ME)
    rmdir("r/full", expect="ENOTEMPTY")
    rmdir("r/file", expect="ENOTDIR")
    rmdir("r/sym", expect="ENOTDIR")
    rmdir("r/.", expect="EINVAL")
    rmdir("r/..", expect="ENOTEMPTY")
    rmdir("r/none", expect="ENOENT")
    rmdir("r/e", expect="EACCES", **ME)
    for name in ("file", "fifo", "sock", "chr", "sym"):
        unlink(f"r/{name}")
    rmdir("r/e/")
    unlink("r/full/x")
    rmdir("r/full")
    write("r/data", 200000)
    unlink("r/data")
    write("r/sparse", 10, 200 << 20)
    unlink("r/sparse")
    mknod(b"r/" + b"n" * 255)
    unlink(b"r/" + b"n" * 255)
    # held open by this session
    write("r/open", 3000)
    fd = os.open(m("r/open"), os.O_RDWR)
    unlink("r/open", held=held("r/open"), sid=T.sid)
    os.close(fd)
    T.mirror("close", lambda: None)
    write("r/o1", 3000)
    write("r/o2", 3000)
    fd = os.open(m("r/o2"), os.O_RDWR)
    rename("r/o1", "r/o2", held=held("r/o2"), sid=T.sid)
    os.close(fd)
    T.mirror("close", lambda: None)
    # sticky
    mkdir("st", 0o777, umask=0)
    mknod("st/mine", **ME)
    mkdir("st/dir", **ME)
    mknod("st/root")
    T.mirror("sticky", lambda: os.chmod(m("st"), 0o1777))
    unlink("st/mine", expect="EPERM", **OTHER)
    rmdir("st/dir", expect="EPERM", **OTHER)
    unlink("st/root", expect="EPERM", **ME)
    unlink("st/dir", expect="EISDIR", **ME)
    mknod("st/other", **OTHER)
    rename("st/mine", "st/x", expect="EPERM", **OTHER)
    rename("st/other", "st/mine", expect="EPERM", **OTHER)
    rename("st/mine", "st/mine2", **ME)
    unlink("st/mine2", **ME)
    rmdir("st/dir", **ME)
    unlink("st/other")
    T.settle("remove")


def renames():
    """rename: replaced targets, directories, flags, loops, refusals."""
    mkdir("n")
    mkdir("n/a")
    mkdir("n/b")
    mknod("n/first")
    unlink("n/first")  # a stock rename makes the trash's hour directory even when nothing goes there
    write("n/f", 9000)
    rename("n/f", "n/g")
    rename("n/g", "n/a/f")
    rename("n/a/f", "n/a/f")
    write("n/over", 100)
    rename("n/a/f", "n/over")
    rename("n/over", "n/b/over")
    mkdir("n/a/sub")
    mkdir("n/a/sub/deep")
    rename("n/a/sub", "n/b/sub")
    mkdir("n/empty")
    rename("n/b/sub", "n/empty")
    rename("n/empty", "n/a/x/", expect="OK")
    rename("n/a/x/", "n/a/y")
    rename("n/a", "n/a/y/deep/in", expect="EINVAL")
    rename("n/a", "n/a", expect="OK")
    rename("n/a", "n/a/z", expect="EINVAL")
    rename("n/a/y/deep", "n/a", expect="ENOTEMPTY")
    rename("n/b", "n/a", expect="ENOTEMPTY")
    rename("n/b", "n/b/over", expect="EINVAL")
    mknod("n/file")
    rename("n/file", "n/a", expect="EISDIR")
    rename("n/b", "n/file", expect="ENOTDIR")
    rename("n/file/", "n/q", expect="ENOTDIR")
    rename("n/file", "n/q/", expect="ENOTDIR")
    rename("n/none", "n/q", expect="ENOENT")
    rename("n/file", "n/none/q", expect="ENOENT")
    rename("n/.", "n/q", expect="EBUSY")
    rename("n/a/..", "n/q", expect="EBUSY")
    rename("n/file", "n/..", expect="EBUSY")
    rename("n/file", "n/.", 1, expect="EEXIST")
    rename("n/file", "n/b/over", 1, expect="EEXIST")
    rename("n/file", "n/noreplace", 1)
    rename("n/noreplace", b"n/" + b"m" * 256, expect="ENAMETOOLONG")
    # exchange
    rename("n/noreplace", "n/none", 2, expect="ENOENT")
    rename("n/noreplace", "n/b/over", 2)
    rename("n/noreplace", "n/b", 2)
    rename("n/b", "n/noreplace", 2)
    mknod("n/dev", kind=CHARDEV, rdev=5)
    rename("n/dev", "n/a/y", 2)
    rename("n/a/y", "n/b/over", 2)
    rename("n/a", "n/a/y", 2, expect="EINVAL")
    rename("n/b", "n/a", 3, expect="EINVAL")
    rename("n/dev/deep", "n/dev", 2, expect="EINVAL")
    mkdir("n/d1")
    mkdir("n/d1/in")
    rename("n/d1", "n/dev/deep", 2)
    # symlinks are renamed themselves, replaced themselves
    symlink("b", "n/s")
    rename("n/s", "n/s2")
    rename("n/noreplace", "n/s2")
    mknod("n/p1", kind=FIFO)
    mknod("n/p2", kind=SOCKET)
    rename("n/p1", "n/p2")
    # permissions
    mkdir("pm", 0o777, umask=0)
    mkdir("pm/d", 0o755, **ME)
    mkdir("pm/sub", 0o777, umask=0)
    rename("pm/d", "pm/sub/d", expect="EACCES", **OTHER)
    rename("pm/d", "pm/e", **OTHER)
    rename("pm/e", "n/e", expect="EACCES", **ME)
    rename("n/s2", "pm/s2", expect="EACCES", **ME)
    rename("pm/e", "pm/sub/e", **ME)
    # hard links
    write("n/h", 4097)
    T.mirror("link", lambda: (os.link(m("n/h"), m("n/h2")), os.link(m("n/h"), m("n/b/h3"))))
    rename("n/h", "n/h2")
    rename("n/h", "n/b/h4")
    mknod("n/z")
    rename("n/z", "n/h2")
    rename("n/b/h3", "n/z2")
    rename("n/b/h4", "n/z2", 2)
    T.settle("rename")


def trash():
    """The trash seen through `.trash`, and what root may do there."""
    if not T.ours.env["trash"]:
        return
    mkdir("tr")
    write("tr/f", 5000)
    inode = ino("tr/f")
    unlink("tr/f")
    hour = os.fsdecode(sorted(os.listdir(m(".trash")))[-1])
    entry = f".trash/{hour}/{ino('tr')}-{inode}-f"
    lookup(entry)
    open_(entry, os.O_WRONLY, expect="EPERM")
    mkdir(".trash", expect="EEXIST")
    mknod(".trash/x", expect="EPERM")
    unlink(".trash", expect="EISDIR")
    rmdir(f".trash/{hour}")
    unlink(entry, **ME)
    mkdir("tr/d")
    rmdir("tr/d")
    mkdir("tr/k")
    mknod("tr/k/skip")
    rename(entry, "tr/restored")
    unlink("tr/restored")
    unlink(entry)
    T.settle("trash")


def quotas():
    """Directory quotas: usage, refusal, moves from one to another."""
    T.mirror("dirs", lambda: [os.makedirs(m(f"q{i}/in")) for i in (1, 2)])
    for i in (1, 2):
        field = str(ino(f"q{i}"))
        for db in (T.a, T.b):
            db("HSET", "dirQuota", field, struct.pack(">qq", 1 << 30, 100))
            db("HSET", "dirQuotaUsedSpace", field, 4096)
            db("HSET", "dirQuotaUsedInodes", field, 1)
    T.wait_for_quotas()
    mknod("q1/a")
    mkdir("q1/in/b")
    symlink("x", "q1/in/s")
    write("q1/in/f", 50000)
    T.settle("quota: made")
    link("q1/in/f", "q1/f2")
    link("q1/in/f", "q2/f3")
    unlink("q1/f2")
    T.settle("quota: link")
    rename("q1/a", "q1/in/a2")
    rename("q1/in/a2", "q2/in/a3")
    T.settle("quota: file moved")
    rename("q1/in", "q2/moved")
    T.settle("quota: tree moved")
    rename("q2/moved", "out")
    rename("out", "q1/back")
    T.settle("quota: out and back")
    rmdir("q1/back/b")
    unlink("q2/in/a3")
    T.settle("quota: removed")
    for db in (T.a, T.b):
        db("HSET", "dirQuota", str(ino("q2")), struct.pack(">qq", 1 << 30, 3))
    T.wait_for_quotas()
    mknod("q2/in/n1")
    mknod("q2/in/n2", expect="EDQUOT")
    mkdir("q2/d", expect="EDQUOT")
    T.settle("quota: limit")


def listing():
    """OP_READDIR and OP_PATHOF against the mount's own listing."""
    names = [f"n{i:04}" for i in range(3000)]
    T.mirror("3000 files", lambda: (os.makedirs(m("ls/deep/er")), [os.mkdir(m(f"ls/{n}")) if i % 3 == 0 else
                                    os.symlink("t", m(f"ls/{n}")) if i % 3 == 1 else os.mknod(m(f"ls/{n}"), 0o640)
                                    for i, n in enumerate(names)]))
    for path in ("ls", "ls/deep", "ls/deep/er", ""):
        want = {e.name: (e.inode(), e.stat(follow_symlinks=False).st_mode) for e in os.scandir(os.fsdecode(m(path)))
                if e.name not in (".trash", ".control", ".stats", ".config", ".accesslog")}
        got, cursor, pages = {}, 0, 0
        while True:
            r = T.ours("READDIR", 1, path=path, off=cursor, length=100)
            cursor, = struct.unpack_from(">Q", r.extra)
            pos, pages = 8, pages + 1
            while pos < len(r.extra):
                n, = struct.unpack_from(">H", r.extra, pos)
                name = r.extra[pos + 2:pos + 2 + n].decode()
                pos += 2 + n
                kind, inode, size = struct.unpack_from(">BQH", r.extra, pos)
                a = twin.Attr(r.extra[pos + 11:pos + 11 + size])
                pos += 11 + size
                fmt = {1: stat.S_IFREG, 2: stat.S_IFDIR, 3: stat.S_IFLNK}[kind]
                got[name] = (inode, fmt | a.mode)
            if cursor == 0:
                break
        problems = [] if got == want else [f"  {len(want)} names, ours {len(got)}"]
        if path == "ls" and pages < 10:
            problems.append(f"  only {pages} pages")
        T.verdict(f"readdir /{path} in {pages} pages", problems)
    for path in ("", "/ls", "/ls/deep", "/ls/deep/er", "/ls/n0003") + ("/.trash",) * T.ours.env["trash"]:
        r = T.ours("PATHOF", 1, base=os.stat(T.mount + path).st_ino if path != "/.trash" else twin.TRASH)
        T.verdict(f"path of {path or '/'}", [] if (r.code, r.extra) == (0, path.encode()) else [f"  {r.code} {r.extra}"])
    gone = ino("ls/deep/er")
    rmdir("ls/deep/er")
    r = T.ours("PATHOF", 1, base=gone)
    T.verdict("path of a removed directory", [] if r.error() == "ENOENT" else [f"  {r.error()} {r.extra}"])
    for kind, kw in (("MKDIR", {"path": "x"}), ("MKNOD", {"path": "x", "mode": FILE << 12}), ("LINK", {"path": "x"}),
                     ("OPEN", {"path": "x", "flags": CREATE})):
        extra = {"base2": gone, "path2": "x", "base": 1, "path": "ls/n0002"} if kind == "LINK" else {"base": gone, **kw}
        r = T.ours(kind, 1, ino=4242, **extra)
        T.verdict(f"{kind} in a removed directory", [] if r.error() == "ENOENT" else [f"  {r.error()}"])
    used = struct.unpack(">qq", T.ours("STATFS", 1).extra[:16])
    real = int(T.b("GET", "usedSpace")), int(T.b("GET", "totalInodes"))
    T.verdict("statfs", [] if used == real else [f"  {used} {real}"])


def random_ops():
    """Random changes by three users over a few names: whatever one side refuses the other refuses."""
    rng = random.Random(int(os.environ.get("TWIN_SEED", "7")))
    who = lambda: rng.choice(({}, {}, {}, ME, OTHER))  # noqa: E731
    names = ["a", "b", "c", "d"]

    def path():
        parts = ["rnd"] + rng.choices(names + [".."] * (rng.random() < .05) + ["."] * (rng.random() < .05),
                                      k=rng.choice((1, 1, 1, 2, 2, 3)))
        while ".." in parts and 2 * parts.count("..") >= len(parts):
            parts.remove("..")
        return "/".join(parts) + "/" * (rng.random() < .08)

    mkdir("rnd", 0o777, umask=0)
    mknod("rnd/first")
    unlink("rnd/first")
    actions = {
        "mkdir": lambda: mkdir(path(), rng.choice((0o777, 0o777, 0o755, 0o1777, 0o700)), umask=0, **who()),
        "chmod": None, "mknod": lambda: mknod(path(), rng.choice((0o666, 0o2755)), rng.choice((FILE, FILE, FIFO)), **who()),
        "symlink": lambda: symlink(rng.choice(names + ["../" + rng.choice(names), ".", "..", "../rnd/a/b"]), path(), **who()),
        "link": lambda: link(path(), path(), rng.random() < .3, **who()),
        "unlink": lambda: unlink(path(), **who()), "rmdir": lambda: rmdir(path(), **who()),
        "rename": lambda: rename(path(), path(), rng.choice((0, 0, 0, 1, 2)), **who()),
        "open": lambda: open_(path(), rng.choice((0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_DIRECTORY, os.O_NOFOLLOW,
                                                  os.O_CREAT | os.O_RDWR)), rng.choice((0o644, 0o666)), **who()),
    }
    weights = {"mkdir": 8, "chmod": 1, "rename": 6, "mknod": 5, "open": 4, "link": 3}
    kinds = list(actions)
    for _ in range(int(os.environ.get("TWIN_STEPS", "150"))):
        kind = rng.choices(kinds, [weights.get(k, 2) for k in kinds])[0]
        if kind == "chmod":
            chmod_random(rng, path())
        else:
            actions[kind]()
    T.settle("random", stock=False)


def chmod_random(rng, path):
    """A directory's mode and owner, by the mount, so that permissions matter."""
    def action():
        if os.path.isdir(m(path)):
            os.chown(m(path), rng_uid, 2000)
            os.chmod(m(path), mode)
    rng_uid, mode = rng.choice((0, 1000, 1001)), rng.choice((0o755, 0o3777, 0o1777, 0o770, 0o2775))
    T.mirror_quick(lambda: twin.as_user(0, 0, (), 0, action))


def acls():
    """A directory's default rule in what is made below it; the volume has ACLs on."""
    def blob(*entries):
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
    user, group, other, any_ = 0x01, 0x04, 0x20, 0xFFFFFFFF
    named = blob((user, 7, any_), (0x02, 6, 1000), (group, 5, any_), (0x08, 7, 2000), (0x10, 7, any_), (other, 0, any_))
    T.mirror("rules", lambda: [
        (os.mkdir(m(d)), os.chmod(m(d), 0o2777 if "s" in d else 0o777), os.setxattr(m(d), "system.posix_acl_default", rule))
        for d, rule in (("full", named), ("sfull", named), ("plain", blob((user, 7, any_), (group, 5, any_), (other, 1, any_))))])
    for d in ("full", "sfull", "plain"):
        mknod(f"{d}/a", 0o666, umask=0o077)
        mknod(f"{d}/b", 0o666, umask=0)
        mknod(f"{d}/c", 0o4711, **ME)
        mknod(f"{d}/g", 0o2775, **OTHER)
        mkdir(f"{d}/d", 0o777, umask=0o077)
        mkdir(f"{d}/d/d", 0o750, **ME)
        open_(f"{d}/o", os.O_CREAT | os.O_WRONLY, 0o640, **ME)
        symlink("x", f"{d}/s", **ME)
        for who in (ME, OTHER, {"uid": 7, "gid": 2000, "groups": (2000,)}, {"uid": 7, "gid": 7}):
            for mask in (4, 2, 1, 6):
                access(f"{d}/a", mask, **who)
                access(f"{d}/d", mask, **who)
    T.settle("acl")


GROUPS = {f.__name__: f for f in (make, opens, walks, links, removes, renames, trash, quotas, random_ops, listing)}


def main():
    for name in sys.argv[4:] or GROUPS:
        globals()[name]()
    T.finish()


main()
