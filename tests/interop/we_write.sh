#!/bin/bash
# limit: 240
# Stock formats, we write, stock reads: for every form of volume that we serve.
. "$(dirname "$0")/../lib/env.sh"
need_stock

# round NAME FORMAT-ARGS...
round() {
    local name=$1
    shift
    BUCKET=$W/bucket-$name
    mkdir "$BUCKET"
    rm -rf "$W/cache" && mkdir -m 1777 "$W/cache"
    redis_start
    format_stock "$@"
    case_of "$name: write" quiet jfs "$PY" "$ROOT/tests/lib/activity.py" $PREFIX/top 7
    tree_of_volume $PREFIX/top >"$W/ours"
    "$PY" "$ROOT/tests/lib/activity.py" "$SHM/$name" 7
    tree --no-mtime "$SHM/$name" >"$W/native"
    tree_of_volume --no-mtime $PREFIX/top >"$W/ours.nomtime"
    same "$name: as a native tree" "$W/native" "$W/ours.nomtime"
    if can_mount; then
        stock_mount
        tree "$MNT/top" >"$W/stock"
        same "$name: a stock mount reads it" "$W/ours" "$W/stock"
        stock_umount
    fi
    checkers "$name"

    # without a mount: sync copies data, modes and times of files
    mkdir "$SHM/$name-sync"
    case_of "$name: juicefs sync" quiet env vol="$META" "$JUICEFS" --no-color sync --perms --links \
        jfs://vol/top/ "$SHM/$name-sync/"
    (cd "$SHM/$name" && find . -type f ! -name fifo -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$W/sum1"
    (cd "$SHM/$name-sync" && find . -type f ! -name fifo -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$W/sum2"
    same "$name: what sync copied" "$W/sum1" "$W/sum2"

    # a dump of it loads elsewhere
    case_of "$name: juicefs dump" quiet stock dump "$META" "$W/dump.json"
    case_of "$name: juicefs load" quiet stock load "${META%0}1" "$W/dump.json"
    redis_kill
    rm -rf "$BUCKET" "${SHM:?}/$name" "$SHM/$name-sync"
}
round plain --trash-days 0
round hashed --trash-days 0 --hash-prefix
round small-blocks --trash-days 0 --block-size 64K
round trash --trash-days 1
finish
