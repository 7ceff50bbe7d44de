# shellcheck shell=bash
# What the parts of `make bench` share.  Every part prints medians of $RUNS runs and the ratio to what it
# is compared with in the same run; nothing is compared across machines or days.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/../../tests/lib/env.sh"
RUNS=${RUNS:-5}

# median NUMBERS on stdin
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
# took CMD...: prints seconds
took() {
    local start
    start=$(date +%s%N)
    "$@" >/dev/null
    echo $((($(date +%s%N) - start))) | awk '{ printf "%.6f\n", $1 / 1e9 }'
}
# calls_of [strace options] CMD...: system calls that a command makes, all its processes
calls_of() { strace -f -qq -o "$W/strace" "$@" >/dev/null && grep -vc 'resumed>\|+++\|---' "$W/strace"; }
calls_of_preloaded() {
    local set=(-E "LD_PRELOAD=$PRELOAD") s
    for s in "${JFS_ENV[@]}"; do set+=(-E "$s"); done
    calls_of "${set[@]}" "$@"
}
preloaded() { env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" "$@"; }
# The median round trip to the metadata server in microseconds, as a client of ours sees it.
rtt_us() { "$PY" "$ROOT/tools/bench/rtt.py" "$META"; }
