#!/bin/bash
# (e) The embedded engine: the archive unpacked into lmdb:// with environment and blocks on tmpfs and on
# the local disk, against plain tar into the same; what one created file costs; processes at once.
. "$(dirname "$0")/lib.sh"
archive=${ARCHIVE:-$W/a.tar}
[ -n "${ARCHIVE:-}" ] || "$ROOT/tools/make_archive.sh" "$archive" "${ENTRIES:-8000}"
members=$(tar -tf "$archive" | wc -l)
"${CC:-gcc}" -O2 -D_GNU_SOURCE -I "$ROOT/include" -o "$W/creates" "$ROOT/tools/bench/creates.c"
echo "archive: $members members, $(stat -L -c %s "$archive") bytes; one transaction a change, medians of $RUNS"

# volume PLACE: one there, for preloaded() and jfs(); open files are kept in $SHM as by default
volume() {
    mkdir -p "$1/bucket" "$SHM/cache"
    # shellcheck disable=SC2034 # used by preloaded()
    JFS_ENV=(JFSPRE_META="lmdb://$1/meta" JFSPRE_PREFIX="$PREFIX" JFSPRE_CACHE_DIR="$SHM/cache")
    "$JFSPRE" format "lmdb://$1/meta" $NAME --bucket "$1/bucket" --trash-days 0 >/dev/null
}
# seconds PLACE: natively, then into a volume in the same place; also the best for the blocks alone
round() {
    mkdir "$1/to"
    took tar -xf "$archive" -C "$1/to" >>"$W/t.plain.$2"
    rm -rf "$1/to"
    volume "$1/v"
    jfs mkdir $PREFIX/to
    took preloaded tar -xf "$archive" -C $PREFIX/to >>"$W/t.volume.$2"
    rm -rf "$1/v"
}
mkdir "$W/disk" "$SHM/bench"
for ((i = 0; i < RUNS; i++)); do
    round "$SHM/bench" tmpfs
    round "$W/disk" disk
done
tmpfs=$(median <"$W/t.plain.tmpfs")
for place in tmpfs disk; do
    plain=$(median <"$W/t.plain.$place")
    volume=$(median <"$W/t.volume.$place")
    printf '%-34s %9.3f s\n' "tar into $place" "$plain"
    printf '%-34s %9.3f s   %s times plain tar there, %s times tmpfs\n' "tar into lmdb:// on $place" "$volume" \
        "$(ratio "$volume" "$plain")" "$(ratio "$volume" "$tmpfs")"
done

# --- what a created file of 4 KiB costs: the difference of two counts, so without the start ------------
volume "$SHM/bench/v"
each() { # COUNT-COMMAND prints a count for so many files
    local few many
    jfs mkdir "$PREFIX/few$1" "$PREFIX/many$1"
    mkdir -p "$SHM/bench/few$1" "$SHM/bench/many$1"
    few=$("$1" "$2/few$1" 100)
    many=$("$1" "$2/many$1" 1100)
    echo $(((many - few) / 1000))
}
syscalls() { calls_of_preloaded "$W/creates" "$1" "$2" 1; }
syscalls_plain() { calls_of "$W/creates" "$1" "$2" 1; }
instructions() {
    if perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
        preloaded perf stat -x, -e instructions:u "$W/creates" "$1" "$2" 1 2>&1 >/dev/null | sed -n 's/^\([0-9]*\),.*/\1/p'
    else
        preloaded valgrind --tool=callgrind --callgrind-out-file=/dev/null "$W/creates" "$1" "$2" 1 2>&1 >/dev/null |
            sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
    fi
}
echo
echo "a file of 4 KiB made (open, write, close):"
printf '%-34s %6s natively, %s in the volume\n' "system calls" "$(each syscalls_plain "$SHM/bench")" "$(each syscalls $PREFIX)"
if command -v valgrind >/dev/null || perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
    printf '%-34s %s\n' "instructions in user space" "$(each instructions $PREFIX)"
else
    echo "instructions: neither perf's counters nor valgrind here"
fi
rm -rf "$SHM/bench/v"

# --- several processes ---------------------------------------------------------------------------------
echo
files=${FILES:-8000}
for n in 1 2 4 8; do
    for ((i = 0; i < RUNS; i++)); do
        volume "$SHM/bench/v"
        jfs mkdir $PREFIX/p
        preloaded "$W/creates" $PREFIX/p "$files" $n >>"$W/t.p$n"
        rm -rf "$SHM/bench/v"
    done
    rate=$(median <"$W/t.p$n" | awk -v f="$files" '{ printf "%.0f", f / $1 }')
    [ $n != 1 ] || one=$rate
    printf '%-34s %9s files a second in all, %s times one process\n' "$n processes at once" "$rate" "$(ratio "$rate" "$one")"
done
