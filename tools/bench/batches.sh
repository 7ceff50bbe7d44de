#!/bin/bash
# (f) The bare loop of batches: what an op costs the server and us, with nothing above the engine.
. "$(dirname "$0")/lib.sh"
redis_start
"${CC:-gcc}" -O2 -std=gnu11 -D_GNU_SOURCE -I"$ROOT" -o "$W/batches" "$ROOT/tools/bench/batches.c" "$B/libcore.a" -lhiredis -lpthread
for n in ${BATCHES:-512 64 2048}; do
    rcli flushall >/dev/null
    rm -rf "$BUCKET"
    format_ours --trash-days 0
    "$W/batches" "$META" "$n" "${OPS:-50000}"
    echo
done
