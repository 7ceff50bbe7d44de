#!/bin/bash
# (g) What batching is measured by: thousands of source files unpacked, copied and removed, and names made,
# against tmpfs and against the bare loop of batches in the same run.
#   RUNS=5  AOF=no|everysec|always  BATCH=512  ARCHIVE=x.tar  WHOLE=1: also the whole kernel tree
. "$(dirname "$0")/lib.sh"
AOF=${AOF:-no} BATCH=${BATCH:-512} RTT_MS=${RTT_MS:-1}
[ "$RTT_MS" != 0 ] || RTT_MS=1
[ "$RUNS" -ge 3 ] || RUNS=3
source=/usr/src/linux-source-6.1.tar.xz
parts="include fs/ext4 fs/xfs net/ipv4 kernel lib"

# --- what is unpacked -----------------------------------------------------------------------------------
[ -e "$source" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null ||
    apt-get install -qq --no-install-recommends linux-source-6.1 >"$W/apt.log" 2>&1 || true
# subset NAME DIR...: an uncompressed archive of these parts of the kernel; kept in the build directory
subset() {
    local out=$B/bench/$1
    shift
    if [ ! -e "$out" ]; then
        mkdir -p "$W/source" "$B/bench"
        tar -xf "$source" -C "$W/source" "${@/#/linux-source-6.1/}"
        tar -cf "$out.part" -C "$W/source" linux-source-6.1
        mv "$out.part" "$out"
        rm -rf "$W/source"
    fi
    archive=$out
}
if [ -n "${ARCHIVE:-}" ]; then
    archive=$(realpath "$ARCHIVE") what=$ARCHIVE
elif [ -e "$source" ]; then
    # shellcheck disable=SC2086 # a list
    subset linux-6.1-parts.tar $parts
    what="linux-source-6.1: $parts"
else
    archive=$W/a.tar what="/usr/include and /usr/share/doc: linux-source-6.1 is not to be had here"
    (cd / && find usr/include usr/share/doc -xdev -size -65k \( -type d -o -type f -o -type l \) -print0) |
        { head -z -n 8000 && cat >/dev/null; } >"$W/list"
    tar -cf "$archive" --no-recursion --null -C / -T "$W/list"
fi
members=$(tar -tf "$archive" | wc -l)

# --- one Redis, near and far ----------------------------------------------------------------------------
case $AOF in
no) redis_start ;;
*) redis_start --appendonly yes --appendfsync "$AOF" ;;
esac
mkdir -p "$SHM/cache" "$SHM/bucket" "$SHM/plain"
# shellcheck disable=SC2034 # used by format_ours()
BUCKET=$SHM/bucket # blocks too are on tmpfs: what is compared is not the disk
format_ours --trash-days 0
NEAR=$META
port=$((20000 + $$ % 20000))
"$B/t/fault_proxy" $port "$SOCK" "delay $((RTT_MS * 500)) $((RTT_MS * 500))" &
PIDS+=($!)
FAR=redis://127.0.0.1:$port/0
# at PLACE [OPTIONS]: where the volume's metadata is from here on
at() {
    case $1 in
    near) META=$NEAR ;;
    far) META=$FAR ;;
    esac
    local sep='?'
    case $META in *\?*) sep='&' ;; esac
    # shellcheck disable=SC2034 # used by preloaded()
    JFS_ENV=(JFSPRE_META="$META${sep}batch_size=$BATCH${2:-}" JFSPRE_PREFIX="$PREFIX" JFSPRE_CACHE_DIR="$SHM/cache")
}
at far
eventually 5 rtt_us >/dev/null
far_us=$(rtt_us)
at near
echo "archive: $members members, $(stat -c %s "$archive") bytes ($what)"
echo "round trip $(rtt_us) us near, $far_us us far; AOF $AOF; $BATCH ops a batch; blocks on tmpfs; medians of $RUNS"
echo "load: $(cut -d' ' -f1-3 /proc/loadavg)"

counter() { jfspre stats --prometheus | awk -v n="jfspre_$1" '$1 ~ "^"n"({|$)" { s += $2 } END { print s + 0 }'; }
# counted COUNTER CMD...: how much it grew
counted() {
    local before
    before=$(counter "$1")
    "${@:2}" >/dev/null
    echo $(($(counter "$1") - before))
}
value() { median <"$W/t.$1"; }
bad=0
# row TEXT FILE-OF-TIMES BASE BAR
row() {
    local t base r word=met
    t=$(value "$2") base=$(value "$3")
    r=$(ratio "$t" "$base")
    awk -v r="$r" -v b="$4" 'BEGIN { exit !(r > b) }' && word=MISSED && bad=$((bad + 1))
    printf '%-42s %8.3f s  tmpfs %7.3f s  %6s x  (bar %s: %s)\n' "$1" "$t" "$base" "$r" "$4" "$word"
}
# bar TEXT VALUE LIMIT [least]
bar() {
    local word=met
    awk -v v="$2" -v l="$3" -v least="${4:-}" 'BEGIN { exit !(least == "" ? v > l : v < l) }' && word=MISSED && bad=$((bad + 1))
    printf '%-42s %8s  (bar: %s %s: %s)\n' "$1" "$2" "${4:-most}" "$3" "$word"
}
same_count() { # DIR: as many members as in the archive's tree on tmpfs
    [ "$(preloaded find "$1" | wc -l)" = "$plain_count" ] || {
        echo "$1: not what was unpacked" >&2
        exit 1
    }
}

# --- files ----------------------------------------------------------------------------------------------
# work PLACE DIR HOW...: unpack, copy, remove, each timed
work() {
    local place=$1 dir=$2
    shift 2
    "$@" mkdir "$dir/w"
    took "$@" tar -xf "$archive" -C "$dir/w" >>"$W/t.tar.$place"
    if [ "$place" = tmpfs ]; then plain_count=$(find "$dir/w" | wc -l); else same_count "$dir/w"; fi
    took "$@" cp -a "$dir/w" "$dir/w2" >>"$W/t.cp.$place"
    [ "$place" = tmpfs ] || same_count "$dir/w2"
    took "$@" rm -rf "$dir/w" >>"$W/t.rm.$place"
    "$@" rm -rf "$dir/w2"
}
for ((i = 0; i < RUNS; i++)); do # in turns, so that all see the same machine
    work tmpfs "$SHM/plain" env
    at near
    work near "$PREFIX" preloaded
    at far
    work far "$PREFIX" preloaded
done
echo
row "tar -xf" tar.near tar.tmpfs 1.0
row "tar -xf, far" tar.far tar.tmpfs 1.5
row "rm -rf" rm.near rm.tmpfs 3
row "rm -rf, far" rm.far rm.tmpfs 12
row "cp -a inside the volume" cp.near cp.tmpfs 3
printf '%-42s %8.3f s  tmpfs %7.3f s  %6s x\n' "cp -a inside the volume, far" "$(value cp.far)" "$(value cp.tmpfs)" \
    "$(ratio "$(value cp.far)" "$(value cp.tmpfs)")"
at near
preloaded mkdir $PREFIX/n
printf 'round trips: tar %s' "$(counted round_trips_total preloaded tar -xf "$archive" -C $PREFIX/n)"
printf ', cp -a %s' "$(counted round_trips_total preloaded cp -a $PREFIX/n $PREFIX/n2)"
printf ', rm -rf %s\n' "$(counted round_trips_total preloaded rm -rf $PREFIX/n)"
if perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
    instructions() { perf stat -x, -e instructions "$@" 2>&1 >/dev/null | sed -n 's/^\([0-9]*\),.*/\1/p'; }
    preloaded mkdir $PREFIX/p
    mkdir "$SHM/plain/p"
    plain=$(instructions tar -xf "$archive" -C "$SHM/plain/p")
    # shellcheck disable=SC2034 # read by env
    ours=$(instructions env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" tar -xf "$archive" -C $PREFIX/p)
    printf 'instructions of tar, kernel and all: %s natively, %s into the volume, %s x\n' "$plain" "$ours" "$(ratio "$ours" "$plain")"
    preloaded rm -rf $PREFIX/p
    rm -rf "$SHM/plain/p"
else
    echo "instructions: no perf counters here"
fi
preloaded rm -rf $PREFIX/n2

# --- names ----------------------------------------------------------------------------------------------
"${CC:-gcc}" -O2 -D_GNU_SOURCE -I "$ROOT/include" -o "$W/creates" "$ROOT/tools/bench/creates.c"
"${CC:-gcc}" -O2 -std=gnu11 -D_GNU_SOURCE -I"$ROOT" -o "$W/batches" "$ROOT/tools/bench/batches.c" "$B/libcore.a" -lhiredis -lpthread
creates() { # FILES: seconds for so many empty ones
    preloaded mkdir $PREFIX/c
    preloaded "$W/creates" $PREFIX/c "$1" 1 0
    preloaded rm -rf $PREFIX/c
}
files=${FILES:-50000}
LOOP="unix://$SOCK?db=1" # a volume of its own, which stays full
for ((i = 0; i < RUNS; i++)); do
    at near
    creates "$files" >>"$W/t.creates"
    rcli -n 1 flushdb >/dev/null
    "$JFSPRE" format "$LOOP" loop --bucket "$SHM/loop$i" --trash-days 0 >/dev/null
    "$W/batches" "$LOOP" "$BATCH" "$files" 8 1 | sed -n 's/^make, empty *\([0-9.]*\) s.*/\1/p' >>"$W/t.loop"
    at far
    before=$(counter batch_ops_count)
    preloaded mkdir $PREFIX/f
    preloaded "$W/creates" $PREFIX/f 10000 1 0 >>"$W/t.far"
    echo $(($(counter batch_ops_count) - before)) >>"$W/t.batches"
    preloaded rm -rf $PREFIX/f
    at far "&batchwrite=0"
    creates 1000 >>"$W/t.single"
    at near
    counted round_trips_total preloaded touch "$PREFIX/touched$i" >>"$W/t.touch"
done
rate() { awk -v n="$1" -v t="$(value "$2")" 'BEGIN { printf "%.0f", n / t }'; }
echo
printf 'empty creates: %s/s; the bare loop of batches: %s/s\n' "$(rate "$files" creates)" "$(rate "$files" loop)"
bar "  of the bare loop" "$(ratio "$(rate "$files" creates)" "$(rate "$files" loop)")" 0.7 least
bar "10,000 creates, far: seconds" "$(value far)" 0.06
bar "  batches" "$(value batches)" 20
bar "  times batchwrite=0 (1,000 measured)" "$(ratio "$(rate 10000 far)" "$(rate 1000 single)")" 100 least
bar "one touch: round trips" "$(value touch)" 3

# --- the whole tree -------------------------------------------------------------------------------------
if [ -n "${WHOLE:-}" ] && [ -e "$source" ]; then
    subset linux-6.1.tar ""
    echo
    echo "the whole tree: $(tar -tf "$archive" | wc -l) members, $(stat -c %s "$archive") bytes"
    for ((i = 0; i < RUNS; i++)); do
        mkdir "$SHM/plain/all"
        took tar -xf "$archive" -C "$SHM/plain/all" >>"$W/t.all.tmpfs"
        rm -rf "$SHM/plain/all"
        preloaded mkdir $PREFIX/all
        took preloaded tar -xf "$archive" -C $PREFIX/all >>"$W/t.all"
        preloaded rm -rf $PREFIX/all
    done
    row "tar -xf of all" all all.tmpfs 1.2
fi
our_fsck || exit 1
echo "load: $(cut -d' ' -f1-3 /proc/loadavg); bars missed: $bad"
