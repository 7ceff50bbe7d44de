#!/bin/sh
# Fails on an #include that points up: what a folder may include stands in layers.txt, hiredis is
# seen by core/redis (and by the tests' own connection to a server) alone and lmdb.h by core/lmdb
# alone.
set -eu
cd "$(dirname "$0")/.."
git ls-files -co --exclude-standard '*.c' '*.h' '*.S' | xargs awk '
    FNR == 1 { folder = FILENAME; sub("/[^/]*$", "", folder) }
    FILENAME == "tools/layers.txt" {
        if (/^#/ || NF == 0) next
        from = $1; sub(":$", "", from); known[from] = 1
        for (i = 2; i <= NF; i++) may[from, $i] = 1
        next
    }
    /^[ \t]*#[ \t]*include[ \t]/ {
        what = $0; sub(/^[^"<]*["<]/, "", what); sub(/[">].*/, "", what)
        if (what ~ /hiredis/ && folder != "core/redis" && folder != "tests/lib" || what == "lmdb.h" && folder != "core/lmdb")
            wrong("is for one folder only")
        if ($0 !~ /"/) next
        to = what
        if (!sub("/[^/]*$", "", to)) next # a file beside it
        if (to == folder || to == "gen") next
        if (!(folder in known)) wrong("has no row in layers.txt for its folder")
        else if (!((folder, to) in may)) wrong("points up")
    }
    function wrong(why) { printf "%s:%d: include of %s %s\n", FILENAME, FNR, what, why; bad = 1 }
    END { exit bad }
' tools/layers.txt
