#!/bin/bash
# Volumes moved between engines by dumps: ours on lmdb:// into Redis by stock, stock's into lmdb:// by
# us, round trips, and what must be refused.
# limit: 300
. "$(dirname "$0")/../lib/env.sh"
need_stock

REDIS=${META%0} # and a number
LMDB="lmdb://$W/lm"
use() { # META-URL: the volume of jfs(), jfspre() and the checkers
    META=$1
    # shellcheck disable=SC2034 # env.sh has it
    JFS_ENV[0]="JFSPRE_META=$1"
    rm -rf "$W/cache" && mkdir -m 1777 "$W/cache"
}
# gc is left out: volumes that share a bucket find each other's new blocks, and a dump does not say
# which slices wait for their removal.
stock_fsck() {
    quiet stock fsck "$META" && cp "$W/quiet.log" "$W/fsck.log" &&
        quiet stock fsck --path / -r --sync-dir-stat "$META" || return 1
    cat "$W/quiet.log" >>"$W/fsck.log"
    if grep -E '<(WARNING|ERROR|FATAL)>|lost|broken' "$W/fsck.log" |
        grep -vE 'AOF is not enabled|Set storage tier'; then return 1; fi
}
keys() { rcli -n "$1" dbsize | tr -dc 0-9; }

# Objects and names that activity.py does not make.
more_script="$W/more.py"
cat >"$more_script" <<'EOF'
import os, sys
top = sys.argv[1].encode()
os.mkdir(top + b"/odd")
names = [b"a b", b" ", b"%41", b"100%", b"%25", b"q\"uo\\te", b"<&>", b"\xe2\x80\xa8", b"tab\t\x01\x7f\x1b",
         b"bs\b\f\r", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xc3", b"x\xff", b"'`$(x)", b"n" * 255]
if "replacement" in sys.argv: # U+FFFD: stock's writer loses two bytes of it
    names += [b"\xef\xbf\xbd", b"a\xef\xbf\xbdb"]
for n in names:
    with open(top + b"/odd/" + n, "wb") as f:
        f.write(n * 3)
    os.symlink(n * 2, top + b"/odd/l" + n[:200])
os.setxattr(top + b"/odd", "user.bin", bytes(range(256)))
os.setxattr(top + b"/odd/<&>", "user.empty", b"")
os.mkdir(top + b"/odd/sticky"); os.chmod(top + b"/odd/sticky", 0o1777)
deep = top + b"/deep"
os.mkdir(deep)
for i in range(60):
    deep += b"/d%d" % i
    os.mkdir(deep)
with open(deep + b"/end", "wb") as f:
    f.write(b"end")
with open(top + b"/sparse", "wb") as f:
    f.truncate(200_000_000)
    f.seek(150_000_000)
    f.write(b"here")
os.link(top + b"/sparse", top + b"/deep/sparse-too")
if os.geteuid() == 0:
    import stat
    os.mknod(top + b"/odd/null", stat.S_IFCHR | 0o620, os.makedev(1, 3))
    os.chown(top + b"/odd/null", 7, 8)
os.utime(top + b"/odd/a b", ns=(1, 2_000_000_000_999_999_999))
os.mkdir(top + b"/gone")
for i in range(5):
    with open(top + b"/gone/f%d" % i, "wb") as f:
        f.write(b"gone%d" % i * 1000)
    os.unlink(top + b"/gone/f%d" % i)
os.rmdir(top + b"/gone")
EOF

redis_start

# --- ours on lmdb:// -> jfspre dump -> juicefs load ---------------------------------------------------
use "$LMDB"
format_ours --trash-days 1
quiet jfs "$PY" "$ROOT/tests/lib/activity.py" $PREFIX/top 3 || not_ok "activity on lmdb://"
quiet jfs "$PY" "$more_script" $PREFIX/top replacement || not_ok "odd names on lmdb://"
tree_of_volume $PREFIX/top >"$W/ours"
jfs bash -c "cd $PREFIX/.trash && find . -mindepth 2 -maxdepth 2 | sort" >"$W/trash.ours"
case_of "ours: something is in the trash" grep -q -- '-gone$' "$W/trash.ours"
case_of "ours: our fsck" our_fsck
case_of "ours: dump" quiet jfspre dump "$W/ours.json"
jfspre dump - >"$W/ours2.json"
same "ours: the same on standard output" "$W/ours.json" "$W/ours2.json"
case_of "ours: it is JSON" "$PY" -c 'import json, sys; json.load(open(sys.argv[1]))' "$W/ours.json"
case_of "ours: juicefs load" quiet stock load "${REDIS}1" "$W/ours.json"
case_of "ours: jfspre load into Redis" quiet env "$JFSPRE" load "${REDIS}2" "$W/ours.json"
case_of "ours: jfspre load into LMDB" quiet env "$JFSPRE" load "$LMDB-again" "$W/ours.json"
"$JFSPRE" dump "${REDIS}2" "$W/redis.json"
"$JFSPRE" dump "$LMDB-again" "$W/again.json"
same "ours: dump, load, dump: LMDB" "$W/ours.json" "$W/again.json"
same "ours: dump, load, dump: Redis" "$W/ours.json" "$W/redis.json"
for db in 1 2; do
    use "${REDIS}$db"
    tree_of_volume $PREFIX/top >"$W/moved"
    same "ours: the tree in database $db" "$W/ours" "$W/moved"
    case_of "ours: database $db: our fsck" our_fsck
    if can_mount; then
        stock_mount
        tree "$MNT/top" >"$W/stock"
        same "ours: a stock mount of database $db" "$W/ours" "$W/stock"
        (cd "$MNT/.trash" && find . -mindepth 2 -maxdepth 2 | sort) >"$W/trash.stock"
        same "ours: trash of database $db" "$W/trash.ours" "$W/trash.stock"
        stock_umount
        eventually 20 [ "$(rcli -n $db zcard allSessions)" = 0 ]
    fi
    case_of "ours: database $db: stock fsck" stock_fsck
done

# --- stock's -> juicefs dump -> jfspre load -------------------------------------------------------------
if can_mount; then
    rcli flushall >/dev/null
    rm -rf "${BUCKET:?}" && mkdir "$BUCKET"
    use "${REDIS}0"
    format_stock --trash-days 1
    stock_mount
    quiet "$PY" "$ROOT/tests/lib/activity.py" "$MNT/top" 5 || not_ok "activity on the stock mount"
    quiet "$PY" "$more_script" "$MNT/top" || not_ok "odd names on the stock mount"
    setfattr -n trusted.t -v t "$MNT/top/odd"
    "$PY" -c "
import os, socket
s = socket.socket(socket.AF_UNIX)
os.chdir('$MNT/top/odd')
s.bind('socket')"
    quiet stock quota set "$META" --path /top/odd --capacity 1 --inodes 10000
    tree "$MNT/top" >"$W/stock"
    exec 9>"$MNT/held" # removed while it is open
    echo held >&9
    rm "$MNT/held"
    rm -f "$MNT"/.trash/*/*-held
    rcli zadd delfiles 1700000000 999999:12345 >/dev/null
    eventually 20 [ "$(rcli scard session1)" = 1 ]
    case_of "stock: juicefs dump" quiet stock dump "$META" "$W/stock.json"
    case_of "stock: juicefs dump --fast" quiet stock dump --fast "$META" "$W/stock.fast.json"
    case_of "stock: jfspre dump" quiet "$JFSPRE" dump "$META" "$W/our.json"
    same "stock: our dump has stock's bytes" "$W/stock.json" "$W/our.json"
    same "stock: and those of --fast" "$W/stock.fast.json" "$W/our.json"
    stock dump --skip-trash "$META" "$W/skip.stock" 2>/dev/null
    "$JFSPRE" dump --skip-trash "$META" "$W/skip.our"
    same "stock: without the trash too" "$W/skip.stock" "$W/skip.our"
    exec 9>&-
    stock_umount
    eventually 20 [ "$(rcli zcard allSessions)" = 0 ]

    LMDB=lmdb://$W/lm3
    case_of "stock: jfspre load from a pipe" eval 'cat "$W/stock.json" | quiet env "$JFSPRE" load "$LMDB" -'
    case_of "stock: jfspre load into Redis" quiet env "$JFSPRE" load "${REDIS}1" "$W/stock.json"
    case_of "stock: juicefs load" quiet stock load "${REDIS}2" "$W/stock.json"
    for url in "$LMDB" "${REDIS}1"; do
        use "$url"
        tree_of_volume $PREFIX/top | grep -v "'/odd/socket'" >"$W/moved"
        grep -v "'/odd/socket'" "$W/stock" >"$W/stock.files"
        same "stock: the tree in ${url%%://*}" "$W/stock.files" "$W/moved"
        case_of "stock: ${url%%://*}: our fsck" our_fsck
    done
    "$JFSPRE" dump "$LMDB" "$W/lmdb.json"
    "$JFSPRE" dump "${REDIS}1" "$W/redis.json"
    same "stock: dumps of LMDB and Redis are equal" "$W/lmdb.json" "$W/redis.json"
    # what only the running client had: the open file, and what it counts for
    plain() { sed '/"usedSpace"/d; /"usedInodes"/d; /"Sustained": \[\]/d' "$1" | sed '/"Sustained"/,/^  \],$/d'; }
    plain "$W/stock.json" >"$W/a"
    plain "$W/lmdb.json" >"$W/b"
    same "stock: dump, load, dump" "$W/a" "$W/b"
    # every key as stock's loader makes it, but for the numbers of ids, which it begins anew, and its
    # references to slice 0, which is none
    for db in 1 2; do
        rcli -n $db eval "
            local out = {}
            for _, k in ipairs(redis.call('KEYS', '*')) do
                local t = redis.call('TYPE', k).ok
                if t == 'string' then out[#out + 1] = k .. ' ' .. redis.call('GET', k)
                elseif t == 'list' then
                    for i, v in ipairs(redis.call('LRANGE', k, 0, -1)) do out[#out + 1] = k .. ' ' .. i .. ' ' .. v end
                elseif t == 'set' then
                    for _, v in ipairs(redis.call('SMEMBERS', k)) do out[#out + 1] = k .. ' ' .. v end
                else
                    local l = t == 'hash' and redis.call('HGETALL', k) or redis.call('ZRANGE', k, 0, -1, 'WITHSCORES')
                    for i = 1, #l, 2 do out[#out + 1] = k .. ' ' .. l[i] .. ' ' .. l[i + 1] end
                end
            end
            table.sort(out)
            return out" 0 | grep -avE '^(next|sliceRef k0_0)' >"$W/keys$db"
    done
    same "stock: the keys that juicefs load makes" "$W/keys2" "$W/keys1"
    use "${REDIS}1"
    case_of "stock: Redis by us: stock fsck" stock_fsck
fi

# --- what is refused, and leaves nothing -----------------------------------------------------------------
rcli flushall >/dev/null
GOOD=$W/ours.json
nothing_left() { [ ! -e "$W/none" ] && [ "$(keys 4)" = 0 ]; }
# refused NAME PATTERN FILE: both engines say it, end with 1, and keep nothing
refused() {
    local url status
    for url in "lmdb://$W/none" "${REDIS}4"; do
        status=0
        "$JFSPRE" load "$url" "$3" >"$W/out" 2>&1 || status=$?
        if [ $status != 1 ] || ! grep -Eq "$2" "$W/out" || ! nothing_left; then
            say "$url: status $status; keys $(keys 4); $(cat "$W/out")"
            not_ok "refused: $1"
            return
        fi
    done
    ok "refused: $1"
}
size=$(stat -c %s "$GOOD")
cut=0
for ((at = 1; at < size - 1; at += size / 40)); do # the last byte is a line's end
    head -c $at "$GOOD" >"$W/cut.json"
    status=0
    "$JFSPRE" load "lmdb://$W/none" "$W/cut.json" >"$W/out" 2>&1 || status=$?
    if [ $status = 1 ] && grep -Eq 'cut.json: line [0-9]+, column [0-9]+ \(byte' "$W/out" && nothing_left; then
        cut=$((cut + 1))
    else
        say "cut at $at of $size: status $status: $(cat "$W/out")"
    fi
done
[ $cut -ge 40 ] && ok "refused: cut at $cut places" || not_ok "refused: cut off"
edit() { sed "$1" "$GOOD" >"$W/edited.json"; cmp -s "$GOOD" "$W/edited.json" && say "nothing was edited by $1" || true; }
edit '0,/"regular"/s//"irregular"/'
refused "an unknown type" 'line [0-9]+, .*: an unknown type' "$W/edited.json"
edit '0,/"mode":420/s//"mode":65535/'
refused "a mode out of range" 'line [0-9]+, .*: mode: out of range' "$W/edited.json"
edit '0,/"nlink":1,"length":[1-9]/s//"nlink":1,"length":-1/'
refused "a negative length" 'line [0-9]+, .*: length: out of range' "$W/edited.json"
edit '0,/"len":[0-9]*/s//"len":4294967295/'
refused "a slice longer than a chunk" 'line [0-9]+, .*: a slice that no chunk can have' "$W/edited.json"
edit '0,/"top": {/s//"..": {/'
refused "a name that is .." 'line [0-9]+, .*: "..". cannot be a name|".." cannot be a name' "$W/edited.json"
edit '0,/"odd": {/s//"a\/b": {/'
refused "a name with a slash" 'line [0-9]+, .*: "a/b" cannot be a name' "$W/edited.json"
edit '0,/"odd": {/s//"deep": {/'
refused "a name that is there twice" 'has the same name twice' "$W/edited.json"
edit '0,/"inode":\([0-9]*\),"type":"directory","mode":493/s//"inode":1,"type":"directory","mode":493/'
refused "the root as an entry" 'line [0-9]+, .*: inode 1 cannot be here' "$W/edited.json"
edit 's/"BlockSize": 4096/"BlockSize": "x"/'
refused "a setting that is none" 'Setting: .*BlockSize' "$W/edited.json"
sed '/"FSTree"/,$d' "$GOOD" | sed '$s/,$/\n}/' >"$W/edited.json"
refused "no tree" 'no FSTree' "$W/edited.json"
echo '{"a": 1}' >"$W/edited.json"
refused "other JSON" 'no Setting' "$W/edited.json"
printf '%s\n}' "$(cat "$GOOD")" >"$W/edited.json"
refused "something behind the end" 'the end is expected' "$W/edited.json"
status=0
gzip -c "$GOOD" >"$W/x.gz"
"$JFSPRE" load "lmdb://$W/none" "$W/x.gz" >"$W/out" 2>&1 || status=$?
[ $status = 2 ] && grep -q 'gzip -dc' "$W/out" && nothing_left && ok "refused: gzip, with advice" || not_ok "refused: gzip"

rcli -n 4 set foreign x >/dev/null
status=0
"$JFSPRE" load "${REDIS}4" "$GOOD" >"$W/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'not empty' "$W/out" && [ "$(keys 4)" = 1 ] && ok "refused: a database with a key" ||
    not_ok "refused: a database with a key"
cp "$W/lm/data.mdb" "$W/before"
status=0
"$JFSPRE" load "lmdb://$W/lm" "$GOOD" >"$W/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'there already' "$W/out" && cmp -s "$W/lm/data.mdb" "$W/before" &&
    ok "refused: an environment that is there" || not_ok "refused: an environment that is there"

# --- the output file ----------------------------------------------------------------------------------------
mkdir "$W/out.d"
echo old >"$W/out.d/dump.json"
status=0
(trap '' XFSZ && ulimit -f 8 && "$JFSPRE" dump "lmdb://$W/lm" "$W/out.d/dump.json") >"$W/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'dump.json: File too large' "$W/out" && [ "$(cat "$W/out.d/dump.json")" = old ] &&
    [ "$(ls "$W/out.d")" = dump.json ] && ok "output: too large: the old file stays, alone" ||
    { say "status $status: $(cat "$W/out")"; not_ok "output: too large"; }
if [ "$(id -u)" = 0 ] && mkdir "$W/small" && mount -t tmpfs -o size=32k tmpfs "$W/small" 2>/dev/null; then
    MOUNTS+=("$W/small")
    echo old >"$W/small/dump.json"
    status=0
    "$JFSPRE" dump "lmdb://$W/lm" "$W/small/dump.json" >"$W/out" 2>&1 || status=$?
    [ $status = 1 ] && grep -q 'No space left' "$W/out" && [ "$(cat "$W/small/dump.json")" = old ] &&
        [ "$(ls "$W/small")" = dump.json ] && ok "output: a full disk: the old file stays, alone" ||
        { say "status $status: $(cat "$W/out")"; not_ok "output: a full disk"; }
    # and a full disk under the store
    status=0
    "$JFSPRE" load "lmdb://$W/small/lm" "$GOOD" >"$W/out" 2>&1 || status=$?
    [ $status = 1 ] && grep -q 'No space left' "$W/out" && [ ! -e "$W/small/lm" ] &&
        ok "load: a full disk leaves nothing" ||
        { say "status $status: $(cat "$W/out")"; not_ok "load: a full disk"; }
    umount "$W/small"
    unset 'MOUNTS[-1]'
fi
ln -s target.json "$W/out.d/link"
echo old >"$W/out.d/target.json"
"$JFSPRE" dump "lmdb://$W/lm" "$W/out.d/link" && [ -L "$W/out.d/link" ] && cmp -s "$GOOD" "$W/out.d/target.json" &&
    ok "output: a link keeps being one" || not_ok "output: a link keeps being one"
status=0
"$JFSPRE" dump "lmdb://$W/lm" /dev/full >"$W/out" 2>&1 || status=$?
[ $status = 1 ] && [ -c /dev/full ] && grep -q 'No space left' "$W/out" && ok "output: a device is written to" ||
    not_ok "output: a device is written to"
finish
