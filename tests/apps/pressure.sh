#!/bin/bash
# What limits batches: their size, which grows while the store does not keep up, and how much may wait.
# The interval is so long that only these decide.
. "$(dirname "$0")/../lib/env.sh"

redis_start
format_ours --trash-days 0
scrape() { jfspre stats --prometheus >"$W/prom"; }
value() { awk -v m="jfspre_$1" -v l="${2:-}" 'index($1, m "{") == 1 && (l == "" || index($1, l)) { print $2 }' "$W/prom"; }
with() { # PARAMETERS: of the volume from here on, counts begin anew
    # shellcheck disable=SC2034 # jfs() uses it
    JFS_ENV[0]="JFSPRE_META=$META&batch_interval=10s&$1"
    rm -rf "$W"/cache/*
}
cat >"$W/make.py" <<'END'
import os, sys, time
name, n = sys.argv[1], int(sys.argv[2])
os.mkdir(name)
d = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
def make(files):
    for f in files:
        os.close(os.open(f, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=d))
make(["one", "two", "three"])
def pause(done): # said by a native file: a pipe would wait for the store
    if len(sys.argv) > 3:
        os.close(os.open(f"{sys.argv[3]}/{done}", os.O_WRONLY | os.O_CREAT))
        while not os.path.exists(f"{sys.argv[3]}/after-{done}"):
            time.sleep(0.005)
pause("ready")
make([f"f{i}" for i in range(n)])
pause("made")
END

# --- how much may wait -----------------------------------------------------------------------------
with batch_size=4096
jfs "$PY" "$W/make.py" "$PREFIX/all" 200
scrape
case_of "all wait until the end" [ "$(value ops_direct_total 'op="open"')" -le 6 -a "$(value ops_queued_total 'op="make"')" -ge 195 ]
with "batch_size=4096&max_pending=10"
jfs "$PY" "$W/make.py" "$PREFIX/ten" 200
scrape
say "$(value ops_direct_total 'op="open"') of 203 waited for the store"
case_of "max_pending: one in eleven waits for the store" \
    [ "$(value ops_direct_total 'op="open"')" -ge 17 -a "$(value ops_direct_total 'op="open"')" -le 25 ]
case_of "and a batch has ten" [ "$(value batch_ops_bucket 'le="10"')" = "$(value batch_ops_count)" ]
with "batch_size=4096&max_pending_bytes=64k"
jfs "$PY" "$W/make.py" "$PREFIX/bytes" 1000
scrape
case_of "max_pending_bytes holds up too" [ "$(value ops_direct_total 'op="open"')" -ge 5 ]

# --- their size ------------------------------------------------------------------------------------
with "batch_size=50&batch_size_max=50"
jfs "$PY" "$W/make.py" "$PREFIX/fifty" 200
scrape
case_of "batch_size: no batch is larger" [ "$(value batch_ops_bucket 'le="50"')" = "$(value batch_ops_count)" ]
case_of "and it is what is in force" [ "$(value batch_size)" = 50 ]

with "batch_size=8&batch_size_max=200&high_watermark=16&low_watermark=2"
mkdir "$W/say"
jfs "$PY" "$W/make.py" "$PREFIX/grows" 300 "$W/say" &
PROGRAM_PID=$!
eventually 60 test -e "$W/say/ready"
kill -STOP "$REDIS_PID"
: >"$W/say/after-ready"
eventually 60 test -e "$W/say/made"
kill -CONT "$REDIS_PID"
: >"$W/say/after-made"
wait "$PROGRAM_PID"
scrape
case_of "a store that stands still: batches grow" [ "$(value batch_ops_bucket 'le="250"')" -gt "$(value batch_ops_bucket 'le="100"')" ]
case_of "which is said" [ "$(value batch_size)" = 200 ]
case_of "nothing is pending" [ "$(value queue_depth)" = 0 ]
for d in all:203 ten:203 bytes:1003 fifty:203 grows:303; do
    case_of "every file is there: ${d%:*}" [ "$(jfs ls "$PREFIX/${d%:*}" | wc -l)" = "${d#*:}" ]
done
checkers "after all that"
finish
