#!/usr/bin/python3
"""Lists a tree so that two of them can be compared:  tree.py DIR [--no-data] [--no-xattr] [--no-mtime]

One line an object, sorted by name: kind, mode, owner, link count, size, mtime in ns, the first name
of its hard-link group, then what it holds: SHA-256, link target, device number; and its user.*
attributes.  Directory sizes and inode numbers are the file system's own and left out.
"""
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "sock", stat.S_IFCHR: "chr", stat.S_IFBLK: "blk"}


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while data := f.read(1 << 20):
            h.update(data)
    return h.hexdigest()


def content(path, st, with_data):
    kind = stat.S_IFMT(st.st_mode)
    if kind == stat.S_IFLNK:
        return repr(os.readlink(path))
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return f"{os.major(st.st_rdev)},{os.minor(st.st_rdev)}"
    return digest(path) if kind == stat.S_IFREG and with_data else "-"


def xattrs(path, st):
    if stat.S_IFMT(st.st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        return ""
    names = sorted(n for n in os.listxattr(path) if n.startswith("user."))
    return "".join(f" {n}={os.getxattr(path, n)!r}" for n in names)


def walk(path):
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in sorted(os.listdir(path)):
            yield from walk(path + b"/" + name)


def main():
    options = {a for a in sys.argv[1:] if a.startswith("--")}
    top = os.fsencode([a for a in sys.argv[1:] if not a.startswith("--")][0])
    first = {}
    for path in walk(top):
        st = os.lstat(path)
        name = path[len(top):] or b"/"
        kind = stat.S_IFMT(st.st_mode)
        size = "-" if kind == stat.S_IFDIR else st.st_size
        mtime = "-" if "--no-mtime" in options else st.st_mtime_ns
        group = "-" if kind == stat.S_IFDIR or st.st_nlink == 1 else repr(first.setdefault(st.st_ino, name))
        print(repr(name), KINDS[kind], oct(stat.S_IMODE(st.st_mode)), f"{st.st_uid}:{st.st_gid}",
              f"links={st.st_nlink}", f"size={size}", f"mtime={mtime}", group,
              content(path, st, "--no-data" not in options)
              + ("" if "--no-xattr" in options else xattrs(path, st)))


sys.setrecursionlimit(10000)
main()
