#!/usr/bin/python3
"""Files that share slices, made by a mount's copy_file_range(2):

packs.py make DIR PACKS FILES BYTES   PACKS slices, each of FILES files of BYTES, in DIR/pN/fM
packs.py churn DIR SECONDS SEED       changes files of DIR at random, keeps a model, then compares
"""
import os
import random
import sys
import time


def make(top, packs, files, size):
    for n in range(packs):
        d = f"{top}/p{n}"
        os.makedirs(d)
        with open(f"{d}/whole", "w+b") as whole:
            whole.write(random.Random(n).randbytes(files * size))
            whole.flush()
            os.fsync(whole.fileno())
            for m in range(files):
                with open(f"{d}/f{m}", "wb") as f:
                    done = os.copy_file_range(whole.fileno(), f.fileno(), size, m * size)
                    assert done == size, done
        os.unlink(f"{d}/whole")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def churn(top, seconds, seed):
    rnd = random.Random(seed)
    model = {}
    for d, _, names in os.walk(top):
        for name in names:
            model[f"{d}/{name}"] = read(f"{d}/{name}")
    end, draws = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        path = rnd.choice(sorted(model))
        what = rnd.choice(("unlink", "read", "read", "overwrite", "append", "truncate", "copy", "rename"))
        data, draws = model[path], draws + 1
        if what == "unlink" and len(model) > 20:
            os.unlink(path)
            del model[path]
        elif what == "read":
            assert read(path) == data, path
        elif what == "overwrite":
            off, new = rnd.randrange(len(data) + 1), rnd.randbytes(300)
            with open(path, "r+b") as f:
                f.seek(off)
                f.write(new)
            model[path] = data[:off] + new + data[off + 300:]
        elif what == "append":
            with open(path, "ab") as f:
                f.write(b"more")
            model[path] = data + b"more"
        elif what == "truncate":
            n = rnd.randrange(len(data) + 1)
            os.truncate(path, n)
            model[path] = data[:n]
        elif what == "copy":
            other = f"{path}.{draws}"
            with open(path, "rb") as a, open(other, "wb") as b:
                if data:
                    os.copy_file_range(a.fileno(), b.fileno(), len(data))
            model[other] = data
        elif what == "rename":
            os.rename(path, path + "~")
            model[path + "~"] = model.pop(path)
    wrong = [path for path, data in model.items() if read(path) != data]
    print(f"{draws} draws, {len(model)} files, {len(wrong)} wrong", *wrong[:5])
    return 1 if wrong or draws < 20 else 0


if sys.argv[1] == "make":
    make(sys.argv[2], *map(int, sys.argv[3:]))
else:
    sys.exit(churn(sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
