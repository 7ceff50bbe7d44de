#!/bin/bash
# (d) tar of the same archive into tmpfs, the local disk, the volume, and a stock FUSE mount on the same
# Redis.  RTT_MS=1 puts a delay between both clients and Redis.  ARCHIVE=x.tar takes that one, ENTRIES=n a smaller one.
. "$(dirname "$0")/lib.sh"
archive=${ARCHIVE:-$W/a.tar}
[ -n "${ARCHIVE:-}" ] || "$ROOT/tools/make_archive.sh" "$archive" "${ENTRIES:-8000}"
redis_start
if [ -n "$JUICEFS" ]; then format_stock --trash-days 0; else format_ours --trash-days 0; fi

if [ "${RTT_MS:-0}" != 0 ]; then
    port=$((20000 + $$ % 20000))
    "$B/t/fault_proxy" $port "$SOCK" "delay $((RTT_MS * 500)) $((RTT_MS * 500))" &
    PIDS+=($!)
    META="redis://127.0.0.1:$port/0"
    JFS_ENV[0]=JFSPRE_META=$META
    eventually 5 rtt_us >/dev/null
fi
mkdir -p "$SHM/cache"
# shellcheck disable=SC2034 # used by preloaded()
JFS_ENV[2]=JFSPRE_CACHE_DIR=$SHM/cache
echo "archive: $(tar -tf "$archive" | wc -l) members, $(stat -L -c %s "$archive") bytes"
echo "round trip $(rtt_us) us, appendonly $(rcli config get appendonly | tail -1), one script a change, medians of $RUNS"

scripts() { rcli info commandstats | sed -n 's/^cmdstat_evalsha:calls=\([0-9]*\).*/\1/p'; }
have_mount=no
if [ -n "$JUICEFS" ] && can_mount; then stock_mount && have_mount=yes; fi
into() { # DIR
    mkdir "$1/to"
    took tar -xf "$archive" -C "$1/to"
    rm -rf "$1/to"
}
into_volume() {
    jfs mkdir $PREFIX/to
    before=$(scripts)
    took preloaded tar -xf "$archive" -C $PREFIX/to
    echo $(($(scripts) - before)) >"$W/scripts"
    jfs rm -rf $PREFIX/to
}
mkdir "$W/disk"
for ((i = 0; i < RUNS; i++)); do
    into "$SHM" >>"$W/t.tmpfs"
    into "$W/disk" >>"$W/t.disk"
    into_volume >>"$W/t.volume"
    [ $have_mount = no ] || into "$MNT" >>"$W/t.mount"
done
volume=$(median <"$W/t.volume")
row() { # NAME FILE
    local t
    t=$(median <"$2")
    printf '%-34s %9.3f s   the volume takes %s times that\n' "$1" "$t" "$(ratio "$volume" "$t")"
}
row "tmpfs" "$W/t.tmpfs"
row "local disk ($(df --output=fstype "$W" | tail -1))" "$W/t.disk"
printf '%-34s %9.3f s   %s script calls, %s a member\n' "the volume, preloaded" "$volume" "$(cat "$W/scripts")" \
    "$(ratio "$(cat "$W/scripts")" "$(tar -tf "$archive" | wc -l)")"
if [ $have_mount = yes ]; then row "stock FUSE mount, same Redis" "$W/t.mount"; else echo "stock FUSE mount: not possible here"; fi
