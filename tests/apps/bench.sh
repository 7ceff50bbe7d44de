#!/bin/bash
# jfspre bench: the figures it prints, and that it leaves the volume as it was: when it is done, when
# it is interrupted, when it fails.
. "$(dirname "$0")/../lib/env.sh"

volume_start
format_ours --trash-days 0 --inodes 3000

left_nothing() { # NAME: two cases or three
    case_of "$1: nothing is left in the volume" [ -z "$(jfs ls -A "$PREFIX")" ]
    case_of "$1: nor in the cache directory" eval "! ls -d '$W'/cache/bench.* 2>/dev/null"
    checkers "$1"
}

jfspre bench -n 40 -p 3 >"$W/table" 2>"$W/err"
case_of "the table has all kinds of work" \
    [ "$(grep -cE '^(create empty|create 4 KiB|stat|list|read|rename|unlink) .* x +([0-9]+ %|-)$' "$W/table")" = 7 ]
case_of "and the three modes" grep -Eqx ' +batched +one by one +unsafe' "$W/table"
case_of "and what it was measured on" grep -Eq "^volume +$NAME at $ENGINE|^volume +$NAME at unix.*, Redis [0-9.]+, AOF off$" "$W/table"
case_of "and the round trip" grep -Eqx 'round trip +[0-9]+\.[0-9]+ ms' "$W/table"
case_of "nothing else is said" [ ! -s "$W/err" ]
left_nothing "done"

jfspre bench -n 40 -p 3 -r 2 --json >"$W/json"
cat >"$W/check.py" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
assert (d["files"], d["processes"], d["runs"]) == (40, 3, 2), d
assert d["round_trip_ms"] > 0 and d["server"] and d["meta"], d
works = ["create empty", "create 4 KiB", "stat", "list", "read", "rename", "unlink"]
for mode in ("batched", "one by one", "unsafe"):
    rows = [r for r in d["results"] if r["mode"] == mode]
    assert rows[0]["built"] == (mode != "unsafe" or sys.argv[2] == "redis"), rows
    if not rows[0]["built"]:
        assert len(rows) == 1, rows
        continue
    assert [r["work"] for r in rows] == works, rows
    for r in rows:
        assert r["files"] == (80 if r["work"] == "unlink" else 40), r
        assert abs(r["files_per_s"] - r["files"] / r["seconds"]) <= r["files_per_s"] / 50, r
        assert r["round_trips"] >= 1, r
    if mode == "one by one":
        each = {r["work"]: r["round_trips_per_file"] for r in rows}
        assert all(r["queued"] == 0 and r["speed_up"] == 1 for r in rows), rows
        # Each change is a request; ids are taken on the way, by three processes.
        assert 1 <= each["create empty"] <= 1.2 and 2 <= each["create 4 KiB"] <= 2.4, each
        assert 1 <= each["rename"] <= 1.2 and 1 <= each["unlink"] <= 1.2 and each["list"] < 0.5, each
END
case_of "the JSON's figures fit each other" "$PY" "$W/check.py" "$W/json" "$ENGINE"

if [ "$ENGINE" = redis ]; then
    rcli config set appendonly yes >/dev/null
    jfspre bench -n 1 >"$W/out"
    case_of "and says how durable the server is" grep -q ', AOF everysec$' "$W/out"
fi

# --- a terminal ------------------------------------------------------------------------------------
if command -v script >/dev/null; then
    env "${JFS_ENV[@]}" script -qec "'$JFSPRE' bench -n 10" "$W/typescript" >/dev/null </dev/null
    case_of "progress on a terminal" grep -aq 'batched, create empty: [0-9]* of 10 ' "$W/typescript"
fi
jfspre bench -n 10 >"$W/out" 2>&1
case_of "none into a file" eval "! grep -q ' of 10 ' '$W/out'"

# --- interrupted -----------------------------------------------------------------------------------
under_way() { jfs ls "$PREFIX" | grep -q '^jfspre-bench-' && [ -n "$(jfs find "$PREFIX" -name 'f*' -print -quit)" ]; }
for s in INT TERM; do
    env --default-signal=INT "${JFS_ENV[@]}" "$JFSPRE" bench -n 1000 -p 2 -r 25 >"$W/out" 2>"$W/err" &
    pid=$!
    PIDS+=("$pid")
    eventually 20 under_way || true
    kill -$s $pid
    status=0
    wait $pid || status=$?
    case_of "SIG$s ends it by that signal" [ $status = $((128 + $(kill -l $s))) ]
    left_nothing "SIG$s"
done

# --- failing ---------------------------------------------------------------------------------------
status=0
jfspre bench -n 4000 >"$W/out" 2>"$W/err" || status=$?
case_of "a full volume: 1, in one line with the reason" \
    [ "$status $(wc -l <"$W/err") $(grep -c 'create empty f[0-9]*: No space left\|flush.*: No space left' "$W/err")" = "1 1 1" ]
left_nothing "a full volume"
for o in "-n 0" "-n x" "-n 1k" "-p 0" "-p 65" "-r 26" "-n 2 -p 3" "a b"; do
    status=0
    # shellcheck disable=SC2086
    jfspre bench $o >"$W/out" 2>&1 || status=$?
    case_of "bench $o: 2, in one line" [ "$status $(wc -l <"$W/out")" = "2 1" ]
done
finish
