#!/bin/bash
# What `jfspre fsck` must find: a healthy volume that stock wrote is clean, and every kind of damage,
# done by hand to a copy of its metadata, is found and named.
# limit: 240
. "$(dirname "$0")/../lib/env.sh"
need_stock
need_fuse

redis_start
format_stock --trash-days 1
stock_mount

mkdir -p "$MNT/a/sub/deep"
head -c 100 /dev/urandom >"$MNT/a/small"
head -c 9437184 /dev/urandom >"$MNT/a/big"
cp "$MNT/a/small" "$MNT/a/copy" # stock shares the slice: copy_file_range
head -c 5000 /dev/urandom >"$MNT/a/linked"
ln "$MNT/a/linked" "$MNT/a/sub/other"
ln "$MNT/a/linked" "$MNT/a/sub/third"
ln -s sub/deep "$MNT/a/link"
mkfifo "$MNT/a/fifo"
head -c 3000 /dev/urandom >"$MNT/a/gone" && rm "$MNT/a/gone"
mkdir "$MNT/a/gonedir" && rmdir "$MNT/a/gonedir"
truncate -s 200000000 "$MNT/a/sparse"
head -c 1000 /dev/urandom >>"$MNT/a/sparse"
printf 'a\nb' >"$MNT/a/$(printf 'new\nline')"
setfattr -n user.k -v v "$MNT/a/small"
for i in 1 2 3; do printf '%s' "$i$i$i" | dd of="$MNT/a/small" bs=1 seek=$((i * 20)) conv=notrunc status=none; done
ino() { stat -c %i "$MNT/$1"; }
A=$(ino a) SUB=$(ino a/sub) DEEP=$(ino a/sub/deep) SMALL=$(ino a/small) BIG=$(ino a/big)
COPY=$(ino a/copy) LINKED=$(ino a/linked) LINK=$(ino a/link)
sync
stock_umount
eventually 20 [ "$(rcli zcard allSessions)" = 0 ]

# The copy that is damaged is database 1.
DAMAGED="unix://$SOCK?db=1"
damage() { # LUA: `edit(key, offset, bytes)` writes into a value, `call` is redis.call
    rcli -n 1 flushdb >/dev/null
    rcli eval "for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', k, k, 'DB', 1) end" 0 >/dev/null
    rcli -n 1 eval "
        local call = redis.call
        local function edit(key, off, bytes)
            local v = call('GET', key)
            call('SET', key, v:sub(1, off) .. bytes .. v:sub(off + #bytes + 1))
        end
        $1
        return 'done'" 0
}
fsck_damaged() { # status and output of the last run are kept
    STATUS=0
    env "${JFS_ENV[@]}" "$JFSPRE" fsck "$DAMAGED" "$@" >"$W/found" 2>&1 || STATUS=$?
}
# finds NAME STATUS PATTERN LUA: fsck ends so and prints such a line
finds() {
    local out
    out=$(damage "$4" 2>&1)
    if [ "$out" != "done" ]; then
        say "$out"
        not_ok "$1 (the damage was not done)"
        return
    fi
    fsck_damaged
    if [ $STATUS = "$2" ] && grep -Eq "^$3" "$W/found"; then
        ok "$1"
    else
        say "status $STATUS, wanted $2; wanted a line $3, found:"
        head -20 "$W/found"
        not_ok "$1"
    fi
}

# --- healthy ---------------------------------------------------------------------------------------
finds "healthy: clean" 0 'vol: [0-9]+ files.* 0 errors, 0 warnings$' ''
if grep -Eq '^(error|warning)' "$W/found"; then not_ok "healthy: no line"; else ok "healthy: no line"; fi
our_fsck && ok "fsck without a URL takes the configured volume"

# --- attributes, entries, records ------------------------------------------------------------------
finds "attr: too short" 1 "error: attr: inode $SMALL" "call('SET', 'i$SMALL', ('x'):rep(40))"
finds "attr: a length nobody writes" 1 "error: attr: inode $SMALL" \
    "call('APPEND', 'i$SMALL', 'x')  call('APPEND', 'i$SMALL', 'x') call('APPEND', 'i$SMALL', 'x')"
finds "attr: unknown type" 1 "error: attr: inode $SMALL" "edit('i$SMALL', 1, '\\240')"
finds "entry: 8 bytes" 1 "error: entry: .*small" "call('HSET', 'd$A', 'small', ('\\0'):rep(8))"
finds "entry: unknown type" 1 "error: entry: .*small" \
    "call('HSET', 'd$A', 'small', '\\9' .. call('HGET', 'd$A', 'small'):sub(2))"
finds "entry: a name with a slash" 1 'error: entry: .*x/y' \
    "call('HSET', 'd$A', 'x/y', call('HGET', 'd$A', 'small'))"
finds "entry: an empty name" 1 'error: entry: ' "call('HSET', 'd$A', '', call('HGET', 'd$A', 'small'))"
finds "record: 23 bytes" 1 "error: record: inode $BIG chunk 0" \
    "call('LSET', 'c${BIG}_0', 0, call('LINDEX', 'c${BIG}_0', 0):sub(1, 23))"
finds "record: beyond its slice" 1 "error: record: inode $BIG chunk 0" \
    "call('LSET', 'c${BIG}_0', 0, call('LINDEX', 'c${BIG}_0', 0):sub(1, 16) .. '\\127\\0\\0\\0\\0\\0\\0\\9')"
finds "key: a wrong type" 1 "error: key: i$SMALL" "call('DEL', 'i$SMALL') call('LPUSH', 'i$SMALL', 'x')"
finds "key: not a number" 1 'error: key: ' "call('SET', 'i5x', call('GET', 'i$SMALL'))"

# --- names and inodes ------------------------------------------------------------------------------
finds "a name without inode" 1 "error: dangling: /a \(inode $A\): small" "call('DEL', 'i$SMALL')"
finds "names in a directory that is gone" 1 "error: dangling: d$SUB" "call('DEL', 'i$SUB')"
finds "no root" 1 'error: dangling: there is no root' "call('DEL', 'i1')"
finds "an inode without name" 1 "error: orphan: inode $SMALL" "call('HDEL', 'd$A', 'small')"
finds "a directory below itself" 1 'error: loop: ' \
    "call('HSET', 'd$DEEP', 'up', call('HGET', 'd1', 'a')) call('HDEL', 'd1', 'a')
     edit('i$A', 63, '\\0\\0\\0\\0' .. string.char(0, 0, math.floor($DEEP / 256), $DEEP % 256))"
finds "type of entry and inode" 1 'error: type: /a \(inode [0-9]+\): fifo' \
    "call('HSET', 'd$A', 'fifo', '\\7' .. call('HGET', 'd$A', 'fifo'):sub(2))"
finds "nlink of a directory" 1 "error: nlink: /a/sub \(inode $SUB\)" "edit('i$SUB', 47, '\\0\\0\\0\\5')"
finds "nlink of a file" 1 "error: nlink: /a/small \(inode $SMALL\)" "edit('i$SMALL', 47, '\\0\\0\\0\\2')"
finds "a second name without nlink" 1 "error: nlink: " \
    "call('HSET', 'd$SUB', 'again', call('HGET', 'd$A', 'small'))"
finds "parent of a file" 1 "error: parent: /a/small \(inode $SMALL\)" "edit('i$SMALL', 70, '\\1')"
finds "parent of a directory" 1 "error: parent: /a/sub/deep" "edit('i$DEEP', 70, '\\1')"
finds "no list of parents" 1 "error: parent: .*inode $LINKED" "call('DEL', 'p$LINKED')"
finds "a parent counted wrong" 1 "error: parent: .*inode $LINKED" "call('HINCRBY', 'p$LINKED', '$SUB', 1)"
finds "a parent that is none" 1 "error: parent: .*inode $LINKED" "call('HSET', 'p$LINKED', '$DEEP', 1)"
finds "a symlink without target" 1 "error: symlink: /a/link" "call('DEL', 's$LINK')"
finds "a symlink of another length" 1 "error: symlink: /a/link" "call('APPEND', 's$LINK', 'x')"
finds "no trash directory" 1 'error: trash: ' "call('DEL', 'i9223372032828243968')"
finds "sustained, with a name" 1 "error: sustained: /a/small" "call('SADD', 'session1', '$SMALL')"
finds "listed for deletion, still there" 1 "error: delfiles: /a/small" \
    "call('ZADD', 'delfiles', 1, '$SMALL:100')"
finds "delfiles: malformed" 1 'error: delfiles: x' "call('ZADD', 'delfiles', 1, 'x')"

# --- what is legal ---------------------------------------------------------------------------------
finds "removed but open in a session: clean" 0 'vol: .* 0 errors, 0 warnings' "
    call('HDEL', 'd$A', 'small') edit('i$SMALL', 47, '\\0\\0\\0\\0') call('SADD', 'session9', '$SMALL')
    call('ZADD', 'allSessions', 1, '9')
    for _, h in ipairs({ 'dirDataLength', 'dirUsedSpace', 'dirUsedInodes' }) do call('HDEL', h, '$A') end"
finds "removed, data waits for deletion: clean" 0 'vol: .* 0 errors, 0 warnings' "
    call('HDEL', 'd$A', 'big') call('DEL', 'i$BIG') call('ZADD', 'delfiles', 1, '$BIG:9437184')
    call('DECRBY', 'usedSpace', 9437184) call('DECR', 'totalInodes')
    for _, h in ipairs({ 'dirDataLength', 'dirUsedSpace', 'dirUsedInodes' }) do call('HDEL', h, '$A') end"
finds "keys of others: clean" 0 'vol: .* 0 errors, 0 warnings' \
    "call('SET', '~x', '1') call('HSET', 'lockf$SMALL', '1_0', 'W') call('HSET', 'dirQuota', '$A', 'x')"

# --- slices ----------------------------------------------------------------------------------------
FIELD=$(rcli hkeys sliceRef | grep '_100$' | head -1)
finds "sliceRef absent, two records" 1 "error: sliceref: slice .*data will be lost" "call('HDEL', 'sliceRef', '$FIELD')"
finds "sliceRef one too low" 1 "error: sliceref: slice .*data will be lost" "call('HINCRBY', 'sliceRef', '$FIELD', -1)"
finds "sliceRef one too high" 1 "error: sliceref: slice .*space will not" "call('HINCRBY', 'sliceRef', '$FIELD', 1)"
finds "sliceRef malformed" 1 "error: key: sliceRef" "call('HSET', 'sliceRef', 'kx', 1)"
finds "sliceRef without records: a leak" 0 "warning: leak: slice 99999" "call('HSET', 'sliceRef', 'k99999_5', 3)"
finds "sliceRef below zero, to be deleted: clean" 0 'vol: .* 0 errors, 0 warnings' \
    "call('HSET', 'sliceRef', 'k99999_5', -1)"
finds "an item of delSlices is a reference" 1 "error: sliceref: .*references, sliceRef says 1, should be 2" "
    local k = '$FIELD' local id, size = k:match('k(%d+)_(%d+)')
    call('HSET', 'delSlices', '7_1', struct.pack('>I4I4I4', 0, id, size))"
finds "one id, two sizes" 1 'error: slicesize: ' "
    local r = call('LINDEX', 'c${BIG}_0', 0)
    call('RPUSH', 'c${COPY}_0', r:sub(1, 12) .. '\\0\\0\\2\\0' .. '\\0\\0\\0\\0\\0\\0\\0\\1')"
finds "a chunk without inode: a leak" 0 'warning: leak: c77777_0' \
    "call('RPUSH', 'c77777_0', ('\\0'):rep(23) .. '\\1')"
finds "a chunk of a directory" 1 'error: type: /a/sub' \
    "call('RPUSH', 'c${SUB}_0', ('\\0'):rep(23) .. '\\1')"

# --- counters and statistics -----------------------------------------------------------------------
finds "usedSpace" 1 'error: counter: usedSpace' "call('INCRBY', 'usedSpace', 4096)"
finds "totalInodes" 1 'error: counter: totalInodes' "call('DEL', 'totalInodes')"
finds "nextinode below an inode" 1 'error: counter: nextinode' "call('SET', 'nextinode', 1)"
finds "nextchunk below a slice" 1 'error: counter: nextchunk' "call('DEL', 'nextchunk')"
finds "nextTrash below an hour" 1 'error: counter: nextTrash' "call('DEL', 'nextTrash')"
finds "a counter that is none" 1 'error: counter: usedSpace' "call('SET', 'usedSpace', 'many')"
finds "dir stats: a warning" 0 'warning: dirstats: /a ' "call('HINCRBY', 'dirUsedInodes', '$A', 1)"
finds "a directory of another length: a warning" 0 'warning: dirlength: /a ' "edit('i$A', 51, '\\0\\0\\0\\0\\0\\0\\0\\5')"
finds "parents of nobody: a leak" 0 'warning: leak: p77777' "call('HSET', 'p77777', '1', 1)"
finds "a target of nobody: a leak" 0 'warning: leak: s77777' "call('SET', 's77777', 'x')"
finds "attributes of nobody: a leak" 0 'warning: leak: x77777' "call('HSET', 'x77777', 'user.k', 'v')"
finds "a set of no session: a leak" 0 'warning: leak: session77' "call('SADD', 'session77', '77777')"
damage "call('HINCRBY', 'dirUsedInodes', '$A', 1)" >/dev/null
fsck_damaged --strict
case_of "--strict: a warning is an error" [ $STATUS = 1 ]
damage "for i = 100, 150 do call('HSET', 'd$A', 'n' .. i, struct.pack('>BI4I4', 1, 0, 70000 + i)) end" >/dev/null
fsck_damaged
case_of "20 findings of a kind, then how many more" \
    [ "$(grep -c 'error: dangling' "$W/found") $(grep -c 'and 31 more' "$W/found")" = "21 1" ]
fsck_damaged --all
case_of "--all" [ "$(grep -c 'error: dangling' "$W/found")" = 51 ]

# --- blocks ----------------------------------------------------------------------------------------
block=$(find "$BUCKET/vol/chunks" -name '*_1_4194304' | head -1)
blocks_say() { # NAME STATUS PATTERN
    fsck_damaged
    case_of "$1" eval "[ $STATUS = $2 ] && grep -Eq '^$3' '$W/found'"
}
damage '' >/dev/null
mv "$block" "$W/block"
blocks_say "a block is missing" 1 "error: block: $block is missing .used by /a/big"
fsck_damaged --no-blocks
case_of "--no-blocks" [ $STATUS = 0 ]
head -c 4194303 "$W/block" >"$block"
blocks_say "a block is one byte short" 1 "error: block: $block has 4194303 of 4194304 bytes"
mv "$W/block" "$block"
blocks_say "whole again" 0 'vol: .* 0 errors'
mv "$BUCKET/vol" "$W/elsewhere"
blocks_say "the store is missing: not wholly checked" 2 'jfspre: fsck: blocks are not checked: .*bucket'
mv "$W/elsewhere" "$BUCKET/vol"

# --- no connection ---------------------------------------------------------------------------------
fsck_damaged
STATUS=0
"$JFSPRE" fsck "unix://$W/nobody.sock" >"$W/found" 2>&1 || STATUS=$?
case_of "Redis is not there: 2, one line" [ "$STATUS $(wc -l <"$W/found")" = "2 1" ]
STATUS=0
"$JFSPRE" fsck "unix://$SOCK?db=5" >"$W/found" 2>&1 || STATUS=$?
case_of "not formatted: 2, said" eval "[ $STATUS = 2 ] && grep -q 'not formatted' '$W/found'"
finish
