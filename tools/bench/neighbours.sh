#!/bin/bash
# What a stock client pays for a neighbour that streams: its creates in a directory alone, and while we stream
# into the same one, at several round trips to Redis (ours is near).  The bar is 3 times its idle p99 (DESIGN 5).
#   CREATES=200
. "$(dirname "$0")/lib.sh"
need_stock
need_fuse
CREATES=${CREATES:-200}

cat >"$W/creates.py" <<'END'
import os, sys, time
top, n = sys.argv[1], int(sys.argv[2])
took = []
for i in range(n):
    start = time.perf_counter()
    os.close(os.open(f"{top}-{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    took.append(time.perf_counter() - start)
took.sort()
print(f"{took[n // 2] * 1e3:.2f} {took[min(n - 1, n * 99 // 100)] * 1e3:.2f} {took[-1] * 1e3:.2f}")
END
# Round after round of what may be streamed into one directory.
cat >"$W/stream.py" <<'END'
import os, sys, time
top, stop = sys.argv[1:]
n = 0
while not os.path.exists(stop):
    with open(f"{top}/s{n}", "w") as f:
        f.write("x")
    n += 1
    if n % 1000 == 0:
        for i in range(n - 1000, n):
            os.unlink(f"{top}/s{i}")
    time.sleep(0.0005)
print(n)
END

printf '%-8s %10s %10s %10s %10s %10s %8s %9s\n' "rtt ms" "idle p50" "p99 ms" "loaded p50" "p99 ms" "worst ms" "ratio" "streamed"
for us in 50 500 2000; do
    BUCKET=$W/bucket-$us
    mkdir "$BUCKET"
    rm -rf "$W/cache"
    redis_start
    format_stock --trash-days 0
    direct=$META
    rm -f "$W/relay.sock" "$W/stop"
    "$B/t/fault_proxy" "$W/relay.sock" "$SOCK" "delay $us $us" &
    relay=$!
    PIDS+=("$relay")
    eventually 10 test -S "$W/relay.sock"
    META="unix://$W/relay.sock?db=0" stock_mount
    mkdir "$MNT/dir"
    "$PY" "$W/creates.py" "$MNT/dir/warm" 20 >/dev/null
    read -r idle50 idle99 _ <<<"$("$PY" "$W/creates.py" "$MNT/dir/idle" "$CREATES")"
    (cd / && jfs python3 "$W/stream.py" "$PREFIX/dir" "$W/stop") >"$W/made" &
    streamer=$!
    eventually 20 test -e "$MNT/dir/s20" || true
    read -r p50 p99 worst <<<"$("$PY" "$W/creates.py" "$MNT/dir/loaded" "$CREATES")"
    touch "$W/stop"
    wait $streamer
    printf '%-8s %10s %10s %10s %10s %10s %8s %9s\n' "$(awk "BEGIN { print $us / 500 }")" "$idle50" "$idle99" "$p50" "$p99" "$worst" \
        "$(ratio "$p99" "$idle99")" "$(cat "$W/made")"
    stock_umount
    META=$direct
    kill $relay
    redis_kill
done
