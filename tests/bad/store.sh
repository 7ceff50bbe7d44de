#!/bin/bash
# The directory of blocks missing, read-only or full; blocks missing, short or something else.
. "$(dirname "$0")/../lib/env.sh"
. "$ROOT/tests/lib/bad.sh"
redis_start
if [ "$(id -u)" = 0 ]; then mount -t tmpfs -o size=3m,mode=755 tmpfs "$BUCKET" && MOUNTS+=("$BUCKET"); fi
format_ours --trash-days 0 --block-size 64
seq 40000 >"$W/data" # 228894 bytes: four blocks
jfs cp "$W/data" $PREFIX/kept

mv "$BUCKET/$NAME" "$BUCKET/away"
refused "missing, reading" "$BUCKET" "input/output|no such device|not permitted|denied" cat $PREFIX/kept
refused "missing, writing" "$BUCKET" "input/output|no such device|not permitted|denied" cp "$W/data" $PREFIX/new
mkdir -p "$BUCKET/$NAME" && rmdir "$BUCKET/$NAME" && mv "$BUCKET/away" "$BUCKET/$NAME"
case_of "back again" quiet jfs cmp "$W/data" $PREFIX/kept

# absent, empty or whole is what a file may be after a failed write
fine() { ! jfs test -s "$1" || jfs cmp -s "$W/data" "$1"; }

if [ "$(id -u)" = 0 ]; then
    mount -o remount,ro "$BUCKET"
    refused "read-only" "$BUCKET" "read-only" cp "$W/data" $PREFIX/new1
    case_of "reading goes on" quiet jfs cmp "$W/data" $PREFIX/kept
    mount -o remount,rw "$BUCKET"
    case_of "nothing half" fine $PREFIX/new1
    head -c 9000000 /dev/urandom >"$W/large"
    refused "full" "$BUCKET" "no space" cp "$W/large" $PREFIX/large
    case_of "what was there is whole" quiet jfs cmp "$W/data" $PREFIX/kept
    jfs rm -f $PREFIX/large
    case_of "room again" quiet jfs cp "$W/data" $PREFIX/new2
    case_of "whole" quiet jfs cmp "$W/data" $PREFIX/new2
    mount -o remount,size=40m "$BUCKET"
else
    chmod -R a-w "$BUCKET"
    refused "read-only" "$BUCKET" "denied" cp "$W/data" $PREFIX/new1
    chmod -R u+w "$BUCKET"
    case_of "nothing half" fine $PREFIX/new1
fi
case_of "fsck finds nothing" our_fsck

# damage NAME: does it to the third block of a fresh file and looks who notices
damage() {
    local name=$1 block status=0
    shift
    jfs cp "$W/data" "$PREFIX/victim"
    block=$(find "$BUCKET/$NAME/chunks" -name '*_2_65536' -newer "$W/stamp")
    cp "$block" "$W/block"
    "$@" "$block"
    refused "$name block, reading" "$(basename "$block")" "input/output" cat $PREFIX/victim
    if [ -s "$W/out" ]; then
        case_of "$name block: no wrong byte" cmp -s -n "$(stat -c %s "$W/out")" "$W/out" "$W/data"
    fi
    jfspre fsck >"$W/fsck.out" 2>&1 || status=$?
    case_of "$name block: fsck says so" test $status = 1
    case_of "$name block: fsck names it" grep -q "$(basename "$block")" "$W/fsck.out"
    case_of "$name block: fsck names the file" grep -q victim "$W/fsck.out"
    rm -rf "$block" && cp "$W/block" "$block"
    case_of "$name block: put back" quiet jfs cmp "$W/data" $PREFIX/victim
    jfs rm $PREFIX/victim
    touch "$W/stamp"
    sleep 0.02
}
touch "$W/stamp"
sleep 0.02
cut_short() { truncate -s 1000 "$1"; }
emptied() { : >"$1"; }
directory() { rm "$1" && mkdir "$1"; }
unreadable() { rm "$1" && ln -s "$1" "$1"; }
damage missing rm
damage short cut_short
damage empty emptied
damage non-file directory
damage unreadable unreadable
case_of "fsck finds nothing at the end" our_fsck
finish
