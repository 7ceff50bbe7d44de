"""What python programs do with files:  python_files.py DIR.  Prints nothing that differs by place."""
import errno
import fcntl
import glob
import io
import json
import mmap
import multiprocessing
import os
import pathlib
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile

TOP = os.path.abspath(sys.argv[1])
os.chdir(TOP)


def say(label, value=""):
    print(label, str(value).replace(TOP, "TOP"))


def fails(label, call, *args, **kw):
    try:
        say(label, call(*args, **kw))
    except OSError as e:
        say(label, errno.errorcode.get(e.errno, e.errno))


def basics():
    with open("text", "w", encoding="utf-8") as f:
        f.write("grüße\n" * 100)
    say("size", os.path.getsize("text"))
    with open("text", encoding="utf-8") as f:
        say("line", f.readline().strip())
        f.seek(0, io.SEEK_END)
        say("tell", f.tell())
    with open("text", "r+b") as f:
        f.seek(3)
        f.write(b"XYZ")
        f.truncate(30)
    say("bytes", open("text", "rb").read())
    with open("text", "ab", buffering=0) as f:
        f.write(b"!")
    fails("exclusive", open, "text", "x")
    fails("absent", open, "absent")
    fails("directory", open, ".")
    say("stat", oct(os.stat("text").st_mode))
    os.utime("text", ns=(1, 10**18 + 7))
    say("mtime", os.stat("text").st_mtime_ns)
    os.chmod("text", 0o640)
    os.rename("text", "renamed")
    os.replace("renamed", "text")
    os.link("text", "hard")
    os.symlink("text", "soft")
    say("links", (os.stat("text").st_nlink, os.readlink("soft"), os.path.samefile("text", "soft")))
    fails("rmdir", os.rmdir, "text")
    os.makedirs("a/b/c")
    fails("again", os.makedirs, "a/b/c")
    os.removedirs("a/b/c")
    say("list", sorted(os.listdir(".")))
    say("scan", sorted((e.name, e.is_file(), e.is_symlink(), e.stat(follow_symlinks=False).st_nlink)
                       for e in os.scandir(".")))
    fd = os.open("low", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    say("pwrite", os.pwrite(fd, b"abcdef", 2))
    say("pread", os.pread(fd, 4, 1))
    os.ftruncate(fd, 4)
    say("fstat", os.fstat(fd).st_size)
    os.fsync(fd)
    dup = os.dup(fd)
    os.close(fd)
    say("dup", os.read(dup, 10))
    os.close(dup)
    say("access", (os.access("low", os.R_OK), os.access("low", os.X_OK)))


def by_dirfd():
    os.mkdir("base")
    d = os.open("base", os.O_RDONLY)
    os.mkdir("sub", dir_fd=d)
    f = os.open("f", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=d)
    os.write(f, b"x")
    os.close(f)
    os.rename("f", "g", src_dir_fd=d, dst_dir_fd=d)
    say("dirfd", sorted(os.listdir(d)))
    say("fwalk", [(r, sorted(ds), fs) for r, ds, fs, _ in os.fwalk("base")])
    os.unlink("g", dir_fd=d)
    os.rmdir("sub", dir_fd=d)
    os.close(d)
    os.rmdir("base")


def trees():
    top = pathlib.Path("tree")
    for i in range(5):
        (top / str(i)).mkdir(parents=True)
        for j in range(20):
            (top / str(i) / f"f{j}.txt").write_text(f"{i} {j}\n" * j)
    say("glob", len(glob.glob("tree/**/*.txt", recursive=True)))
    say("rglob", len(list(top.rglob("f1*"))))
    say("walk", sum(len(f) for _, _, f in os.walk("tree")))
    shutil.copytree("tree", "copy", symlinks=True)
    shutil.copy2("tree/1/f3.txt", "copied")
    shutil.move("copy/2", "moved")
    say("du", sum(p.stat().st_size for p in top.rglob("*") if p.is_file()))
    shutil.make_archive("arch", "gztar", "tree")
    with tarfile.open("arch.tar.gz") as t:
        say("tar", len(t.getmembers()))
        t.extractall("untar")
    with zipfile.ZipFile("arch.zip", "w") as z:
        for p in sorted(top.rglob("*.txt")):
            z.write(p)
    with zipfile.ZipFile("arch.zip") as z:
        say("zip", (z.testzip(), len(z.namelist())))
        z.extractall("unzip")
    os.remove("arch.tar.gz")
    os.remove("arch.zip")
    shutil.rmtree("copy")
    say("resolve", (top / ".." / "soft").resolve())
    say("gone", os.path.exists("copy"))


def libraries():
    with open("data.json", "w", encoding="utf-8") as f:
        json.dump({"a": [1, 2, 3]}, f)
    say("json", json.load(open("data.json", encoding="utf-8")))
    pickle.dump(list(range(1000)), open("data.pickle", "wb"))
    say("pickle", sum(pickle.load(open("data.pickle", "rb"))))
    with tempfile.TemporaryDirectory(dir=".") as d, tempfile.NamedTemporaryFile(dir=d) as f:
        f.write(b"temporary")
        f.flush()
        say("temp", os.path.getsize(f.name))
    with tempfile.TemporaryFile(dir=".") as f:
        f.write(b"unnamed")
        f.seek(0)
        say("unnamed", f.read())
    with open("mapped", "w+b") as f:
        f.truncate(10000)
        with mmap.mmap(f.fileno(), 10000) as m:
            m[5000:5005] = b"hello"
            say("find", m.find(b"hello"))
    say("mapped", open("mapped", "rb").read()[5000:5005])
    with open("locked", "w", encoding="utf-8") as f:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    db = sqlite3.connect("data.db")
    db.execute("create table t (n integer primary key, s text)")
    with db:
        db.executemany("insert into t values (?, ?)", [(i, "x" * i) for i in range(500)])
    db.close()
    db = sqlite3.connect("data.db")
    say("sqlite", db.execute("select count(*), sum(length(s)) from t").fetchone())
    db.close()
    os.remove("data.db")


def in_thread(n):
    for i in range(30):
        with open(f"thread-{n}-{i}", "w", encoding="utf-8") as f:
            f.write(f"{n}{i}")


def in_process(n):
    with open(f"process-{n}", "w", encoding="utf-8") as f:
        f.write("p" * n)
    return os.path.getsize(f"process-{n}")


def processes():
    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    say("threads", len(glob.glob("thread-*")))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        say("pool", pool.map(in_process, range(6)))
    with open("out", "wb") as out:
        subprocess.run(["echo", "from a child"], stdout=out, check=True)
    say("out", open("out", "rb").read())
    with open("out", "rb") as inp:
        say("cat", subprocess.run(["cat"], stdin=inp, stdout=subprocess.PIPE, check=True).stdout)
    say("shell", subprocess.check_output("cat out | tr a-z A-Z > upper; cat upper", shell=True))
    say("cwd", subprocess.check_output(["cat", "f1.txt"], cwd="tree/3"))
    code = "import os,sys; sys.path.insert(0, '.'); import module; print(module.VALUE, os.getcwd())"
    pathlib.Path("module.py").write_text("VALUE = 'imported'\n")
    say("import", subprocess.check_output([sys.executable, "-c", code]).decode())
    shutil.rmtree("__pycache__", ignore_errors=True)
    pid = os.fork()
    if pid == 0:
        pathlib.Path("forked").write_text("by the child")
        os._exit(0)
    os.waitpid(pid, 0)
    say("forked", pathlib.Path("forked").read_text())


basics()
by_dirfd()
trees()
libraries()
processes()
say("fifo", (os.mkfifo("fifo"), stat.S_ISFIFO(os.stat("fifo").st_mode)))
say("end", sorted(n for n in os.listdir(".") if not n.startswith(("thread-", "process-"))))
