#!/bin/bash
# A writer is killed right after it was told that its changes happened: `jfspre sync` has them all in
# the store, exactly once.
. "$(dirname "$0")/../lib/env.sh"

volume_start
format_ours --trash-days 0

# The interval is long, so that nothing is sent by itself; the kill comes when all is acknowledged.
cat >"$W/writer.py" <<'EOF'
import os, signal, sys
top = sys.argv[1]
os.mkdir(top + "/d")
for i in range(300):
    with open(f"{top}/d/f{i}", "w") as f:
        f.write("content %d" % i)
for i in range(0, 300, 3):
    os.unlink(f"{top}/d/f{i}")
for i in range(1, 300, 3):
    os.rename(f"{top}/d/f{i}", f"{top}/d/g{i}")
for i in range(300, 320):
    with open(f"{top}/d/h{i}", "w") as f:
        f.write("content %d" % i)
os.kill(os.getpid(), signal.SIGKILL)
EOF
slow="$META$(case $META in *\?*) echo '&' ;; *) echo '?' ;; esac)batch_interval=60s"
status=0
(cd / && env "${JFS_ENV[@]}" JFSPRE_META="$slow" LD_PRELOAD="$PRELOAD" python3 "$W/writer.py" "$PREFIX") \
    2>"$W/err" || status=$?
case_of "killed" [ $status = 137 ]
run_tool() { env "${JFS_ENV[@]}" "$B/jfspre" "$@"; }
run_tool sync "$META" >"$W/said"
case_of "something was pending" grep -qE '^[1-9][0-9]* changes? sent' "$W/said"
run_tool sync "$META" >"$W/again"
case_of "nothing is now" grep -q '^0 changes sent, 0 files' "$W/again"
# Another host: a cache directory of its own.
other() { (cd / && env "${JFS_ENV[@]}" JFSPRE_CACHE_DIR="$W/other" LD_PRELOAD="$PRELOAD" "$@"); }
other ls "$PREFIX/d" | sort >"$W/names"
python3 -c '
for i in range(300):
    if i % 3 == 1: print(f"g{i}")
    if i % 3 == 2: print(f"f{i}")
for i in range(300, 320): print(f"h{i}")' | sort >"$W/want"
case_of "all names" cmp "$W/names" "$W/want"
other bash -c "cd $PREFIX/d && cat \$(ls)" >"$W/bytes"
(while read -r n; do printf 'content %d' "${n#?}"; done <"$W/names") >"$W/want"
case_of "all bytes" cmp "$W/bytes" "$W/want"
case_of "fsck" run_tool fsck "$META"
finish
