"""Calls of names, each a step on both sides: by a stock mount and by the script.  One half of
twin_names.py, whose command line begins with SOCKET MOUNTPOINT TRASH(0|1).
"""
import ctypes
import os
import stat
import struct
import sys

import twin
from twin import (CREATE, DIRECTORY, EXCHANGE, EXCL, NOFOLLOW, NOREPLACE, OPATH, TRUNC, APPEND,
                  FILE, FIFO, BLOCKDEV, CHARDEV, SOCKET)

LIBC = ctypes.CDLL(None, use_errno=True)
T = twin.Twins(*sys.argv[1:3], trash=sys.argv[3] == "1")


def m(path):
    return os.fsencode(T.mount) + b"/" + os.fsencode(path)


def renameat2(a, b, flags):
    if LIBC.renameat2(-100, m(a), -100, m(b), flags):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def say(kind, *parts):
    names = " ".join(p if isinstance(p, str) else p.decode("latin1") for p in parts)
    return f"{kind} {names if len(names) < 90 else names[:80] + '...'}"


def mkdir(path, mode=0o755, **kw):
    return T.step(say("mkdir", path, f"{mode:o}"), lambda: os.mkdir(m(path), mode), "MKDIR", path=path, mode=mode, **kw)


def mknod(path, mode=0o644, kind=FILE, rdev=0, **kw):
    fmt = {FILE: stat.S_IFREG, FIFO: stat.S_IFIFO, BLOCKDEV: stat.S_IFBLK, CHARDEV: stat.S_IFCHR, SOCKET: stat.S_IFSOCK}
    return T.step(say("mknod", path, f"{mode:o}", str(kind)), lambda: os.mknod(m(path), mode | fmt[kind], rdev),
                  "MKNOD", path=path, mode=kind << 12 | mode, rdev=rdev, **kw)


def symlink(target, path, **kw):
    return T.step(say("symlink", target, path), lambda: os.symlink(target, m(path)), "SYMLINK", path=path,
                  data=os.fsencode(target), **kw)


def link(a, b, follow=False, **kw):
    return T.step(say("link", a, b), lambda: check(LIBC.linkat(-100, m(a), -100, m(b), 0x400 * follow)), "LINK", path=a, path2=b,
                  flags=0 if follow else NOFOLLOW, **kw)


def unlink(path, held=b"", sid=0, **kw):
    return T.step(say("unlink", path), lambda: os.unlink(m(path)), "UNLINK", path=path, data=held, sid=sid, **kw)


def rmdir(path, **kw):
    return T.step(say("rmdir", path), lambda: os.rmdir(m(path)), "RMDIR", path=path, **kw)


def rename(a, b, flags=0, held=b"", sid=0, **kw):
    ours = {0: 0, 1: NOREPLACE, 2: EXCHANGE, 3: NOREPLACE | EXCHANGE}[flags]
    return T.step(say("rename", a, b, str(flags)), lambda: renameat2(a, b, flags), "RENAME", path=a, path2=b,
                  flags=ours, data=held, sid=sid, **kw)


OPEN_FLAGS = ((os.O_CREAT, CREATE), (os.O_EXCL, EXCL), (os.O_TRUNC, TRUNC), (os.O_DIRECTORY, DIRECTORY),
              (os.O_APPEND, APPEND), (os.O_NOFOLLOW, NOFOLLOW), (os.O_PATH, OPATH))


def open_(path, flags=os.O_RDONLY, mode=0o644, **kw):
    ours = sum(o for f, o in OPEN_FLAGS if flags & f == f)
    access = {os.O_RDONLY: 4, os.O_WRONLY: 2, os.O_RDWR: 6}[flags & os.O_ACCMODE]
    return T.step(say("open", path, f"{flags:o}", f"{mode:o}"),
                  lambda: os.close(os.open(m(path), flags | os.O_NONBLOCK, mode)), "OPEN", path=path, flags=ours,
                  valid=access, mode=mode, **kw)


def access(path, mask, **kw):
    return T.step(say("access", path, str(mask)), lambda: check(LIBC.access(m(path), mask)), "LOOKUP", path=path,
                  valid=mask, **kw)


def lookup(path, nofollow=False, **kw):
    call = os.lstat if nofollow else os.stat
    return T.step(say("stat", path), lambda: call(m(path)), "LOOKUP", path=path, flags=NOFOLLOW * nofollow, **kw)


def check(rc):
    if rc:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def write(path, size, off=0):
    def action():
        fd = os.open(m(path), os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, b"x" * size, off)
        os.close(fd)
    T.mirror(f"write {path}", action)


def ino(path):
    return os.lstat(m(path)).st_ino


def held(*paths):
    return b"".join(struct.pack(">Q", ino(p)) for p in paths)
