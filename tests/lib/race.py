#!/usr/bin/python3
"""One of several clients that work in the same directory at random:  race.py DIR NAME SEED STEPS LIST

Names that begin with NAME are this client's own: what becomes of them is written to LIST at the
end, and must be so for everybody.  Names that begin with "all" are fought over: there an operation may
fail, but only as POSIX lets it.
"""
import errno
import os
import random
import sys

TOP, ME, SEED, STEPS, LIST = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rng = random.Random(f"{ME}-{SEED}")
own = {}     # name -> content, None for a directory, ("->", target) for a symlink
serial = 0
# what an open file's write and close may say when another client removed it
LOST = {errno.EBADF} if ME == "stock" else {errno.ESTALE}
CONTENDED = {errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM,
             # another host's client removed the file between open and close: ours says so by the
             # one, a stock mount by the other (juicefs-format.md 5.14)
             errno.ESTALE, errno.EBADF}


def fresh(dirs=True):
    global serial
    serial += 1
    places = [n for n, v in own.items() if v is None] if dirs else []
    where = rng.choice(places) + "/" if places and rng.random() < 0.5 else ""
    return f"{where}{ME}{serial}"


def put(name, data):
    with open(os.path.join(TOP, name), "wb") as f:
        f.write(data)


def put_contended(name, data):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(fd, data)
        os.fsync(fd)
    except OSError as e:
        if e.errno not in LOST:
            raise
    try:
        os.close(fd)
    except OSError as e:
        if e.errno not in LOST:
            raise


def pick(kind):
    names = [n for n, v in own.items() if kind(v)]
    return rng.choice(names) if names else None


def is_file(v):
    return isinstance(v, bytes)


def step_own():
    action = rng.randrange(10)
    if action < 4:
        name, data = fresh(), rng.randbytes(rng.choice([0, 10, 5000, 70000]))
        put(name, data)
        own[name] = data
    elif action == 4:
        name = fresh(dirs=False)
        os.mkdir(os.path.join(TOP, name))
        own[name] = None
    elif action == 5 and (name := pick(is_file)):
        os.unlink(os.path.join(TOP, name))
        del own[name]
    elif action == 6 and (name := pick(is_file)):
        new = fresh()
        os.rename(os.path.join(TOP, name), os.path.join(TOP, new))
        own[new] = own.pop(name)
    elif action == 7 and (name := pick(is_file)):
        more = rng.randbytes(300)
        with open(os.path.join(TOP, name), "ab") as f:
            f.write(more)
        own[name] += more
    elif action == 8:
        name = fresh()
        os.symlink(f"to-{name}", os.path.join(TOP, name))
        own[name] = ("->", f"to-{name}")
    elif action == 9 and (name := pick(is_file)):
        new = fresh()
        os.link(os.path.join(TOP, name), os.path.join(TOP, new))
        os.unlink(os.path.join(TOP, name))
        own[new] = own.pop(name)


def step_all():
    a, b = (os.path.join(TOP, f"all{rng.randrange(6)}") for _ in range(2))
    what = rng.randrange(7)
    try:
        if what == 0:
            os.close(os.open(a, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        elif what == 1:
            put_contended(a, rng.randbytes(100))
        elif what == 2:
            os.unlink(a)
        elif what == 3:
            os.rename(a, b)
        elif what == 4:
            os.mkdir(a)
        elif what == 5:
            os.rmdir(a)
        else:
            os.listdir(TOP)
    except OSError as e:
        if e.errno not in CONTENDED:
            raise


for _ in range(STEPS):
    step_own()
    if rng.random() < 0.5:
        step_all()
with open(LIST, "w", encoding="utf-8") as out:
    for n in sorted(own):
        v = own[n]
        print(n, "dir" if v is None else v[1] if isinstance(v, tuple) else v.hex()[:64] + f" {len(v)}", file=out)
