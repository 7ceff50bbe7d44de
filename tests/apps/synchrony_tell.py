"""What leaves a process waits until the store has what it could tell of; what comes in ends belief.

    synchrony_tell.py REDIS_SOCKET DIR SCRATCH COMMAND...     (not preloaded)

COMMAND runs this file with the preload, as `child DIR SCRATCH`.  For each case the child makes a file in
DIR, which is acknowledged early and, with a long batch_interval, stays pending; says so by a native
file, which nobody holds back; and waits to be let go on.  Then it tells by the case's channel, and
the parent looks into Redis at once.
"""
import array
import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_write, SYS_kill, SYS_unshare = 1, 62, 272
LIMIT = 60  # seconds, for what does not come


def poll(what, until):
    end = time.monotonic() + LIMIT
    while not until():
        if time.monotonic() > end:
            raise SystemExit(f"waited too long: {what}")
        time.sleep(0.002)


# --- the child ----------------------------------------------------------------------------------

def semaphore(shared):
    sem = mmap.mmap(-1, 4096)
    at = ctypes.c_char.from_buffer(sem)
    assert LIBC.sem_init(ctypes.byref(at), shared, 0) == 0
    assert LIBC.sem_post(ctypes.byref(at)) == 0


def queue():
    mq = LIBC.mq_open(b"/jfspre-test-%d" % os.getpid(), os.O_RDWR | os.O_CREAT, 0o600, None)
    LIBC.mq_unlink(b"/jfspre-test-%d" % os.getpid())
    assert mq >= 0 and LIBC.mq_send(mq, b"x", 1, 0) == 0


def system_v():
    q = LIBC.msgget(0, 0o600)
    try:
        assert q >= 0 and LIBC.msgsnd(q, (ctypes.c_long * 2)(1, 0), 1, 0) == 0
    finally:
        LIBC.msgctl(q, 0, None)


def printed(fd, mode):
    """By a stream of libc, whose writes no name of ours sees."""
    stream = ctypes.c_void_p(LIBC.fdopen(os.dup(fd), b"w"))
    if mode == "line":
        LIBC.setvbuf(stream, None, 1, 4096)
    LIBC.fprintf(stream, b"%s\n", b"printed")
    if mode == "flush":
        LIBC.fflush(stream)
    return stream


def spawned(*how):
    pid = os.posix_spawn(how[0], how, os.environ)
    os.waitpid(pid, 0)


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def native(scratch, name, flags=os.O_RDWR | os.O_CREAT):
    return os.open(f"{scratch}/{name}", flags, 0o600)


def locked(scratch, take):
    fd = native(scratch, "lock")
    take(fd)
    os.close(fd)


def shared_mapping(scratch):
    fd = native(scratch, "map")
    os.ftruncate(fd, 4096)
    mmap.mmap(fd, 4096, mmap.MAP_SHARED)
    os.close(fd)


def inside(top):
    return os.open(top, os.O_RDONLY)


def outward(top, scratch, out, sock, tty):
    """name -> what tells.  `out` is a pipe, `sock` a socket, `tty` a terminal: the parent reads them."""
    fifo = f"{scratch}/fifo"
    me, parent = os.getpid(), os.getppid()
    return {
        "write to a pipe": lambda: os.write(out, b"x"),
        "writev to a pipe": lambda: os.writev(out, [b"x", b"y"]),
        "write to a terminal": lambda: os.write(tty, b"x\n"),
        "write to a FIFO": lambda: os.write(os.open(fifo, os.O_RDWR), b"x"),
        "write to a socket": lambda: os.write(sock.fileno(), b"x"),
        "send": lambda: sock.send(b"x"),
        "sendmsg": lambda: sock.sendmsg([b"x"]),
        "a descriptor by sendmsg": lambda: sock.sendmsg(
            [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]),
        "shutdown": lambda: socket.socketpair()[0].shutdown(socket.SHUT_WR),
        "sendfile to a pipe": lambda: os.sendfile(out, native(scratch, "seen"), 0, 1),
        "splice to a pipe": lambda: os.splice(native(scratch, "seen"), out, 1, offset_src=0),
        "syscall(SYS_write)": lambda: LIBC.syscall(SYS_write, out, b"x", 1),
        "the end of a pipe": lambda: os.close(os.dup(out)),
        "printf and fflush to a pipe": lambda: printed(out, "flush"),
        "a printed line to a terminal": lambda: printed(tty, "line"),
        "perror": lambda: (os.dup2(out, 2), LIBC.perror(b"said")),
        "kill": lambda: os.kill(parent, signal.SIGUSR1),
        "syscall(SYS_kill)": lambda: LIBC.syscall(SYS_kill, parent, signal.SIGUSR1),
        "sigqueue": lambda: LIBC.sigqueue(parent, signal.SIGUSR1, None),
        "sem_post, shared": lambda: semaphore(1),
        "mq_send": queue,
        "msgsnd": system_v,
        "flock": lambda: locked(scratch, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)),
        "a record lock": lambda: locked(scratch, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX)),
        "a shared mapping to write": lambda: shared_mapping(scratch),
        "fork": fork,
        "posix_spawn": lambda: spawned("/bin/true"),
        "system": lambda: os.system(":"),
        "popen": lambda: os.popen(":").close(),
        "fsync of a directory": lambda: os.fsync(inside(top)),
        "sync": os.sync,
        "syncfs": lambda: LIBC.syncfs(inside(top)),
        "unshare": lambda: LIBC.unshare(0),
        "jfspre_flush": lambda: LIBC.jfspre_flush(),
        # What leaves nothing: still pending afterwards.
        "not: a native file": lambda: os.write(native(scratch, "quiet"), b"x"),
        "not: /dev/null": lambda: os.write(os.open("/dev/null", os.O_WRONLY), b"x"),
        "not: a printed line to a native file": lambda: printed(native(scratch, "quiet"), "flush"),
        "not: an eventfd": lambda: os.write(LIBC.eventfd(0, 0), b"12345678"),
        "not: a signal to itself": lambda: os.kill(me, signal.SIGURG),
        "not: kill with signal 0": lambda: os.kill(parent, 0),
        "not: sem_post between threads": lambda: semaphore(0),
        "not: a read of a pipe": lambda: os.read(int(os.environ["IN"]), 1),
        "not: a private mapping": lambda: mmap.mmap(native(scratch, "map"), 4096, mmap.MAP_PRIVATE),
    }


def child(top, scratch):
    out, tty = int(os.environ["OUT"]), int(os.environ["TTY"])
    sock = socket.socket(fileno=int(os.environ["SOCK"]))
    os.mkdir(top)
    os.chdir(top)  # the way there is asked for again after each input
    for i in range(4):  # the first changes of a process are never early
        os.close(os.open(f"first{i}", os.O_WRONLY | os.O_CREAT))
    LIBC.jfspre_flush()
    for n, (name, tell) in enumerate(outward(top, scratch, out, sock, tty).items()):
        os.close(os.open(f"case{n}", os.O_WRONLY | os.O_CREAT))
        os.close(native(scratch, f"ready{n}"))
        poll(f"{name}: let go on", lambda n=n: os.path.exists(f"{scratch}/go{n}"))
        tell()
        os.close(native(scratch, f"told{n}"))
    poll("the end", lambda: os.path.exists(f"{scratch}/end"))  # an exit tells too


# --- the parent ---------------------------------------------------------------------------------

class Store:
    """A look into Redis, where DIR is an entry of the root."""

    def __init__(self, path, top):
        self.path, self.top = path, os.path.basename(top)

    def ask(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words))
            return s.recv(200)

    def has(self, name):
        entry = self.ask("hget", "d1", self.top).split(b"\r\n", 1)[1]  # type, inode
        return self.ask("hexists", f"d{int.from_bytes(entry[1:9], 'big')}", name) == b":1\r\n"


def parent(redis, top, scratch, command):
    store = Store(redis, top)
    signals = []
    signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
    os.mkfifo(f"{scratch}/fifo")
    with open(f"{scratch}/seen", "w", encoding="ascii") as f:
        f.write("x")
    out, w = os.pipe()
    in_r, in_w = os.pipe()
    os.write(in_w, b"x")
    ours, theirs = socket.socketpair()
    tty, slave = os.openpty()
    env = dict(os.environ, OUT=str(w), IN=str(in_r), TTY=str(slave), SOCK=str(theirs.fileno()))
    p = subprocess.Popen(command, env=env, pass_fds=(w, in_r, slave, theirs.fileno()))
    failed = False
    for n, name in enumerate(outward(top, scratch, w, theirs, slave)):
        def there(stem, n=n):
            return os.path.exists(f"{scratch}/{stem}{n}") or p.poll() is not None

        def came():
            return select.select([out, ours, tty], [], [], 0)[0]

        poll(f"{name}: ready", lambda: there("ready"))
        pending = not store.has(f"case{n}")
        signals.clear()
        os.close(native(scratch, f"go{n}"))
        poll(f"{name}: told", lambda: signals or came() or there("told"))
        has = store.has(f"case{n}")
        poll(f"{name}: done", lambda: there("told"))
        if p.poll() is not None:
            raise SystemExit(f"the child ended: {name}")
        for fd in came():
            os.read(fd if isinstance(fd, int) else fd.fileno(), 4096)
        good = pending and has != name.startswith("not: ")
        print("ok" if good else "not ok", name, "" if pending else "(it was not pending)", flush=True)
        failed = failed or not good
    os.close(native(scratch, "end"))
    return p.wait() != 0 or failed


if sys.argv[1] == "child":
    child(*sys.argv[2:4])
else:
    sys.exit(parent(*sys.argv[1:4], sys.argv[4:]))
