#!/bin/bash
# limit: 300
# External synchrony: nothing that leaves a process tells of a change that others cannot see yet,
# and what comes in ends what was believed.  batch_interval is long: what is pending stays so until
# something sends it.
. "$(dirname "$0")/../lib/env.sh"

redis_start
format_ours --trash-days 0
SLOW=(env JFSPRE_META="$META&batch_interval=10s")
HERE=$ROOT/tests/apps

mkdir "$W/tell"
tells() {
    "$PY" "$HERE/synchrony_tell.py" "$SOCK" $PREFIX/tell "$W/tell" \
        env "${JFS_ENV[@]}" "${SLOW[@]:1}" LD_PRELOAD="$PRELOAD" \
        "$PY" "$HERE/synchrony_tell.py" child $PREFIX/tell "$W/tell"
}
case_of "nothing leaves that tells of what is not there" tells
finish
