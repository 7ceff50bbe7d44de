#!/bin/bash
# limit: 240
# A stock client works in a directory while we stream into it, at several distances from Redis: it
# never fails, and neither of us loses a name (DESIGN 5, neighbours).
. "$(dirname "$0")/../lib/env.sh"
need_stock
need_fuse

relay_start() { # COMMAND: to the Redis of $SOCK
    RELAY_SOCK=$W/relay.sock
    rm -f "$RELAY_SOCK"
    "$B/t/fault_proxy" "$RELAY_SOCK" "$SOCK" "$@" &
    RELAY_PID=$!
    PIDS+=("$RELAY_PID")
    RELAY="unix://$RELAY_SOCK?db=0"
    eventually 10 test -S "$RELAY_SOCK"
}
relay_stop() {
    kill "$RELAY_PID"
    wait "$RELAY_PID" 2>/dev/null || true
}

# round NAME PROXY-OPTIONS...: stock reaches Redis through the proxy, we directly
round() {
    local name=$1 direct
    shift
    BUCKET=$W/bucket-$name
    mkdir "$BUCKET"
    rm -rf "$W/cache"
    redis_start
    format_stock --trash-days 0
    direct=$META
    relay_start "$@"
    META=$RELAY stock_mount
    mkdir "$MNT/dir"
    # The stream: into a directory that we did not make, as long as stock is at work.  Below 4,096 entries, what can
    # be streamed into; slow enough to last.
    cat >"$W/stream.py" <<'END'
import os, sys, time
top, stop = sys.argv[1:]
n = 0
while (not os.path.exists(stop) or n < 300) and n < 3500:
    with open(f"{top}/s{n}", "w") as f:
        f.write("x")
    n += 1
    time.sleep(0.001)
print(n)
END
    (cd / && jfs python3 "$W/stream.py" "$PREFIX/dir" "$W/stop-$name") >"$W/made" 2>"$W/err" &
    local streamer=$! failed=0
    for i in $(seq 40); do
        touch "$MNT/dir/t$i" || failed=$((failed + 1))
    done
    touch "$W/stop-$name"
    wait $streamer
    META=$direct
    case_of "$name: no touch of stock failed" [ $failed = 0 ]
    case_of "$name: we said nothing" [ ! -s "$W/err" ]
    case_of "$name: we streamed" [ "$(cat "$W/made")" -ge 300 ]
    (seq 40 | sed s/^/t/ && seq 0 $(($(cat "$W/made") - 1)) | sed s/^/s/) | sort >"$W/want"
    (cd / && jfs ls "$PREFIX/dir") | sort >"$W/have"
    case_of "$name: every name is there" cmp "$W/want" "$W/have"
    META=$RELAY stock_umount
    relay_stop
    case_of "$name: fsck" "$JFSPRE" fsck "$direct"
    redis_kill
    rm -f "$W/dump.rdb"
}
round near "delay 50 50"
round "1 ms" "delay 500 500"
round "4 ms" "delay 2000 2000"
finish
