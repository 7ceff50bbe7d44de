#!/bin/bash
# limit: 300
# kill -9 of the writer at any point: then the checkers find nothing, and each file is absent, empty
# or whole.  SEED=n repeats a run; ROUNDS=n makes it longer.
. "$(dirname "$0")/../lib/env.sh"
SEED=${SEED:-$$$(date +%N)}
ROUNDS=${ROUNDS:-12}
RANDOM=$((10#$SEED % 32768))
say "SEED=$SEED"

mkdir "$W/plain"
(cd "$W/plain" && for d in 1 2 3; do mkdir $d && for i in $(seq 60); do
    head -c $((i * i * 40 + 1)) /dev/urandom >"$d/f$i"
done; done && head -c 6000000 /dev/urandom >large && ln 1/f1 hard && ln -s f1 2/soft && mkdir empty)
tar -cf "$W/a.tar" --format=posix -C "$W/plain" .

redis_start
format_ours --trash-days 0

# after CALLS: unpacks under strace, which kills at that system call; returns non-zero when it ended before
cut_off() {
    local status=0
    strace -f -qq -e trace=none -e inject=all:signal=SIGKILL:when="$1" -o /dev/null \
        env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" tar -xpf "$W/a.tar" -C $PREFIX >"$W/out" 2>&1 || status=$?
    [ $status != 0 ]
}
# Where strace cannot be: after a time
cut_off_by_time() {
    jfs tar -xpf "$W/a.tar" -C $PREFIX >"$W/out" 2>&1 &
    local pid=$! status=0
    sleep "0.$(printf %03d $((RANDOM % 400)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || status=$?
    [ $status != 0 ]
}
how=cut_off
strace -qq -e trace=none -o /dev/null true 2>/dev/null || how=cut_off_by_time

# how many system calls a whole run makes
calls=30000
if [ $how = cut_off ]; then
    strace -f -qq -o "$W/calls" env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" tar -xpf "$W/a.tar" -C $PREFIX
    calls=$(wc -l <"$W/calls")
    jfs sh -c "rm -rf $PREFIX/*"
fi
say "$how, $calls calls"

for ((round = 1; round <= ROUNDS; round++)); do
    at=$(((RANDOM * 32768 + RANDOM) % calls + 1))
    $how $at || say "round $round ended before it was killed"
    name="round $round, at call $at"
    if jfs "$PY" "$ROOT/tests/lib/whole.py" "$W/plain" $PREFIX && our_fsck &&
        { [ -z "$JUICEFS" ] || quiet stock fsck "$META"; }; then
        ok "$name"
    else
        not_ok "$name"
    fi
    # every other time the next tar finds what the last one left
    [ $((round % 2)) = 0 ] || jfs sh -c "rm -rf $PREFIX/*"
done

case_of "tar after all that" quiet jfs tar -xpf "$W/a.tar" -C $PREFIX
tree "$W/plain" | tail -n +2 >"$W/want"
tree_of_volume $PREFIX | tail -n +2 >"$W/got"
same "complete" "$W/want" "$W/got"
case_of "our fsck" our_fsck
case_of "nothing left to say in the staging directory" quiet jfspre status
finish
