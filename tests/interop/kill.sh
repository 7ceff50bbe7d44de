#!/bin/bash
# limit: 300
# kill -9 of the writer at any point: then the checkers find nothing, and each file is absent, empty
# or whole.  SEED=n repeats a run; ROUNDS=n makes it longer.
. "$(dirname "$0")/../lib/env.sh"
SEED=${SEED:-$$$(date +%N)}
ROUNDS=${ROUNDS:-16}
RANDOM=$((10#$SEED % 32768))
say "SEED=$SEED"

mkdir "$W/plain"
(cd "$W/plain" && for d in 1 2 3; do mkdir $d && for i in $(seq 60); do
    head -c $((i * i * 40 + 1)) /dev/urandom >"$d/f$i"
done; done && head -c 6000000 /dev/urandom >large && ln 1/f1 hard && ln -s f1 2/soft && mkdir empty)
tar -cf "$W/a.tar" --format=posix -C "$W/plain" 1 2 3 large hard empty

redis_start
format_ours --trash-days 0

# A run under strace lists the system calls; one of them is drawn, and strace kills tar when it comes to
# that call again.  Where strace cannot be, tar is killed after a time.
tar_command=(env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" tar -xpf "$W/a.tar" -C "$PREFIX")
killed_at_call() {
    local line name count
    line=$(((RANDOM * 32768 + RANDOM) % calls + 1))
    name=$(sed -n "${line}s/(.*//p" "$W/calls")
    count=$(head -n "$line" "$W/calls" | grep -c "^$name(")
    WHERE="call $line, $name number $count"
    strace -qq -e trace="$name" -e inject="$name:signal=SIGKILL:when=$count" -o /dev/null "${tar_command[@]}" \
        >"$W/out" 2>&1
}
killed_at_time() {
    local pid
    WHERE="$((RANDOM % 400)) ms"
    "${tar_command[@]}" >"$W/out" 2>&1 &
    pid=$!
    sleep "0.$(printf %03d "${WHERE% ms}")"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null
}
how=killed_at_time
if strace -qq -o "$W/calls" "${tar_command[@]}"; then
    how=killed_at_call
    sed -i '/^[a-z0-9_]*(/!d' "$W/calls"
    calls=$(wc -l <"$W/calls")
    say "$calls system calls"
fi
jfs sh -c "rm -rf $PREFIX/*"

kills=0
for ((round = 1; round <= ROUNDS; round++)); do
    if $how 2>/dev/null; then WHERE+=" (ended before)"; else kills=$((kills + 1)); fi
    if jfs "$PY" "$ROOT/tests/lib/whole.py" "$W/plain" $PREFIX && our_fsck &&
        { [ -z "$JUICEFS" ] || quiet stock fsck "$META"; }; then
        ok "round $round, $WHERE"
    else
        not_ok "round $round, $WHERE"
    fi
    # every other time the next tar finds what the last one left
    [ $((round % 2)) = 0 ] || jfs sh -c "rm -rf $PREFIX/*"
done
case_of "most were killed" test $((kills * 2)) -gt "$ROUNDS"

case_of "tar after all that" quiet jfs tar -xpf "$W/a.tar" -C $PREFIX
tree "$W/plain" | tail -n +2 >"$W/want"
tree_of_volume $PREFIX | tail -n +2 >"$W/got"
same "complete" "$W/want" "$W/got"
case_of "our fsck" our_fsck
case_of "nothing left to say in the staging directory" quiet jfspre status
finish
