#!/bin/bash
# jfspre stats: counts of several processes, round trips as the server saw them, Prometheus's text,
# the textfile, watching.
. "$(dirname "$0")/../lib/env.sh"

redis_start
format_ours --trash-days 0
JFS_ENV[0]="JFSPRE_META=$META&batchwrite=0" # each change is a request of its own

# value METRIC [OP]: from the last scrape
scrape() { jfspre stats --prometheus >"$W/prom"; }
value() { awk -v m="jfspre_$1{volume=\"$NAME\"${2:+,op=\"$2\"}}" '$1 == m { print $2 }' "$W/prom"; }

jfspre stats >"$W/table"
case_of "nothing was counted yet" grep -qx '  none' "$W/table"
case_of "and looking makes no area" [ -z "$(ls "$W/cache")" ]
scrape
case_of "zeros for Prometheus" [ "$(value round_trips_total) $(value ops_direct_total mkdir)" = "0 0" ]

# What is sent but by a script of ours is a round trip; the command's own are not counted.
rcli monitor >"$W/monitor" &
PIDS+=($!)
eventually 10 grep -q OK "$W/monitor"
# shellcheck disable=SC2016 # for that shell
jfs bash -c 'cd /jfs && for i in 1 2 3 4 5; do mkdir d$i; done; rmdir d1 d2 && : >f && rm f'
rcli echo the-end >/dev/null
eventually 10 grep -q the-end "$W/monitor"
sent=$(grep -c '^[0-9.]* \[0 unix' "$W/monitor")
scrape
case_of "ops of all processes" [ "$(value ops_direct_total mkdir) $(value ops_direct_total rmdir) $(value ops_direct_total unlink)" = "5 2 1" ]
say "the server saw $sent requests, counted are $(value round_trips_total)"
case_of "round trips, as the server saw them" [ "$(value round_trips_total)" = $((sent - 1)) ]
jfspre stats >"$W/table"
case_of "the table says so too" grep -Eqx '  mkdir( +0){4} +5' "$W/table"

cat >"$W/check.py" <<'END'
# Every sample has a type and a help line, histograms are cumulative and end in +Inf.
import re, sys
types, helps, seen = {}, set(), {}
for line in open(sys.argv[1]):
    if m := re.fullmatch(r"# HELP (\w+) .+\n", line):
        helps.add(m[1])
    elif m := re.fullmatch(r"# TYPE (\w+) (counter|gauge|histogram)\n", line):
        assert m[1] not in types, line
        types[m[1]] = m[2]
    else:
        m = re.fullmatch(r'(jfspre_\w+)\{((?:\w+="[^"\\\n]*",?)+)\} (\d+(?:\.\d+)?)\n', line)
        assert m, line
        base = re.sub(r"_(bucket|sum|count)$", "", m[1])
        name = base if types.get(base) == "histogram" else m[1]
        assert name in types and name in helps, line
        assert types[name] != "counter" or name.endswith("_total"), line
        assert (m[1], m[2]) not in seen, line
        seen[m[1], m[2]] = float(m[3])
for name in [n for n, t in types.items() if t == "histogram"]:
    buckets = [(re.search('le="([^"]+)"', labels)[1], n) for (m, labels), n in seen.items() if m == name + "_bucket"]
    assert buckets[-1][0] == "+Inf", buckets
    bounds = [float(b) for b, n in buckets]
    assert bounds == sorted(set(bounds)) and [n for b, n in buckets] == sorted(n for b, n in buckets), buckets
    assert [n for (m, _), n in seen.items() if m == name + "_count"] == [buckets[-1][1]], buckets
    print(name, *[b for b, n in buckets])
END
case_of "Prometheus's format" "$PY" "$W/check.py" "$W/prom"
case_of "batch sizes in these buckets" grep -qx 'jfspre_batch_ops 1 10 50 100 250 512 1000 +Inf' <("$PY" "$W/check.py" "$W/prom")
case_of "drains in 15 buckets from 0.1 ms on" \
    grep -Eqx 'jfspre_drain_seconds 0.0001 0.0002 ([0-9.]+ ){12}1.6384 \+Inf' <("$PY" "$W/check.py" "$W/prom")

# --- batches ---------------------------------------------------------------------------------------
JFS_ENV[0]="JFSPRE_META=$META&batch_interval=10s" # batches do not end by time
mkdir "$W/from"
for i in {1..200}; do echo "$i" >"$W/from/f$i"; done
jfs cp -r "$W/from" "$PREFIX/"
scrape
queued=$(value ops_queued_total make)
say "queued $queued makes, flushed $(value ops_flushed_total make)"
case_of "creates are queued" [ "${queued:-0}" -ge 190 ]
gone() { # all that was queued is flushed, folded or refused
    awk '/^jfspre_ops_queued_total/ { q += $2 } /^jfspre_ops_(flushed|coalesced|failed)_total/ { d += $2 }
        END { exit q != d }' "$W/prom"
}
case_of "and flushed when the program has ended" gone
case_of "nothing is pending" [ "$(value queue_depth)" = 0 ]
batches=$(value batch_ops_count)
case_of "in few batches" [ "$batches" -ge 1 -a "$batches" -le 100 ]
case_of "a drain each" [ "$(value drain_seconds_count)" = "$batches" ]
case_of "batches have the ops that were flushed" \
    [ "$(value batch_ops_sum)" = "$(awk '/^jfspre_ops_(flushed|failed)_total/ { n += $2 } END { print n }' "$W/prom")" ]
case_of "no conflicts, no repeats" [ "$(value conflicts_total) $(value batches_repeated_total)" = "0 0" ]
"$PY" "$W/check.py" "$W/prom" >/dev/null || not_ok "Prometheus's format with batches"
JFS_ENV[0]="JFSPRE_META=$META&batchwrite=0"

# --- the textfile ----------------------------------------------------------------------------------
mkdir "$W/collector"
echo old >"$W/collector/jfspre.prom"
chmod 600 "$W/collector/jfspre.prom"
jfspre stats --textfile "$W/collector/jfspre.prom" >"$W/out"
case_of "the textfile says the same" cmp "$W/collector/jfspre.prom" "$W/prom"
case_of "the collector may read it" [ "$(stat -c %a "$W/collector/jfspre.prom")" = 644 ]
case_of "nothing beside it, nothing on stdout" [ "$(ls "$W/collector")$(cat "$W/out")" = jfspre.prom ]
status=0
jfspre stats --textfile "$W/nowhere/x.prom" 2>"$W/err" || status=$?
case_of "a place that is not there: 1, in one line" [ "$status $(wc -l <"$W/err")" = "1 1" ]

# --- watching --------------------------------------------------------------------------------------
jfspre stats --watch=0.05 --count 3 >"$W/table"
case_of "three tables" [ "$(grep -c '^volume ' "$W/table")" = 3 ]
case_of "rates from the second on" [ "$(grep -c 'per s$' "$W/table")" = 10 ]
case_of "no escape codes into a file" eval "! grep -q $'\033' '$W/table'"
env "${JFS_ENV[@]}" "$JFSPRE" stats --watch=0.05 --textfile "$W/collector/w.prom" &
watcher=$!
PIDS+=("$watcher")
eventually 10 [ -s "$W/collector/w.prom" ]
scrape
want=$(($(value ops_direct_total mkdir) + 1))
jfs mkdir /jfs/more
again() { grep -qx "jfspre_ops_direct_total{volume=\"$NAME\",op=\"mkdir\"} $want" "$W/collector/w.prom"; }
case_of "the textfile follows" eventually 10 again
kill -TERM $watcher
status=0
wait $watcher || status=$?
case_of "a signal ends the watching well" [ $status = 0 ]
for o in --watch=0 --watch=x --watch=1s "--count 0" "--count -1" "--count x" "--prometheus --watch"; do
    status=0
    # shellcheck disable=SC2086
    jfspre stats $o >"$W/out" 2>&1 || status=$?
    case_of "stats $o: 2, in one line" [ "$status $(wc -l <"$W/out")" = "2 1" ]
done

# --- another version's counts ----------------------------------------------------------------------
for f in "$W"/cache/*/metrics; do printf 'x' | dd of="$f" conv=notrunc status=none; done
status=0
jfspre stats >"$W/out" 2>&1 || status=$?
case_of "counts of another version are not shown" [ "$status $(grep -c 'another version' "$W/out")" = "1 1" ]
jfs mkdir /jfs/anew
scrape
case_of "and begin anew" [ "$(value ops_direct_total mkdir)" = 1 ]
finish
