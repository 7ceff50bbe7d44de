#!/bin/bash
# How many round trips programs of every day need: what is asked for nothing, or one by one, shows here.
. "$(dirname "$0")/../lib/env.sh"
redis_start
format_ours --trash-days 0
DIRS=60 FILES=15
trips() { jfspre stats --prometheus | awk '/^jfspre_round_trips_total/ { print $2 }'; }
listed() { jfspre stats --prometheus | awk '/^jfspre_ops_direct_total/ && /"readdir"/ { print $2 }'; }
# at_most LIMIT NAME CMD...: on a volume that nothing is pending in
at_most() {
    local limit=$1 name=$2 before
    shift 2
    before=$(trips)
    jfs "$@" >"$W/out"
    say "$name: $(($(trips) - before)) round trips"
    case_of "$name: at most $limit" [ $(($(trips) - before)) -le "$limit" ]
}
for ((i = 0; i < DIRS; i++)); do
    mkdir -p "$W/tree/d$((i % 8))/s$i"
    for ((k = 0; k < FILES; k++)); do echo "$i $k" >"$W/tree/d$((i % 8))/s$i/f$k"; done
done
all=$(find "$W/tree" | wc -l)
tar -C "$W" -cf "$W/tree.tar" tree
say "$all entries"
jfs mkdir $PREFIX/a $PREFIX/b # the script is loaded, and the first inodes are gone
at_most 3 "touch" touch $PREFIX/touched
at_most 2 "mkdir" mkdir $PREFIX/dir
# What runs in time sends more batches on a busy machine: a limit is far from one a file.
at_most $((all / 10)) "tar -x" tar -C $PREFIX/a -xf "$W/tree.tar"
at_most $((all / 4)) "cp -a" cp -a $PREFIX/a/tree $PREFIX/b/tree
case_of "what was copied is the same" jfs diff -r "$W/tree" $PREFIX/b/tree
at_most $((DIRS / 2)) "find" find $PREFIX/b/tree -type f
case_of "find: all of them" [ "$(wc -l <"$W/out")" = $((DIRS * FILES)) ]
at_most $DIRS "du" du -s $PREFIX/b/tree
before=$(listed)
at_most $DIRS "rm -rf" rm -rf $PREFIX/b/tree
say "rm -rf: $(($(listed) - before)) listings were asked for"
case_of "rm -rf: most listings come with others" [ $(($(listed) - before)) -le $((DIRS / 6)) ]
case_of "nothing is left of it" [ -z "$(jfs ls $PREFIX/b)" ]
case_of "our fsck" our_fsck
finish
