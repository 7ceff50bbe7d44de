#!/bin/bash
# Names, twice: a stock mount and our script do the same, all keys are compared (twin_names.py).
# The stock client and FUSE are needed: without them this fails, for nothing else shows these errors.
# limit: 1500
. "$(dirname "$0")/../lib/env.sh"

[ -n "$JUICEFS" ] || { say "not ok there is no stock juicefs client: set JUICEFS"; exit 1; }
can_mount || { say "not ok nothing can be mounted here: no /dev/fuse, or not root"; exit 1; }

# Trash off, trash on, and off with ACLs: a group of its own.
for trash in ${TWIN_TRASH:-0 1 acl}; do
    groups=("$@") options=(--trash-days "$trash")
    [ "$trash" != acl ] || groups=(acls) options=(--trash-days 0 --enable-acl)
    SOCK=$W/redis$trash.sock META="unix://$W/redis$trash.sock?db=0"
    redis_start
    format_stock "${options[@]}"
    stock format --storage file --bucket "$BUCKET" "${options[@]}" "${META%0}1" vol2 >"$W/format.log" 2>&1
    MNT=$W/mnt$trash # the mount before unmounts its own once more when it ends
    stock_mount
    "$PY" "$(dirname "$0")/twin_names.py" "$SOCK" "$MNT" "$trash" "${groups[@]}" >"$W/twin.log" 2>&1 && rc=0 || rc=$?
    sed "s/^\(ok\|not ok\) /\1 trash $trash: /" "$W/twin.log"
    [ "$rc" = 0 ] || FAILED=$((FAILED + 1))
    CASES=$((CASES + 1))
    stock_umount || kill -9 "$MOUNT_PID" # now and then one lingers after umount
    redis_kill TERM
    rm -rf "${BUCKET:?}"/*
done
finish
