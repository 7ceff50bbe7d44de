#!/bin/bash
# limit: 240
# Two of our processes and one stock client at random in one directory: no name is lost, no client
# fails, every counter is exact.  First the same with three of ours.  SEED=n repeats the choices (not the timing).
. "$(dirname "$0")/../lib/env.sh"
need_stock
need_fuse
SEED=${SEED:-$(date +%s)}
STEPS=${STEPS:-700}
say "SEED=$SEED"

# list DIR: what is there, in the form of race.py's lists, from under the preload or native
cat >"$W/list.py" <<'END'
import os, sys
top = sys.argv[1]
for where, dirs, files in os.walk(top):
    for n in dirs + files:
        p = os.path.join(where, n)
        rel = os.path.relpath(p, top)
        if rel.startswith("all"):
            continue
        if os.path.islink(p):
            print(rel, os.readlink(p))
        elif os.path.isdir(p):
            print(rel, "dir")
        else:
            v = open(p, "rb").read()
            print(rel, v.hex()[:64] + f" {len(v)}")
END

round() {
    local name=$1 status
    shift
    BUCKET=$W/bucket-$name
    mkdir "$BUCKET"
    rm -rf "$W/cache" && mkdir -m 1777 "$W/cache"
    redis_start
    format_stock "$@"
    stock_mount
    jfs mkdir -m 777 $PREFIX/dir
    local pids=()
    jfs "$PY" "$ROOT/tests/lib/race.py" $PREFIX/dir one "$SEED" "$STEPS" "$W/one" >"$W/one.out" 2>&1 &
    pids+=($!)
    jfs "$PY" "$ROOT/tests/lib/race.py" $PREFIX/dir two "$SEED" "$STEPS" "$W/two" >"$W/two.out" 2>&1 &
    pids+=($!)
    if [ "$name" = ours ]; then
        jfs "$PY" "$ROOT/tests/lib/race.py" $PREFIX/dir stock "$SEED" "$STEPS" "$W/stock" >"$W/stock.out" 2>&1 &
    else
        "$PY" "$ROOT/tests/lib/race.py" "$MNT/dir" stock "$SEED" "$STEPS" "$W/stock" >"$W/stock.out" 2>&1 &
    fi
    pids+=($!)
    for i in 0 1 2; do
        status=0
        wait "${pids[$i]}" || status=$?
        who=$(echo one two stock | cut -d' ' -f$((i + 1)))
        [ $status = 0 ] || tail -3 "$W/$who.out"
        case_of "$name: client $who" test $status = 0
    done
    sort "$W/one" "$W/two" "$W/stock" >"$W/want"
    jfs "$PY" "$W/list.py" $PREFIX/dir | sort >"$W/ours"
    same "$name: nothing lost, as we see it" "$W/want" "$W/ours"
    stock_umount
    stock_mount
    "$PY" "$W/list.py" "$MNT/dir" | sort >"$W/theirs"
    same "$name: nothing lost, as stock sees it" "$W/want" "$W/theirs"
    stock_umount
    checkers "$name"
    redis_kill
}
round ours --trash-days 0 # all three are ours: directory statistics are exact as well
export SHALLOW=1          # stock counts those after the change, and not at all when it dies or misses it
round plain --trash-days 0
round trash --trash-days 1
finish
