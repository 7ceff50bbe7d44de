#!/usr/bin/python3
"""Makes files, directories and links in ways that leave many kinds of traces:  activity.py DIR SEED

Used from both sides: on a stock mount, and under the preload.  The tree it leaves depends on the
seed alone (but for times).
"""
import os
import random
import sys

MIB = 1 << 20


def data(rng, n):
    return rng.randbytes(n)


def write(path, blob, at=0, flags=os.O_RDWR | os.O_CREAT):
    fd = os.open(path, flags, 0o644)
    os.pwrite(fd, blob, at)
    os.close(fd)


def files(rng):
    os.makedirs("files/deep/er")
    for i, n in enumerate([0, 1, 100, 4095, 4096, 65536, 65537, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB]):
        write(f"files/size{i}", data(rng, n))
    for i in range(40):
        write(f"files/deep/er/small{i}", data(rng, rng.randrange(3000)))


def changes(rng):
    os.mkdir("changed")
    for i in range(12):
        name = f"changed/over{i}"
        size = rng.choice([500, 70000, 5 * MIB])
        write(name, data(rng, size))
        for _ in range(6):
            write(name, data(rng, rng.randrange(1, size)), rng.randrange(size))
        if i % 3 == 0:
            os.truncate(name, rng.randrange(size))
        if i % 3 == 1:
            os.truncate(name, size + rng.randrange(2 * size))
        if i % 4 == 0:
            write(name, data(rng, 777), os.path.getsize(name) + 10000)
    for i in range(3):
        write("changed/append", data(rng, 1000 * i + 1), flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write("changed/holes", b"x", 70 * MIB)
    write("changed/holes", b"y", 3 * MIB)
    write("changed/zero", data(rng, 5000))
    os.truncate("changed/zero", 0)
    write("changed/cut", data(rng, 3 * MIB))
    os.truncate("changed/cut", 100)
    os.truncate("changed/cut", 2 * MIB)


def names(rng):
    os.mkdir("names")
    write("names/one", b"linked")
    os.link("names/one", "names/two")
    os.link("names/one", "files/three")
    os.symlink("../files/size2", "names/link")
    os.symlink("x" * 4000, "names/long-link")
    os.mkfifo("names/fifo", 0o620)
    for odd in (b"new\nline", b"\xff\xfe", b" ", b"n" * 255, "ü".encode()):
        write(b"names/" + odd, odd)
    os.mkdir("names/mode", 0o700)
    os.chmod("names/mode", 0o2751)
    write("names/setuid", b"#!")
    os.chmod("names/setuid", 0o4755)
    if os.geteuid() == 0:
        os.chown("names/setuid", 12, 34)
        os.chmod("names/setuid", 0o4755)
        os.chown("names/link", 56, 78, follow_symlinks=False)
    os.utime("names/one", ns=(123456789012345678, 987654321098765432))
    os.setxattr("names/one", "user.key", b"value\0\xff")
    os.mkdir("names/from")
    os.mkdir("names/to")
    for i in range(20):
        write(f"names/from/f{i}", data(rng, 100))
    for i in range(0, 20, 2):
        os.rename(f"names/from/f{i}", f"names/to/g{i}")
    for i in range(1, 20, 4):
        os.rename(f"names/from/f{i}", f"names/to/g{i - 1}")
    os.rename("names/to", "names/moved")
    os.mkdir("names/gone")
    write("names/gone/x", b"x")
    os.unlink("names/gone/x")
    os.rmdir("names/gone")
    for i in range(0, 40, 3):
        os.unlink(f"files/deep/er/small{i}")


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    os.umask(0o022)
    rng = random.Random(int(sys.argv[2]))
    files(rng)
    changes(rng)
    names(rng)


main()
