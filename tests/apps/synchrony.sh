#!/bin/bash
# limit: 300
# External synchrony: nothing that leaves a process tells of a change that others cannot see yet,
# and what comes in ends what was believed.  batch_interval is long: what is pending stays so until
# something sends it.
. "$(dirname "$0")/../lib/env.sh"

redis_start
format_ours --trash-days 0
HERE=$ROOT/tests/apps


# Somebody who shares nothing with us but the volume: another host, or another user of this one.
mkdir -m 755 "$W/cache2"
OTHER=(env "${JFS_ENV[@]}" JFSPRE_CACHE_DIR="$W/cache2" LD_PRELOAD="$PRELOAD")
SLOW_ENV=("${JFS_ENV[@]}" JFSPRE_META="$META&batch_interval=10s")
slow() { env "${SLOW_ENV[@]}" LD_PRELOAD="$PRELOAD" "$@"; }

# --- what goes out, what comes in ----------------------------------------------------------------
mkdir "$W/tell"
tells() {
    "$PY" "$HERE/synchrony_tell.py" "$SOCK" $PREFIX/tell "$W/tell" env "${SLOW_ENV[@]}" \
        LD_PRELOAD="$PRELOAD" "$PY" "$HERE/synchrony_tell.py" child $PREFIX/tell "$W/tell"
}
case_of "nothing leaves that tells of what is not there" tells
hears() { slow "$PY" "$HERE/synchrony_hear.py" $PREFIX/hear "${OTHER[@]}" touch; }
case_of "what comes in ends what was believed" hears
finish
