#!/usr/bin/python3
"""Each file below A is absent, empty or whole below B, and B has nothing else:  whole.py A B"""
import os
import stat
import sys

bad = []
a, b = map(os.fsencode, sys.argv[1:3])


def check(rel):
    one, two = os.path.join(a, rel), os.path.join(b, rel)
    try:
        st = os.lstat(two)
    except FileNotFoundError:
        return "absent"
    if not os.path.lexists(one):
        return bad.append((rel, "is not in the archive"))
    mode = os.lstat(one).st_mode
    if stat.S_IFMT(mode) != stat.S_IFMT(st.st_mode):
        return bad.append((rel, "is of another kind"))
    if stat.S_ISREG(mode):
        data = open(two, "rb").read()
        if data and data != open(one, "rb").read():
            return bad.append((rel, f"is neither empty nor whole: {len(data)} of {os.path.getsize(one)} bytes"))
    if stat.S_ISDIR(mode):
        for name in set(os.listdir(one)) | set(os.listdir(two)):
            check(os.path.join(rel, name))
    return None


for name in set(os.listdir(a)) | set(os.listdir(b)):
    check(name)
for rel, what in bad[:20]:
    print(repr(rel), what)
sys.exit(1 if bad else 0)
