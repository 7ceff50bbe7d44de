#!/bin/bash
# Runs one program of tests/preload on a plain directory and on the volume: both.sh PROGRAM
#
# What it prints must be the same: libc and the kernel are the oracle.  The plain directory is on
# tmpfs, or beside the test where the program wants what this tmpfs lacks (user attributes).
. "$(dirname "$0")/env.sh"
program=$1
plain=$SHM/plain
case $program in
*/xattr*) touch "$SHM/x" && setfattr -n user.x -v y "$SHM/x" 2>/dev/null || plain=$W/plain ;;
esac
mkdir -p "$plain"

volume_start
format_ours --trash-days 0
# Programs that give up root write blocks as who they are now: in a bucket of several users its
# directories are everybody's (see README, limits).
mkdir -p "$BUCKET/$NAME/chunks/0"/{0..30}
chmod -R 1777 "$BUCKET/$NAME"
[ "$ENGINE" != lmdb ] || chmod -R a+rwX "$W/meta" # and the environment

status=0
umask 022
(cd / && "$program" "$plain" >"$W/plain.out" 2>"$W/plain.err") || status=$?
if [ $status != 0 ]; then
    cat "$W/plain.err"
    tail -5 "$W/plain.out"
    say "the program itself fails on a plain directory (status $status)"
    exit 1
fi
(cd / && jfs "$program" "$PREFIX" >"$W/volume.out" 2>"$W/volume.err") || status=$?
cat "$W/plain.err" "$W/volume.err"
if ! diff "$W/plain.out" "$W/volume.out" >"$W/diff"; then
    say "--- plain directory, +++ volume"
    diff -U 2 "$W/plain.out" "$W/volume.out" | tail -n +3 | head -120 || true
    status=1
fi
[ $status = 0 ] || exit $status
our_fsck

# What it could not do here is not passed.
reason=$(sed -n "s/^skip [^:]*: //p" "$W/plain.out" | head -1)
[ -z "$reason" ] || skip_all "$reason"
