# shellcheck shell=bash disable=SC2034
# Twin volumes (tests/interop/twin.py) once for each mode: trash off (0), trash on (1), ACLs on (acl).
# All modes at the same time, with a server and a mount each: they mostly wait for the mounts' timers.
# The stock client and FUSE are needed: for root this fails without them, for nothing else shows these
# errors.

declare -A TWIN_PID TWIN_MOUNT

twin_volumes() { # MODE: two volumes, the first one mounted
    local options=(--trash-days "$1")
    [ "$1" != acl ] || options=(--trash-days 0 --enable-acl)
    SOCK=$W/redis-$1.sock META="unix://$W/redis-$1.sock?db=0" BUCKET=$W/bucket/$1
    mkdir "$BUCKET"
    redis_start
    format_stock "${options[@]}"
    stock format --storage file --bucket "$BUCKET" "${options[@]}" "${META%0}1" vol2 >"$W/format.log" 2>&1
    MNT=$W/mnt-$1
    # their defaults, 100 ms and 12 s, are what most of the time would go into
    stock_mount --enable-ioctl --skip-dir-mtime 5ms --heartbeat 1s
    TWIN_MOUNT[$1]=$MOUNT_PID
}

# twins PROGRAM MODES [GROUP...]: TWIN_MODES chooses others, the mode acl has its own group
twins() {
    local program=$1 modes=${TWIN_MODES:-$2} mode groups rc
    shift 2
    need_root
    [ -n "$JUICEFS" ] || { say "not ok there is no stock juicefs client: set JUICEFS"; exit 1; }
    can_mount || { say "not ok nothing can be mounted here: no /dev/fuse, or not root"; exit 1; }
    for mode in $modes; do
        twin_volumes "$mode"
        groups=("$@")
        [ "$mode" != acl ] || groups=(acls)
        "$PY" "$program" "$SOCK" "$MNT" "$mode" "${groups[@]}" >"$W/twin-$mode.log" 2>&1 &
        TWIN_PID[$mode]=$!
        PIDS+=("${TWIN_PID[$mode]}")
    done
    for mode in $modes; do
        rc=0
        wait "${TWIN_PID[$mode]}" || rc=$?
        sed "s/^\(ok\|not ok\) /\1 trash $mode: /" "$W/twin-$mode.log"
        if [ $rc = 0 ]; then ok "trash $mode: to the end"; else not_ok "trash $mode: status $rc"; fi
    done
    for mode in $modes; do
        MNT=$W/mnt-$mode MOUNT_PID=${TWIN_MOUNT[$mode]} stock_umount
    done
    finish
}
