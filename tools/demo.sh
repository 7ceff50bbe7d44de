#!/bin/bash
# make demo: a volume, a real archive unpacked into it by an unmodified tar, and a look at the result.
#
# The volume is an embedded one: nothing is started.  ENGINE=redis starts a redis-server on a unix
# socket in a temporary directory and stops it at the end; the stock JuiceFS client then makes the
# volume where it is at hand, and looks at the result, by a mount if /dev/fuse is there.
# ARCHIVE=x.tar unpacks that one.
set -euo pipefail
cd "$(dirname "$0")/.."
B=$(realpath "${B:-build}")
ENGINE=${ENGINE:-lmdb}
stock=
if [ "$ENGINE" = redis ]; then
    stock=${JUICEFS:-build/venv/bin/juicefs}
    [ -x "$stock" ] || stock=$(command -v juicefs || true)
fi
W=$(mktemp -d "${TMPDIR:-/tmp}/jfspre-demo.XXXXXX")
redis=
mounted=no

stop() {
    status=$?
    trap - EXIT
    [ $mounted = no ] || umount "$W/mnt" || umount -l "$W/mnt"
    [ -z "$redis" ] || { kill "$redis" && wait "$redis"; } 2>/dev/null || true
    rm -rf "$W" "${JFSPRE_CACHE_DIR:-$W}"
    exit $status
}
trap stop EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
show() { # prints a command as one would type it, then runs it
    printf '$ %s\n' "${*//$W/\$W}"
    "$@"
}
seconds() { # of a command; what it prints is shown
    local start end
    start=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    SECONDS_TAKEN=$(((end - start) / 1000000))
    SECONDS_TAKEN=$((SECONDS_TAKEN / 1000)).$(printf %03d $((SECONDS_TAKEN % 1000)))
}
jfs() { LD_PRELOAD=$B/libjfspre.so "$@"; }

archive=${ARCHIVE:-}
if [ -z "$archive" ]; then
    say "an archive of this machine's own /usr/include and /usr/share"
    archive=$W/demo.tar
    tools/make_archive.sh "$archive"
fi
count=$(tar -tf "$archive" | wc -l)
echo "$archive: $count members, $(stat -L -c %s "$archive") bytes" | sed "s,$W,\$W,"

mkdir "$W/bucket"
start_redis() {
    redis-server --port 0 --unixsocket "$W/redis.sock" --dir "$W" --save '' --appendonly no >"$W/redis.log" 2>&1 &
    redis=$!
    for _ in $(seq 200); do redis-cli -s "$W/redis.sock" ping >/dev/null 2>&1 && break || sleep 0.05; done
}
if [ "$ENGINE" = redis ]; then
    say "Redis and a volume"
    start_redis
    JFSPRE_META="unix://$W/redis.sock?db=0"
else
    say "a volume in a directory"
    JFSPRE_META="lmdb://$W/meta"
fi
export JFSPRE_META JFSPRE_PREFIX=/jfs
JFSPRE_CACHE_DIR=$(mktemp -d "$([ -d /dev/shm ] && echo /dev/shm || echo "$W")/jfspre-demo.XXXXXX")
export JFSPRE_CACHE_DIR
if [ -n "$stock" ]; then
    echo "\$ juicefs format --storage file --bucket \$W/bucket \$JFSPRE_META demo     # the stock client"
    "$stock" format --no-color --storage file --bucket "$W/bucket" --trash-days 0 "$JFSPRE_META" demo >"$W/log" 2>&1 ||
        { cat "$W/log" && exit 1; }
else
    show "$B/jfspre" format "$JFSPRE_META" demo --storage file --bucket "$W/bucket" --trash-days 0
fi

say "tar, with the library preloaded; there is no mount, and no /jfs on this machine"
[ ! -e /jfs ] || echo "(this machine has a /jfs: the volume hides it from preloaded programs)"
echo "\$ LD_PRELOAD=build/libjfspre.so tar -xf $(basename "$archive") -C /jfs"
seconds jfs tar -xf "$archive" -C /jfs
echo "$SECONDS_TAKEN s"
mkdir "$W/plain"
seconds tar -xf "$archive" -C "$W/plain"
echo "($SECONDS_TAKEN s natively into $(df --output=fstype "$W" | tail -1))"

say "what is there"
jfs ls -l /jfs
entries=$(jfs find /jfs -mindepth 1 | wc -l)
echo "$entries entries, $(jfs du -s --apparent-size /jfs | cut -f1) KiB"
(cd "$W/plain" && find . -type f -print0 | sort -z | xargs -0r sha256sum) >"$W/want"
jfs bash -c 'cd /jfs && find . -type f -print0 | sort -z | xargs -0r sha256sum' >"$W/got"
cmp "$W/want" "$W/got" && echo "$(wc -l <"$W/got") files read back through the library: all equal"

say "checked"
show "$B/jfspre" fsck
show "$B/jfspre" status
if [ -n "$stock" ]; then
    for check in fsck gc; do
        JFS_GC_SKIPPEDTIME=0 "$stock" $check --no-color "$JFSPRE_META" >"$W/log" 2>&1 || { cat "$W/log" && exit 1; }
        echo "juicefs $check: $(sed -n 's/.*<INFO>: \(Used by.*\|scanned.*\) \[.*/\1/p' "$W/log" | tail -1)"
    done
    if [ -r /dev/fuse ] && [ "$(id -u)" = 0 ]; then
        mkdir "$W/mnt"
        "$stock" mount --no-color --no-usage-report --backup-meta 0 --read-only --cache-dir "$W/stock" \
            "$JFSPRE_META" "$W/mnt" >"$W/mount.log" 2>&1 &
        for _ in $(seq 200); do
            [ "$(stat -c %i "$W/mnt")" = 1 ] && mounted=yes && break
            sleep 0.05
        done
        [ $mounted = yes ] || { cat "$W/mount.log" && exit 1; }
        # a mount shows files of its own at the top, one of which never ends
        own=(! -path './.trash*' ! -path ./.accesslog ! -path ./.config ! -path ./.stats)
        (cd "$W/mnt" && find . -type f "${own[@]}" -print0 | sort -z | xargs -0r sha256sum) >"$W/theirs"
        cmp "$W/want" "$W/theirs" && echo "$(wc -l <"$W/theirs") files read through a stock mount: all equal"
        for t in plain mnt; do
            (cd "$W/$t" && find . -mindepth 1 "${own[@]}" \( -type d -printf '%p %M %U:%G %T@\n' -o -printf '%p %M %U:%G %T@ %s %n %l\n' \) | sort) >"$W/$t.names"
        done
        grep -a -v -E '^\./(usr|extra) ' "$W/plain.names" >"$W/a" && grep -a -v -E '^\./(usr|extra) ' "$W/mnt.names" >"$W/b"
        if cmp -s "$W/a" "$W/b"; then
            echo "and every name, mode, owner, time, link and link count of $(wc -l <"$W/b") entries"
        else
            diff "$W/a" "$W/b" | head
            exit 1
        fi
    fi
elif [ "$ENGINE" = redis ]; then
    echo "(the stock client is not here, so it did not look)"
fi
say "done: nothing is left running, $W is removed"
