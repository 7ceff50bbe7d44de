#!/usr/bin/python3
"""Runs one test and leaves nothing of it behind:  supervise.py SECONDS CMD...

The process becomes the reaper of all it starts, so servers and daemons of the test cannot slip
away.  The command gets a TMPDIR of its own, made here.  After it, or when the time is up,
descendants are killed, mounts below that directory are undone and it is removed.  Exit status: the
command's; 124 when the time was up; 125 when it succeeded but left something behind.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants():
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                state, ppid = f.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        parents[int(pid)] = (int(ppid), state)
    mine, grew = {os.getpid()}, True
    while grew:
        more = {p for p, (pp, _) in parents.items() if pp in mine} - mine
        grew = bool(more)
        mine |= more
    mine.discard(os.getpid())
    return {p for p in mine if parents[p][1] != "Z"}


def name_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")[:120]
    except OSError:
        return "?"


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_rest():
    """Returns what had to be killed; a process that is just leaving gets two seconds."""
    end = time.monotonic() + 2
    while descendants() and time.monotonic() < end:
        reap()
        time.sleep(0.02)
    killed = []
    while left := descendants():
        for pid in left:
            killed.append(f"{pid} {name_of(pid)}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
        reap()
    return killed


def mounts_below(path):
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        points = [line.split()[1].encode().decode("unicode_escape") for line in f]
    return [p for p in points if p.startswith(path + "/")]


def main():
    seconds, cmd = float(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    where = tempfile.mkdtemp(prefix="jfspre-run.")
    os.chmod(where, 0o755)  # tests change their uid
    child = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, start_new_session=True,
                             env=dict(os.environ, TMPDIR=where))
    try:
        status = child.wait(seconds)
        status = status if status >= 0 else 128 - status
    except subprocess.TimeoutExpired:
        print(f"time is up after {seconds:.0f} s; running: ", end="")
        print("; ".join(name_of(p) for p in sorted(descendants())), flush=True)
        status = 124
        os.killpg(child.pid, signal.SIGTERM)
    finally:
        mounts = mounts_below(where)
        killed = kill_rest()
        for point in reversed(mounts_below(where)):
            subprocess.run(["umount", "-l", point], check=False)
        subprocess.run(["chattr", "-R", "-ia", where], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(where, ignore_errors=True)
    if status == 0 and (killed or mounts):
        print("left behind:", *killed, *mounts, sep="\n  ")
        status = 125
    return status


sys.exit(main())
