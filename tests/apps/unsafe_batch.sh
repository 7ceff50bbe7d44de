#!/bin/bash
# unsafe_batch=1: plain commands leave the volume that the script leaves, when nobody else changes it.
. "$(dirname "$0")/../lib/env.sh"

# --- one tree, made by programs of several kinds -------------------------------------------------------
mkdir -p "$W/src"
"$PY" - "$W/src" <<'END'
import os, sys
top = sys.argv[1]
for d in range(40):
    path = f"{top}/d{d % 7}/e{d}"
    os.makedirs(path)
    for f in range(50):
        with open(f"{path}/f{f}", "wb") as out:
            out.write(b"%d %d\n" % (d, f) * (f * 37 if f % 5 else 0))
        os.chmod(f"{path}/f{f}", 0o600 + f % 64)
    os.symlink("f1", f"{path}/link")
    os.symlink("a/b/c" * d + "x", f"{path}/dangling")
    os.mkfifo(f"{path}/fifo")
    os.chmod(path, 0o2755 if d % 3 else 0o700)
    os.utime(path, (1000 + d, 2000 + d))
with open(f"{top}/big", "wb") as out:
    out.write(os.urandom(3 << 20))
os.link(f"{top}/big", f"{top}/d0/big too")
END
tar -cf "$W/x.tar" -C "$W/src" .
cat >"$W/more.py" <<'END'
import os
os.mkdir("made")
os.mkdir("made/sub")
for i in range(3000):
    with open(f"made/n{i}", "w") as f:
        f.write("x" * (i % 9))
    if i % 10 == 0:
        os.mkdir(f"made/sub/{i}")
        os.symlink("here", f"made/sub/{i}/s")
        os.chown(f"made/sub/{i}", os.getuid(), os.getgid())
    if i % 100 == 50:
        os.rename(f"made/n{i}", f"made/sub/was{i}")
        os.unlink(f"made/n{i - 1}")
        os.chmod(f"made/n{i - 2}", 0o700)
        os.utime(f"made/n{i - 3}", (7, 8))
    if i % 300 == 299:
        with open(f"made/n{i - 7}", "a") as f:
            f.write("appended" * 1000)
        os.truncate(f"made/n{i - 8}", 3)
END
# The metadata of a volume without what differs between two runs of the same.
cat >"$W/plain.py" <<'END'
import json, sys
drop = {"inode", "parent", "atime", "mtime", "ctime", "atimensec", "mtimensec", "ctimensec", "id",
        "size", "off"}  # of packs: who shares one is a matter of time
def clean(x):
    if isinstance(x, dict):
        return {k: clean(v) for k, v in sorted(x.items()) if k not in drop}
    return [clean(v) for v in x] if isinstance(x, list) else x
d = json.load(open(sys.argv[1]))
d = {"tree": clean(d["FSTree"]), "used": d["Counters"]["usedSpace"], "inodes": d["Counters"]["usedInodes"]}
json.dump(d, open(sys.argv[2], "w"), indent=0)
END

fill() { # NAME: leaves NAME.json and NAME.tree
    jfs mkdir "$PREFIX/t"
    quiet jfs tar -xf "$W/x.tar" -C "$PREFIX/t"
    (cd / && jfs sh -c "cd $PREFIX && exec '$PY' '$W/more.py'")
    quiet jfspre dump "$META" "$W/dump"
    "$PY" "$W/plain.py" "$W/dump" "$W/$1.json"
    tree_of_volume "$PREFIX/t" >"$W/$1.tree"
    statistics >"$W/$1.stats"
    checkers "$1"
}
# What each directory holds by the statistics kept, beside what it is called.
statistics() {
    jfs find "$PREFIX" -type d -printf '%i %P\n' >"$W/dirs"
    for hash in dirUsedInodes dirUsedSpace dirDataLength; do
        rcli hgetall $hash | paste - - | sort >"$W/$hash"
    done
    sort "$W/dirs" | join - "$W/dirUsedInodes" | join - "$W/dirUsedSpace" | join - "$W/dirDataLength" |
        cut -d' ' -f2- | sort
}
calls() { rcli info commandstats | sed -n "s/^cmdstat_$1:calls=\([0-9]*\).*/\1/p"; }

redis_start
format_ours --trash-days 0
fill script
case_of "the script's commands are no commands of a client" [ -z "$(calls bitfield)" ]
rcli flushall >/dev/null
rcli config resetstat >/dev/null
rm -rf "${BUCKET:?}"/* "$W/cache"/*
format_ours --trash-days 0
# shellcheck disable=SC2034 # read by jfs() and jfspre()
JFS_ENV[0]="JFSPRE_META=$META&unsafe_batch=1"
fill unsafe 2>"$W/said"
case_of "most of it went without the script" [ "$(calls bitfield)" -gt 100 ]
same "the same metadata" "$W/script.json" "$W/unsafe.json"
same "the same tree" "$W/script.tree" "$W/unsafe.tree"
case_of "there are statistics to compare" [ "$(wc -l <"$W/unsafe.stats")" -gt 300 ]
same "the same statistics" "$W/script.stats" "$W/unsafe.stats"
if [ -n "$JUICEFS" ] && can_mount; then
    stock_mount
    tree "$MNT/t" >"$W/stock.tree"
    same "a stock mount sees it" "$W/unsafe.tree" "$W/stock.tree"
    stock_umount
fi

# --- what is said ------------------------------------------------------------------------------------
jfs "$PY" -c "import os
for i in range(5000): os.mkdir('$PREFIX/w%d' % i) if i < 3 else open('$PREFIX/w%d/%d' % (i % 3, i), 'w').close()
os.fork() or os._exit(0)" 2>"$W/said"
case_of "one line warns, of a program that makes thousands" \
    [ "$(wc -l <"$W/said") $(grep -c 'unsafe_batch=1: whoever else changes the volume' "$W/said")" = "1 1" ]
checkers "all of it"

status=0
jfspre fsck "lmdb://$W/none?unsafe_batch=1" >"$W/said" 2>&1 || status=$?
case_of "an embedded store refuses it by name" [ "$status $(grep -c 'unsafe_batch: lmdb:// has no such thing' "$W/said")" = "2 1" ]
finish
