#!/bin/bash
# What we delete goes to the volume's trash as stock's does, and stock puts it back.
. "$(dirname "$0")/../lib/env.sh"
need_stock
redis_start
format_stock --trash-days 1
umask 022

jfs bash -c "cd $PREFIX && mkdir -p d/sub && echo one >d/one && echo two >d/sub/two && ln d/one d/hard &&
    echo old >d/replaced && echo new >d/new && ln -s one d/link && mkdir d/empty && head -c 5000000 /dev/zero >d/big"
tree_of_volume $PREFIX/d >"$W/before"
case_of "remove" quiet jfs bash -c "cd $PREFIX && rm d/one d/big && mv d/new d/replaced && rm -r d/sub d/empty && rm d/link"
jfs ls -A $PREFIX/d | sort >"$W/left"
printf 'hard\nreplaced\n' | same "what is left" "$W/left" /dev/stdin
hour=$(date -u +%Y-%m-%d-%H)
checkers "with things in the trash"
case_of "in the trash" test "$(rcli hlen d9223372032828243969)" -ge 7
case_of "nothing deleted" test "$(rcli zcard delfiles)" = 0

# an open file that goes to the trash stays what it is
jfs bash -c "cd $PREFIX && exec 3<>d/hard && rm d/hard && cat <&3 && echo more >&3" >"$W/open"
case_of "open while it goes" grep -qx one "$W/open"

[ "$(id -u)" = 0 ] || { say "skip restore, emptied: stock lets only root do that" && finish; }
case_of "restore" quiet stock restore --put-back "$META" "$hour"
tree_of_volume --no-mtime $PREFIX/d >"$W/after"
grep -v replaced "$W/before" | sed 's/ mtime=[0-9]* / mtime=- /' | grep -vE "'/(hard|one|new)'" >"$W/want"
grep -vE "'/(hard|one|new|replaced)'" "$W/after" >"$W/got"
same "put back" "$W/want" "$W/got"
# stock does not count a directory that it puts back, and misses that itself
export SHALLOW=1
checkers "restored"

# emptied by stock: blocks and counters go
if can_mount; then
    jfs rm -rf $PREFIX/d
    stock_mount
    rm -rf "$MNT"/.trash/*/*
    stock_umount
    quiet stock gc --delete "$META"
    case_of "no block left" test -z "$(find "$BUCKET/$NAME/chunks" -type f)"
    case_of "no inode left" test "$(rcli get totalInodes)" -le 2 # the hours' directories
fi
checkers "emptied"
finish
