"""What comes in ends what was believed: a name that another host made in the meantime is there.

    synchrony_hear.py DIR OTHER...     (preloaded)

OTHER makes a name in the volume as another host would (its cache directory is another one).  For
each channel a name is looked for, which is not there and known not to be; a helper without us makes
it and then says so by the channel; it is looked for again.
"""
import ctypes
import fcntl
import os
import pty
import socket
import subprocess
import sys

LIBC = ctypes.CDLL(None)
SYS_read = 0
TOP, OTHER = sys.argv[1], sys.argv[2:]
HELPER = """
import os, subprocess, sys
for line in sys.stdin:
    fd, _, name = line.strip().partition(" ")
    subprocess.run([*sys.argv[1:], name], check=True)
    os.write(int(fd), b"made\\n")
"""


def stream(fd):
    """A line by a stream of libc, whose reads no name of ours sees."""
    LIBC.fdopen.restype = ctypes.c_void_p
    fp, line = ctypes.c_void_p(LIBC.fdopen(os.dup(fd), b"r")), ctypes.create_string_buffer(100)
    LIBC.fgets(line, 100, fp)
    LIBC.fclose(fp)


def reused(r):
    """The number was that of a native file which libc read and closed inside itself."""
    low = os.dup(r)
    os.close(low)
    LIBC.getservbyname(b"no such service", None)
    fd = os.dup(r)
    assert fd == low
    os.read(fd, 5)
    os.close(fd)


def by_splice(r):
    out = os.open("/dev/null", os.O_WRONLY)
    os.splice(r, out, 5)
    os.close(out)


def main():
    r, w = os.pipe()
    ours, theirs = socket.socketpair()
    tty, far = pty.openpty()
    helper = subprocess.Popen(["env", "-u", "LD_PRELOAD", sys.executable, "-uc", HELPER, *OTHER],
                              stdin=subprocess.PIPE, pass_fds=(w, theirs.fileno(), far))

    def ask(fd, name):
        os.write(helper.stdin.fileno(), f"{fd} {name}\n".encode())

    def child(name):
        pid = os.fork()
        if pid == 0:
            env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
            os.execve("/usr/bin/env", ["env", *OTHER, name], env)
        os.waitpid(pid, 0)

    buf = ctypes.create_string_buffer(100)
    channels = {
        "a read of a pipe": (w, lambda: os.read(r, 5)),
        "readv of a pipe": (w, lambda: os.readv(r, [bytearray(5)])),
        "splice of a pipe": (w, lambda: by_splice(r)),
        "syscall(SYS_read) of a pipe": (w, lambda: LIBC.syscall(SYS_read, r, buf, 5)),
        "fgets of a pipe": (w, lambda: stream(r)),
        "a read of a pipe whose number libc had": (w, lambda: reused(r)),
        "a read of a socket": (theirs.fileno(), lambda: os.read(ours.fileno(), 5)),
        "recv": (theirs.fileno(), lambda: ours.recv(5)),
        "recvmsg": (theirs.fileno(), lambda: ours.recvmsg(5)),
        "a read of a terminal": (far, lambda: os.read(tty, 6)),
        "the end of a child": (None, None),
        "system": (None, None),
    }
    os.mkdir(TOP)
    os.close(os.open(f"{TOP}/first", os.O_WRONLY | os.O_CREAT))
    failed = 0
    for name, (fd, come) in channels.items():
        path = f"{TOP}/{name.replace(' ', '-')}"
        # Known not to be there: it was, until now.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.unlink(path)
        gone = not os.path.exists(path)
        if come:
            ask(fd, path)
            come()
        elif name == "system":
            os.system(f"env -u LD_PRELOAD {' '.join(OTHER)} {path}")
        else:
            child(path)
        good = gone and os.path.exists(path)
        print("ok" if good else "not ok", name, flush=True)
        failed += not good
    helper.stdin.close()
    helper.wait()
    return failed != 0


sys.exit(main())
