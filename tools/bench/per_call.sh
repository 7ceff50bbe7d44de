#!/bin/bash
# (c) Script calls per libc call: at most one for a change, none for reading and writing what is open.
. "$(dirname "$0")/lib.sh"
redis_start
format_ours --trash-days 0
program=$W/calls
"${CC:-gcc}" -O1 -o "$program" "$ROOT/tools/bench/calls.c"
scripts() { rcli info commandstats | sed -n 's/^cmdstat_evalsha:calls=\([0-9]*\).*/\1/p'; }


bad=0
printf '%-28s %s\n' "libc call" "script calls each (of 100)"
# each kind of call 100 times; what it takes to get there is done before the count begins
for kind in mkdir symlink create-close write-close append-close open-close read lseek write fstat stat \
    access chmod utimensat rename link unlink rmdir readdir truncate fsync; do
    jfs mkdir $PREFIX/$kind
    calls=$(jfs "$program" "$kind" $PREFIX/$kind "redis-cli -s $SOCK info commandstats")
    printf '%-28s %s\n' "$kind" "$calls"
    case $kind in
    read | lseek | write) limit=0 ;;
    create-close | write-close | append-close) limit=2 ;; # open, and close that commits
    readdir) limit=2 ;;
    *) limit=1 ;;
    esac
    awk -v c="$calls" -v l=$limit 'BEGIN { exit !(c > l + 0.05) }' && bad=1 && echo "    more than $limit"
done
[ $bad = 0 ] && echo "none above what is promised: one a change, none for read, write and lseek"
