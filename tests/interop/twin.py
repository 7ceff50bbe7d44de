"""Twin volumes: the same action by a stock mount on one and by our script on the other; then every key
of both is compared.

A moment is compared as "set by which step": each step takes its own time from the clock, what a stock
mount stamped in it lies between its begin and end, and ours carries the begin.  Inode numbers are made
equal: our side gives the number that the mount took.  Directory statistics and quotas are written by a
mount with delay, so they are compared in settle(), which waits for them.
"""
import bisect
import errno
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

KINDS = ("LOOKUP OPEN READDIR CHUNKS GETXATTR LISTXATTR STATFS PATHOF MKNOD MKDIR SYMLINK LINK UNLINK RMDIR "
         "RENAME SETATTR TRUNCATE WRITE FALLOCATE SETXATTR REMOVEXATTR PURGE FORGET").split()
KIND = {name: i + 1 for i, name in enumerate(KINDS)}
NOFOLLOW, CREATE, EXCL, TRUNC, DIRECTORY, APPEND, NOREPLACE, EXCHANGE, KILLPRIV, BY_FD, _, OPATH = (1 << i for i in range(12))
CREATED, TRASHED, GONE, DEFERRED = 1, 2, 4, 8
TRASH = 0x7FFFFFFF10000000
FILE, DIR, SYMLINK, FIFO, BLOCKDEV, CHARDEV, SOCKET = range(1, 8)

# Not part of the comparison: who mounted, when jobs ran, ids that a mount takes in batches.
IGNORED = {b"setting", b"nextsession", b"allSessions", b"sessionInfos", b"lastCleanupSessions",
           b"lastCleanupFiles", b"nextCleanupSlices", b"lastCleanupTrash", b"nextchunk", b"nextinode"}
LATE = (b"dirDataLength", b"dirUsedSpace", b"dirUsedInodes", b"dirQuota", b"dirQuotaUsedSpace",
        b"dirQuotaUsedInodes", b"delfiles", b"sliceRef")


SKIP_MS = 5  # of the mount's option, too: its default is 100, which each step would wait for


READ = {b"string": lambda k: ("GET", k), b"hash": lambda k: ("HGETALL", k), b"list": lambda k: ("LRANGE", k, 0, -1),
        b"set": lambda k: ("SMEMBERS", k), b"zset": lambda k: ("ZRANGE", k, 0, -1),
        b"none": lambda k: ("GET", k)}  # it went meanwhile


class RedisError(Exception):
    pass


class Redis:
    def __init__(self, path, db):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")
        self("SELECT", db)

    def __call__(self, *args):
        return self.many([args])[0]

    def many(self, commands):
        """Their replies; all are sent before the first is read."""
        parts = []
        for args in commands:
            parts.append(b"*%d\r\n" % len(args))
            for a in args:
                a = a if isinstance(a, bytes) else str(a).encode()
                parts.append(b"$%d\r\n%s\r\n" % (len(a), a))
        self.sock.sendall(b"".join(parts))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        n = int(rest)
        if n < 0:
            return None
        if kind == b"$":
            return self.file.read(n + 2)[:-2]
        return [self.reply() for _ in range(n)]

    def dump(self):
        """{key: bytes | dict | list}, without IGNORED."""
        keys = [k for k in self("KEYS", "*") if k not in IGNORED and not k.startswith((b"lockf", b"lockp", b"locked"))]
        kinds = self.many([("TYPE", k) for k in keys])
        values = self.many([READ[kind](key) for key, kind in zip(keys, kinds)])
        out = {}
        for key, kind, value in zip(keys, kinds, values):
            if kind == b"hash":
                value = dict(zip(value[::2], value[1::2]))
            elif kind in (b"set", b"zset"):
                value = dict.fromkeys(value)
            if value is not None:
                out[key] = value
        return out


def script_text():
    """The dispatcher, as the library has it."""
    with tempfile.NamedTemporaryFile("r", suffix=".c", encoding="utf-8") as f:
        subprocess.run([f"{ROOT}/tools/gen_lua.sh", f.name], check=True)
        lines = [line[5:-2] for line in f if line.startswith('    "')]
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], "".join(lines))


def moment(ns):
    return struct.pack(">qI", ns // 10**9, ns % 10**9)


def op_bytes(kind, now, *, umask=0, flags=0, valid=0, uid=0, gid=0, base=1, base2=1, ino=0, mode=0, rdev=0,
             new_uid=0, new_gid=0, atime=0, mtime=0, off=0, length=0, sid=0, groups=(), path=b"", path2=b"", data=b""):
    path, path2 = os.fsencode(path), os.fsencode(path2)
    return (struct.pack(">BBHIIII", 1, KIND[kind], umask, flags, valid, uid, gid) + moment(now)
            + struct.pack(">QQQIIII", base, base2, ino, mode, rdev, new_uid, new_gid) + moment(atime) + moment(mtime)
            + struct.pack(">QQQ", off, length, sid)
            + struct.pack(">H", len(groups)) + b"".join(struct.pack(">I", g) for g in groups)
            + struct.pack(">H", len(path)) + path + struct.pack(">H", len(path2)) + path2
            + struct.pack(">I", len(data)) + data)


def env_bytes(mount, trash=False, dir_stats=True, capacity=0, inodes=0, skip_ms=SKIP_MS):
    mount = os.fsencode(mount)
    return struct.pack(">IQQIH", trash + 2 * dir_stats, capacity, inodes, skip_ms, len(mount)) + mount


class Attr:
    def __init__(self, raw):
        self.raw = raw
        self.flags, tm, self.uid, self.gid = struct.unpack_from(">BHII", raw, 0)
        self.type, self.mode = tm >> 12, tm & 0o7777
        self.times = [raw[11:23], raw[23:35], raw[35:47]]
        self.nlink, self.length, self.rdev, self.parent = struct.unpack_from(">IQIQ", raw, 47)

    def show(self, name_time):
        return (f"flags {self.flags} type {self.type} mode {self.mode:o} owner {self.uid}:{self.gid} "
                f"times {' '.join(map(name_time, self.times))} nlink {self.nlink} length {self.length} "
                f"rdev {self.rdev:x} parent {self.parent} tail {self.raw[71:].hex()}")


class Result:
    def __init__(self, answer):
        self.code, ino, raw, parent, self.rflags, self.extra = answer
        self.ino = int.from_bytes(ino, "big")
        self.parent = int.from_bytes(parent, "big")
        self.attr = Attr(raw) if raw else None

    def error(self):
        return errno.errorcode.get(-self.code, str(self.code)) if self.code else "OK"


class Ours:
    """Ops through the script on one database."""
    def __init__(self, redis, mount, **env):
        self.redis, self.mount, self.env = redis, mount, env
        self.sha = redis("SCRIPT", "LOAD", script_text())

    def call(self, *ops):
        answers = self.redis("EVALSHA", self.sha, 1, "setting", env_bytes(self.mount, **self.env), *ops)
        return [Result(a) for a in answers]

    def __call__(self, kind, now, **fields):
        return self.call(op_bytes(kind, now, **fields))[0]


def as_user(uid, gid, groups, umask, action):
    """Runs action() in a child with these ids: "OK" or the name of the errno."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = "?"
        try:
            os.umask(umask)
            if uid or gid:
                os.setgroups(list(groups))
                os.setgid(gid)
                os.setuid(uid)
            action()
            text = "OK"
        except OSError as e:
            text = errno.errorcode.get(e.errno, str(e.errno))
        except BaseException as e:  # shown by the parent
            text = repr(e)
        os.write(w, text.encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as f:
        text = f.read().decode()
    os.waitpid(pid, 0)
    return text


class Twins:
    def __init__(self, sock, mount, **env):
        self.sock, self.a, self.b = sock, Redis(sock, 0), Redis(sock, 1)
        self.mount = mount
        self.ours = Ours(self.b, mount, **env)
        self.steps = []  # (begin ns, end ns), one after the other
        self.failed = self.passed = 0
        self.last_inode = 10**6
        self.sid = int(self.a("GET", "nextsession") or 0)
        for db in (self.a, self.b):  # the time of `format` differs
            for key in ("i1", f"i{TRASH}"):
                raw = db("GET", key)
                if raw:
                    db("SET", key, raw[:11] + moment(10**9) * 3 + raw[47:])
        self.settle("format")

    # --- comparison
    def name_time(self, raw):
        sec, nsec = struct.unpack(">qI", raw)
        ns = sec * 10**9 + nsec
        i = bisect.bisect_right(self.steps, (ns, 2**63)) - 1
        if i >= 0 and ns <= self.steps[i][1]:
            return f"step{i}"
        return f"{sec}.{nsec:09}"

    def normal(self, db, late):
        out = {}
        for key, value in db.dump().items():
            if (key in LATE) != late:
                continue
            if key[:1] == b"i" and key[1:].isdigit() and isinstance(value, bytes):
                value = Attr(value).show(self.name_time)
            elif isinstance(value, list):  # a chunk: what a mount leaves in off of a hole means nothing
                value = [r[:16] + b"\0\0\0\0" + r[20:] if r[4:12] == bytes(8) else r for r in value]
            elif isinstance(value, dict):
                value = {k: v for k, v in value.items() if not (key.startswith(b"p") and v == b"0")
                         and not (key == b"sliceRef" and v.startswith(b"-"))}  # blocks of ours are the caller's to remove
            if value or value == b"":
                out[key] = value
        return out

    def differences(self, late):
        a, b = self.normal(self.a, late), self.normal(self.b, late)
        lines = []
        for key in sorted(a.keys() | b.keys()):
            x, y = a.get(key), b.get(key)
            if x == y:
                continue
            if isinstance(x, dict) and isinstance(y, dict):
                for f in sorted(x.keys() | y.keys()):
                    if x.get(f, 0) != y.get(f, 0):
                        lines.append(f"  {key!r} {f!r}\n    stock {x.get(f)!r}\n    ours  {y.get(f)!r}")
            else:
                lines.append(f"  {key!r}\n    stock {x!r}\n    ours  {y!r}")
        return lines

    def verdict(self, name, problems):
        if problems:
            self.failed += 1
            print(f"not ok {name}")
            print("\n".join(problems), flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)

    def settled(self, late):
        """Differences that stay although the mount had time to write what it still held (not for each of many)."""
        end = time.monotonic() + (20 if self.failed < 3 else 1)
        while True:
            found = self.differences(late)
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.1)

    def wrong_stats(self, keys):
        """Directories whose statistics are not what their entries say, and counters that are not the sum."""
        found, space, inodes = [], 0, 0
        for key, value in keys.items():
            if not (key[:1] == b"i" and key[1:].isdigit()) or key == b"i%d" % TRASH:
                continue
            a, field = Attr(value), key[1:]
            if field != b"1":  # the root is not counted
                space += -(-max(a.length, 1) // 4096) * 4096 if a.type == FILE else 4096
                inodes += 1
            if a.type != DIR or field not in keys.get(b"dirUsedInodes", {}):
                continue
            want = [0, 0, 0]
            for entry in keys.get(b"d" + field, {}).values():
                child = Attr(keys[b"i%d" % int.from_bytes(entry[1:], "big")])
                length = child.length if child.type == FILE else 0
                want = [want[0] + length, want[1] + -(-max(length, 1) // 4096) * 4096, want[2] + 1]
            have = [int(keys.get(h, {}).get(field, 0)) for h in (b"dirDataLength", b"dirUsedSpace", b"dirUsedInodes")]
            if have != want:
                found.append(f"  directory {field.decode()}: statistics {have}, entries {want}")
        have = [int(keys.get(k, 0)) for k in (b"usedSpace", b"totalInodes")]
        if have != [space, inodes]:
            found.append(f"  volume: counters {have}, inodes {[space, inodes]}")
        return found

    def settle(self, name, stock=True):
        """stock=False: those of the mount are not looked at (it adds a symlink's target to them at link)."""
        self.verdict(f"{name}: exact statistics", self.wrong_stats(self.b.dump()))
        if stock:
            self.verdict(f"{name}: statistics", self.settled(True) + self.settled(False))

    # --- steps
    def begin(self):
        # a mount touches a directory once in SKIP_MS; an hour of the trash must not end inside a step
        time.sleep(0.0012 * SKIP_MS)
        while time.time() % 3600 > 3590:
            time.sleep(1)
        return time.time_ns()

    def step(self, name, action, kind, *, uid=0, gid=0, groups=(), umask=0o022, expect=None, **fields):
        """action(): what the stock mount is asked; kind and fields: our op.  The errno of both must agree, and be
        `expect` when that is given, and then all keys."""
        before = set(self.a("KEYS", "i*"))
        start = self.begin()
        stock = as_user(uid, gid, groups, umask, action)
        self.steps.append((start, time.time_ns()))
        new = [int(k[1:]) for k in set(self.a("KEYS", "i*")) - before if k[1:].isdigit()]
        new = [i for i in new if i < TRASH]
        self.last_inode += 1
        if kind not in ("UNLINK", "RMDIR", "RENAME"):  # there it is what the name is expected to be
            fields.setdefault("ino", new[0] if new else self.last_inode)
        result = self.ours(kind, start, uid=uid, gid=gid, groups=groups, umask=umask, **fields)
        problems = []
        if stock != result.error():
            problems.append(f"  errno: stock {stock}, ours {result.error()} {result.extra!r}")
        if expect is not None and result.error() != expect:
            problems.append(f"  errno: expected {expect}, ours {result.error()}")
        self.verdict(f"{name}: {stock}", problems + self.settled(False))
        return result

    def mirror(self, name, action, **who):
        """Only the stock mount acts; what it changed is copied to the other side."""
        start = self.begin()
        error = as_user(who.get("uid", 0), who.get("gid", 0), who.get("groups", ()), 0o022, action)
        self.steps.append((start, time.time_ns()))
        if error != "OK":
            self.verdict(name, [f"  stock {error}"])
        self.wait_for_statistics()
        self.copy()

    def wait_for_statistics(self):
        """A mount writes those of directories once a second, quotas every three seconds, and some never
        become right (settle(stock=False))."""
        begin, before = time.monotonic(), None
        while time.monotonic() < begin + 4.5:
            now = self.a.dump()
            if now == before and b"dirQuota" not in now and b"1" in now.get(b"dirUsedInodes", {}) and not self.wrong_stats(now):
                break
            before = now
            time.sleep(0.2)

    def wait_for_quotas(self):
        """A mount reads them at every heartbeat: when it does so for the second time, the first is done."""
        seen = Redis(self.sock, 0)
        seen("MONITOR")
        reads = 0
        while reads < 2:
            reads += b'"hscan" "dirQuotaUsedInodes"' in seen.reply()

    def copy(self, but=()):
        for key in set(self.a("KEYS", "*")) | set(self.b("KEYS", "*")):
            if key not in IGNORED and key not in but:
                blob = self.a("DUMP", key)
                if blob is None:
                    self.b("DEL", key)
                else:
                    self.b("RESTORE", key, 0, blob, "REPLACE")

    def mirror_quick(self, action):
        """As mirror() for a change that leaves statistics as they are."""
        start = self.begin()
        action()
        self.steps.append((start, time.time_ns()))
        self.copy(LATE)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
