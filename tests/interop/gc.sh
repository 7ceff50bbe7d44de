#!/bin/bash
# `jfspre gc`: what nobody refers to is told and removed, young things stay, counts are put right,
# mostly dead slices are repacked; stock's checkers and readers agree before and after.
# limit: 400
. "$(dirname "$0")/../lib/env.sh"
need_stock
need_fuse

gc() { # ARGS: status and output are kept
    STATUS=0
    jfspre gc "$@" >"$W/gc" 2>&1 || STATUS=$?
}
# gives NAME STATUS PATTERN ARGS: gc ends so and prints such a line; PATTERN -: none of that kind
gives() {
    local name=$1 status=$2 pattern=$3
    shift 3
    [ -n "${UNSETTLED:-}" ] || eventually 20 settled || not_ok "$name: stock does not settle"
    gc "$@"
    if [ $STATUS = "$status" ] && grep -Eq "^$pattern" "$W/gc"; then
        ok "$name"
    else
        say "status $STATUS, wanted $status; wanted a line $pattern, found:"
        head -20 "$W/gc"
        not_ok "$name"
    fi
}
blocks() { find "$BUCKET/vol/chunks" -type f | wc -l; }
refs() { rcli hlen sliceRef; }
packs() { "$PY" "$ROOT/tests/lib/packs.py" "$@"; }
nothing='vol: [0-9]+ slices, [0-9]+ blocks'

redis_start
format_stock --trash-days 0 --block-size 1024
stock_mount --cache-size 0 # so that each read needs the block
D=$MNT/v
mkdir "$D"
# what stock removes in the background is gone
settled() { [ "$(rcli zcard delfiles)" = 0 ] && [ "$(rcli hvals sliceRef | grep -c -- -)" = 0 ]; }

# --- packs -----------------------------------------------------------------------------------------
packs make "$D/a" 3 40 20000
case_of "a fsck knows packs" our_fsck
gives "whole packs: nothing to do" 0 "$nothing"
case_of "and it says nothing else" [ "$(wc -l <"$W/gc")" = 1 ]
rm "$D"/a/p0/f*[1-9] "$D"/a/p1/f[1-9]* # 4 and 1 of 40 are left
gives "mostly dead slices are told" 0 'mostly dead: 2 slices of 1\.5 MiB, with 97\.7 KiB in use'
tree "$D" >"$W/before"
exec 5<"$D/a/p0/f10"
head -c 10 <&5 >/dev/null
quiet stock gc "$META" || not_ok "stock gc before"
gives "--repack" 0 'repacked: 5 records into 1 slice of 97\.7 KiB; 2 slices removed; 0 records' --repack
cat <&5 | cmp - <(tail -c +11 "$D/a/p0/f10") && ok "a file held open by a stock mount" || not_ok "a file held open"
exec 5<&-
tree "$D" >"$W/after"
same "stock reads the same" "$W/before" "$W/after"
gives "again: nothing to do" 0 "$nothing" --repack
case_of "blocks: one for each slice" [ "$(blocks)" = 2 ]
case_of "references: two slices" [ "$(refs)" = 2 ]
SHALLOW=1 checkers "repacked"
quiet stock compact "$D/a" && quiet stock gc --compact --delete "$META" || not_ok "stock compact"
tree "$D" >"$W/after"
same "and after a compaction" "$W/before" "$W/after"
tree_of_volume "$PREFIX/v" >"$W/ours"
same "we read the same" "$W/before" "$W/ours"

gives "--repack=0: nothing is below" 0 "$nothing" --repack=0
case_of "and nothing is told" [ "$(wc -l <"$W/gc")" = 1 ]
rm "$D"/a/p2/f[0-4]
gives "35 of 40 at 90 percent" 0 'repacked: 35 records' --repack=90
tree "$D" >"$W/before"
our_fsck && ok "fsck: a pack that lost five" || not_ok "fsck: a pack that lost five"

# a file of ours that is open across it, and nothing of it read yet
packs make "$D/b" 1 20 5000
cp "$D/b/p0/f7" "$W/f7"
# shellcheck disable=SC2016
jfs bash -c 'exec 5<"$1" && touch "$2.open" && while [ ! -e "$2.go" ]; do sleep 0.02; done && cat <&5 >"$2"' \
    - "$PREFIX/v/b/p0/f7" "$W/read" &
reader=$!
eventually 20 [ -e "$W/read.open" ]
rm "$D"/b/p0/f1*
gives "--repack beside a reader of ours" 0 'repacked: 9 records' --repack=60
touch "$W/read.go"
wait $reader
same "a file held open by us" "$W/f7" "$W/read"

# many files of one range: clones; a file with two pieces of one slice; chunks behind the first
packs make "$D/c" 1 10 9000
for i in 1 2 3; do stock clone "$D/c" "$D/c$i" >>"$W/quiet.log" 2>&1 || not_ok "clone $i"; done
"$PY" - "$D/c/p0/f1" "$D/c/two" <<'EOF'
import os, sys
a, b = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDWR | os.O_CREAT, 0o644)
assert os.copy_file_range(a, b, 4000, 100, 0) == 4000
assert os.copy_file_range(a, b, 4000, 2000, 67108000) == 4000
EOF
rm "$D"/c*/p0/f[02-9]
tree "$D" >"$W/before"
gives "shared ranges are copied once" 0 'repacked: 7 records into 1 slice of 8\.8 KiB; 1 slice removed' --repack
tree "$D" >"$W/after"
same "clones and pieces read the same" "$W/before" "$W/after"
case_of "clones and pieces: our fsck" our_fsck

# --- what waits ------------------------------------------------------------------------------------
head -c 5000 /dev/urandom >"$D/x"
sync
LIVE=$(find "$BUCKET/vol/chunks" -name '*_0_5000' | head -1)
ALIEN=$BUCKET/vol/chunks/8/8888
mkdir -p "$ALIEN"
young() { head -c 100 /dev/zero >"$ALIEN/8888888_0_100" && touch -d "-${1} min" "$ALIEN/8888888_0_100"; }
young 59
gives "a young block is left" 0 'leaked blocks: 1 \(100 bytes\), 1 of them too young to go$' --delete
case_of "it is there" [ -e "$ALIEN/8888888_0_100" ]
young 61
gives "an old block is told" 0 'leaked blocks: 1 \(100 bytes\)$'
case_of "told, not removed" [ -e "$ALIEN/8888888_0_100" ]
gives "an old block is removed" 0 'leaked blocks: 1 \(100 bytes\): removed$' --delete
case_of "it is gone" [ ! -e "$ALIEN/8888888_0_100" ]
young 2
gives "--age" 0 'leaked blocks: 1 \(100 bytes\): removed$' --delete --age 60
head -c 7 /dev/zero >"$(dirname "$LIVE")/$(basename "$LIVE" | sed s/_5000/_4999/)"
touch -d '-2 hours' "$LIVE" "${LIVE%_5000}_4999"
gives "a block of another length than its slice" 0 'leaked blocks: 1 .*removed' --delete
case_of "the slice's own is kept, as old as it is" [ -e "$LIVE" ]
touch -d '-2 hours' "$ALIEN/.jfs.5_0_100.tmp.77" "$ALIEN/.jfs.abc.tmp.6" "$ALIEN/~x" "$ALIEN/pack_1"
gives "temporary files" 0 'temporary files: 1 \(0 bytes\): removed$' --delete
case_of "names of another shape stay" [ "$(find "$ALIEN" -type f | wc -l)" = 3 ]
rm -r "$BUCKET/vol/chunks/8"

UNSETTLED=yes
past=$(($(date +%s) - 7200))
rm -f "$D/y"
head -c 3000 /dev/urandom >"$D/y" && sync
DINO=$(stat -c %i "$D") Y=$(stat -c %i "$D/y") YBLOCK=$(find "$BUCKET/vol/chunks" -name '*_0_3000')
stock_umount
# what a client that dies between its unlink and the deletion of the data leaves
removed() { # SCORE
    rcli eval "redis.call('ZADD', 'delfiles', $1, '$Y:3000') redis.call('DEL', 'i$Y') redis.call('HDEL', 'd$DINO', 'y')
        redis.call('DECRBY', 'usedSpace', 4096) redis.call('DECR', 'totalInodes')" 0 >/dev/null
}
removed "$(date +%s)"
gives "a file removed just now waits" 0 'removed files whose data waits: 1 \(2\.9 KiB\), 1 of them too young to go$' --delete
case_of "its block is there" [ -e "$YBLOCK" ]
rcli zadd delfiles $past "$Y:3000" >/dev/null
gives "one removed long ago goes" 0 'removed files whose data waits: 1 \(2\.9 KiB\): removed$' --delete
case_of "its block is gone" [ ! -e "$YBLOCK" ]
case_of "its chunks too" [ "$(rcli exists "c${Y}_0" delfiles)" = 0 ]
rcli hset sliceRef k7777_100 -1 >/dev/null
mkdir -p "$BUCKET/vol/chunks/0/7" && head -c 100 /dev/zero >"$BUCKET/vol/chunks/0/7/7777_0_100"
gives "a slice below zero goes at once" 0 'slices without a reference: 1 \(100 bytes\): removed$' --delete
case_of "with its block and its field" [ ! -e "$BUCKET/vol/chunks/0/7/7777_0_100" ]
case_of "its field" [ "$(rcli hexists sliceRef k7777_100)" = 0 ]
rcli eval "redis.call('RPUSH', 'c99999_3', struct.pack('>I4I8I4I4I4', 0, 7778, 100, 0, 100))" 0 >/dev/null
gives "a chunk without inode" 0 'chunks of inodes that are gone: 1$'
gives "it is removed" 0 'chunks of inodes that are gone: 1: removed$' --delete
case_of "really" [ "$(rcli exists c99999_3)" = 0 ]

UNSETTLED=
# --- counts ----------------------------------------------------------------------------------------
FIELD=$(rcli hkeys sliceRef | head -1) WAS=$(rcli hget sliceRef "$(rcli hkeys sliceRef | head -1)")
rcli hincrby sliceRef "$FIELD" 1 >/dev/null
gives "too high: told" 1 'error: sliceref: .*space will not be given back'
gives "too high: put right" 0 'sliceRef too high: 1: put right$' --delete
case_of "it is what it was" [ "$(rcli hget sliceRef "$FIELD")" = "$WAS" ]
rcli hincrby sliceRef "$FIELD" -1 >/dev/null
gives "too low is an error that names the slice" 1 'error: sliceref: slice [0-9]+ .*data will be lost; used by /.* other file' --delete
case_of "it is left as it is" [ "$(rcli hget sliceRef "$FIELD")" = $((WAS - 1)) ]
gives "a slice counted wrong is not repacked" 1 "$nothing" --repack=100
if grep -q '^repacked: .* 2 slices removed' "$W/gc"; then not_ok "not repacked: it was"; fi
rcli hset sliceRef "$FIELD" "$WAS" >/dev/null
rcli hset sliceRef k7779_100 5 >/dev/null
gives "nobody uses it: dropped" 0 'sliceRef of slices that nobody uses: 1: removed$' --delete
case_of "dropped" [ "$(rcli hexists sliceRef k7779_100)" = 0 ]
rcli rpush "c${Y}_0" short >/dev/null
mkdir -p "$ALIEN"
young 61
gives "damaged metadata: nothing is removed" 1 'jfspre: gc: the metadata is damaged' --delete
case_of "nothing was" [ -e "$ALIEN/8888888_0_100" ]
rcli del "c${Y}_0" >/dev/null
gives "and when it is whole" 0 'leaked blocks: 1 .*removed' --delete
gives "a share that is none" 2 'jfspre: gc: --repack=101: want a share in percent' --repack=101
gives "an age that is none" 2 'jfspre: gc: --age x: want seconds' --age x
SHALLOW=1 checkers "at the end of it"

# --- one lost block of a pack ----------------------------------------------------------------------
stock_mount --cache-size 0
packs make "$D/l" 1 12 200000 # three blocks: files 5 and 10 cross an edge
rm "$D/l/p0/f0"
PACK=$(find "$BUCKET/vol/chunks" -name '*_1_1048576')
mv "$PACK" "$W/block"
jfspre fsck --all >"$W/found" 2>&1 && not_ok "fsck: a lost block" || ok "fsck: a lost block"
grep -c '^error: block: ' "$W/found" | grep -qx 1 && ok "it is told once" || not_ok "it is told once"
sed -n 's/^error: broken: .*\/f\([0-9]*\) .*/\1/p' "$W/found" | sort -n >"$W/broken"
printf '%s\n' 5 6 7 8 9 10 >"$W/wanted"
same "and every file that needs it" "$W/wanted" "$W/broken"
gives "a slice that cannot be read stays" 1 'jfspre: gc: slice [0-9]+ of 2400000 bytes stays as it is' --repack=100
mv "$W/block" "$PACK"
case_of "whole again" our_fsck

# --- killed, and beside others ---------------------------------------------------------------------
rm -r "$D/l"
packs make "$D/k" 150 8 4000
rm "$D"/k/p*/f[2-7]
tree "$D" >"$W/before"
for i in $(seq 1 25); do
    jfspre gc --repack --delete >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
our_fsck && ok "killed 25 times: our fsck" || not_ok "killed 25 times: our fsck"
tree "$D" >"$W/after"
same "killed 25 times: the same files" "$W/before" "$W/after"
gives "what they left is removed" 0 "$nothing" --repack --delete --age 0
SHALLOW=1 stock_finds_nothing && ok "killed: no block too many" || not_ok "killed: no block too many"

packs make "$D/r" 30 8 4000
packs churn "$D/r" 12 "$RANDOM" >"$W/churn" 2>&1 &
churn=$!
rounds=0
while kill -0 $churn 2>/dev/null; do
    jfspre gc --repack=100 --delete >>"$W/gcs" 2>&1 || true # it may be asked for the impossible, and say so
    rounds=$((rounds + 1))
done
wait $churn && ok "a stock client beside gc" || { cat "$W/churn"; not_ok "a stock client beside gc"; }
say "$rounds rounds, $(grep -c '^repacked' "$W/gcs") that moved something; $(cat "$W/churn")"
case_of "it did something" grep -q '^repacked' "$W/gcs"
packs make "$D/e" 2 10 3000
rm "$D"/e/p*/f[0-6]
stock_umount
gc --delete --age 0
case_of "beside others: our fsck" our_fsck
SHALLOW=1 stock_finds_nothing && ok "beside others: stock fsck and gc" || not_ok "beside others: stock fsck and gc"

# --- the embedded store ----------------------------------------------------------------------------
quiet stock dump "$META" "$W/dump.json" || not_ok "dump"
cp -a "$BUCKET" "$W/bucket2"
sed -i "s|\"Bucket\": \".*\"|\"Bucket\": \"$W/bucket2/\"|" "$W/dump.json"
EMBEDDED="lmdb://$W/embedded"
quiet "$JFSPRE" load "$EMBEDDED" "$W/dump.json" || not_ok "load"
ours() { env "${JFS_ENV[@]}" JFSPRE_META="$EMBEDDED" "$@"; }
ours LD_PRELOAD="$PRELOAD" "$PY" "$ROOT/tests/lib/tree.py" "$PREFIX/v" >"$W/before"
gives "embedded: --repack" 0 'repacked: [1-9][0-9]* records into 1 slice' --repack=40 --delete --meta "$EMBEDDED"
ours LD_PRELOAD="$PRELOAD" "$PY" "$ROOT/tests/lib/tree.py" "$PREFIX/v" >"$W/after"
same "embedded: the same files" "$W/before" "$W/after"
quiet "$JFSPRE" fsck "$EMBEDDED" && ok "embedded: fsck" || not_ok "embedded: fsck"
finish
