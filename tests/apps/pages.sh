#!/bin/bash
# Removing a directory of more names than a page has: round trips, and nothing left behind.
. "$(dirname "$0")/../lib/env.sh"
redis_start
format_ours --trash-days 0
trips() { jfspre stats --prometheus | awk '/^jfspre_round_trips_total/ { print $2 }'; }
# cost CMD...: round trips
cost() {
    local before
    before=$(trips)
    jfs "$@"
    echo $(($(trips) - before))
}
mkdir "$W/many" "$W/many/d"
(cd "$W/many/d" && seq 5000 | xargs touch)
tar -C "$W/many" -cf "$W/many.tar" d
jfs tar -C $PREFIX -xf "$W/many.tar"
n=$(cost rm -rf $PREFIX/d)
say "rm -rf of 5000 names: $n round trips"
case_of "rm -rf: pages of 512 names and batches of 512 ops" [ "$n" -le 60 ]
case_of "no inode is left but the root's" [ "$(rcli --scan --pattern 'i[0-9]*' | tr '\n' ' ')" = "i1 " ]
jfs tar -C $PREFIX -xf "$W/many.tar"
n=$(cost "$PY" -c "
import os
os.chdir('$PREFIX/d')
for e in os.scandir('.'): os.unlink(e.name)
os.rmdir('$PREFIX/d')")
say "unlinked while it is read: $n round trips"
case_of "and while it is read" [ "$n" -le 60 ]
case_of "our fsck" our_fsck
finish
