#!/bin/bash
# limit: 240
# Stock writes, also what only stock does (clone, compact, trash and restore); we read it.
. "$(dirname "$0")/../lib/env.sh"
need_stock
need_fuse

# compare NAME DIR: our view of a directory is the stock mount's
compare() {
    tree "$MNT/$2" >"$W/stock"
    tree_of_volume "$PREFIX/$2" >"$W/ours"
    same "$1" "$W/stock" "$W/ours"
}

round() {
    local name=$1
    shift
    BUCKET=$W/bucket-$name
    mkdir "$BUCKET"
    rm -rf "$W/cache" && mkdir -m 1777 "$W/cache"
    redis_start
    format_stock "$@"
    stock_mount
    "$PY" "$ROOT/tests/lib/activity.py" "$MNT/top" 3
    sync -f "$MNT"
    compare "$name: all kinds of files" top
    rm "$MNT/top/names/fifo" # stock leaves special files out of a clone, but counts them
    stock_umount # clone copies the statistics of directories as they are in Redis: they have to be there
    stock_mount
    stock clone "$MNT/top" "$MNT/clone" >"$W/clone.log" 2>&1
    compare "$name: a clone" clone
    printf changed | dd of="$MNT/clone/files/size7" bs=1 seek=1000 conv=notrunc status=none
    cp "$MNT/top/files/size11" "$MNT/copied" # copy_file_range
    compare "$name: the clone, changed" clone
    compare "$name: the original" top/files
    stock compact "$MNT/top" >"$W/compact.log" 2>&1
    compare "$name: compacted" top
    if [ "$name" = trash ]; then
        rm -r "$MNT/top/files/deep" "$MNT/top/changed/over1"
        mv "$MNT/top/files/size3" "$MNT/top/files/size4"
        compare "$name: deleted" top
        stock restore --put-back "$META" "$(date -u +%Y-%m-%d-%H)" >"$W/restore.log" 2>&1
        compare "$name: restored" top
    fi
    # and written on by us: what stock made is changed in place
    case_of "$name: change it" quiet jfs bash -c "cd $PREFIX/top && echo more >>files/size5 && rm names/one &&
        mv names/moved changed && truncate -s 12345 changed/over3 && printf middle | dd of=files/size9 bs=1 seek=4000000 conv=notrunc status=none &&
        chmod 600 files/size1 && ln files/size2 another && rm -r files/deep && mkdir new && cp files/size11 new/copy"
    sleep 1.1 # the mount believes what it knows for a second
    compare "$name: changed by us" top
    stock_umount
    checkers "$name"
    redis_kill
    rm -rf "$BUCKET"
}
round plain --trash-days 0
round trash --trash-days 1 --block-size 1M
finish
