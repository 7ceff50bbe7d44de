# shellcheck shell=bash
# What shell tests share; source it first:  . "$(dirname "$0")/../lib/env.sh"
#
# A test has a directory of its own, $W, and what it starts through these functions ends with it.
# $SO, $JFSPRE: what is tested.  $JUICEFS: the stock client, or empty.  $PY: Debian's python3.
set -Eeuo pipefail
trap 'echo "failed: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=$(realpath -m "${B:-$ROOT/build}")
SO=$B/libjfspre.so
JFSPRE=$B/jfspre
JUICEFS=${JUICEFS:-$ROOT/build/venv/bin/juicefs}
[ -x "$JUICEFS" ] || JUICEFS=$(command -v juicefs || true)
PY=$(command -v /usr/bin/python3 || command -v python3)
PREFIX=/jfs

W=$(mktemp -d "${TMPDIR:-/tmp}/jfspre-test.XXXXXX")
chmod 755 "$W"
SHM=${TEST_SHM:-$(mktemp -d /dev/shm/jfspre-shm.XXXXXX 2>/dev/null || echo "$W/shm")} # on tmpfs if there is one
mkdir -p "$W/bucket" "$W/cache" "$W/home" "$SHM"
chmod 1777 "$W/cache" "$SHM"
export HOME=$W/home LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin # a user's may lack them
NAME=vol
BUCKET=$W/bucket
# Tests become other users too: they get copies where the tree is closed to them.
if [ "$(id -u)" = 0 ] && [ -e "$SO" ] && ! setpriv --reuid=65534 --clear-groups test -x "$JFSPRE" -a -r "$SO"; then
    cp "$SO" "$JFSPRE" "$W"
    SO=$W/libjfspre.so JFSPRE=$W/jfspre
fi

PIDS=()   # processes of ours, ended by their numbers
MOUNTS=() # mount points of ours

cleanup() {
    local status=$? p i
    trap - EXIT ERR
    set +e
    for ((i = ${#MOUNTS[@]} - 1; i >= 0; i--)); do
        umount "${MOUNTS[i]}" 2>/dev/null || umount -l "${MOUNTS[i]}" 2>/dev/null
    done
    for p in "${PIDS[@]}"; do kill -CONT "$p" 2>/dev/null; kill "$p" 2>/dev/null; done
    for p in "${PIDS[@]}"; do wait "$p" 2>/dev/null; done
    if [ -e "$PREFIX" ] && [ -z "${PREFIX_WAS:-}" ]; then
        echo "not ok $PREFIX appeared in the native tree: a call went past us"
        [ $status != 0 ] || status=1
    fi
    rm -rf "$W" "$SHM"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM
[ ! -e "$PREFIX" ] || PREFIX_WAS=yes

say() { printf '%s\n' "$*"; }
skip_all() {
    say "$*"
    exit 77
}
need_stock() { [ -n "$JUICEFS" ] || skip_all "no stock juicefs client here"; }
can_mount() { [ -r /dev/fuse ] && [ "$(id -u)" = 0 ]; }
need_fuse() { can_mount || skip_all "no /dev/fuse, or not root: nothing can be mounted"; }
need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root"; }

# --- cases: a failing one does not end the test, the closing finish() tells ---------------------
FAILED=0
CASES=0
ok() {
    say "ok $1"
    CASES=$((CASES + 1))
}
not_ok() {
    say "not ok $1"
    FAILED=$((FAILED + 1))
}
# case_of NAME CMD...: the case passes when the command does
case_of() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name"; fi
}
finish() {
    [ $FAILED != 0 ] || [ $CASES = 0 ] || exit 0
    exit 1
}

# eventually SECONDS CMD...: waits until the command succeeds
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

# --- Redis ---------------------------------------------------------------------------------------
SOCK=$W/redis.sock
META="unix://$SOCK?db=0"
ENGINE=${ENGINE:-redis} # what a test that begins with volume_start runs on: redis or lmdb
[ "$ENGINE" = redis ] || META=lmdb://$W/meta JUICEFS='' # which no stock client can open
REDIS_PID=

rcli() { redis-cli -s "$SOCK" "$@"; }
redis_answers() { rcli ping 2>/dev/null | grep -Eq 'PONG|NOAUTH'; }
# redis_start [ARGS]: may be called again after redis_kill
# shellcheck disable=SC2120
redis_start() {
    redis-server --port 0 --unixsocket "$SOCK" --unixsocketperm 777 --dir "$W" --save '' \
        --appendonly no --daemonize no "$@" >>"$W/redis.log" 2>&1 &
    REDIS_PID=$!
    PIDS+=("$REDIS_PID")
    eventually 20 redis_answers || {
        cat "$W/redis.log"
        return 1
    }
}
volume_start() { [ "$ENGINE" != redis ] || redis_start; }
redis_kill() { # [SIGNAL]
    kill "-${1:-KILL}" "$REDIS_PID" 2>/dev/null || true
    wait "$REDIS_PID" 2>/dev/null || true
}

# --- volumes --------------------------------------------------------------------------------------
stock() { "$JUICEFS" --no-color "$@"; }
format_stock() { # [ARGS]
    stock format --storage file --bucket "$BUCKET" "$@" "$META" $NAME >"$W/format.log" 2>&1 || {
        cat "$W/format.log"
        return 1
    }
}
format_ours() { "$JFSPRE" format "$META" $NAME --storage file --bucket "$BUCKET" "$@" >"$W/format.log" 2>&1 || {
    cat "$W/format.log"
    return 1
}; }

# Runs a program under the preload.  With a sanitizer its runtime has to come first.
PRELOAD=$SO
case ${SAN:-} in
*address*) PRELOAD="$(gcc -print-file-name=libasan.so):$SO" ;;
*thread*) PRELOAD="$(gcc -print-file-name=libtsan.so):$SO" ;;
*undefined*) PRELOAD="$(gcc -print-file-name=libubsan.so):$SO" ;;
esac
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:verify_asan_link_order=0:allocator_may_return_null=1}
JFS_ENV=(JFSPRE_META="$META" JFSPRE_PREFIX="$PREFIX" JFSPRE_CACHE_DIR="$W/cache")
jfs() { env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" "$@"; }
# The command with the same configuration, without the preload.
jfspre() { env "${JFS_ENV[@]}" "$JFSPRE" "$@"; }

MNT=$W/mnt
mounted() { [ "$(stat -c %i "$MNT" 2>/dev/null)" = 1 ]; }
stock_mount() { # [ARGS]
    mkdir -p "$MNT"
    "$JUICEFS" --no-color mount --no-usage-report --backup-meta 0 --cache-dir "$W/stockcache" --cache-size 256 \
        --enable-xattr "$@" "$META" "$MNT" >"$W/mount.log" 2>&1 &
    MOUNT_PID=$!
    PIDS+=("$MOUNT_PID")
    MOUNTS+=("$MNT")
    eventually 30 mounted || {
        cat "$W/mount.log"
        return 1
    }
}
mount_ended() { ! kill -0 "$MOUNT_PID" 2>/dev/null; }
stock_umount() { # of the last one; returns when its session is closed
    eventually 10 umount "$MNT" 2>/dev/null || umount -l "$MNT"
    unset 'MOUNTS[-1]'
    eventually 20 mount_ended || {
        say "the stock mount did not end by itself: killed"
        # shellcheck disable=SC2046 # a list of numbers: it works as a child of a watcher
        kill -9 $(pgrep -P "$MOUNT_PID") "$MOUNT_PID" 2>/dev/null || true
    }
}

# --- judging ---------------------------------------------------------------------------------------
tree() { "$PY" "$ROOT/tests/lib/tree.py" "$@"; }
tree_of_volume() { jfs "$PY" "$ROOT/tests/lib/tree.py" "$@"; }
# same NAME A B: a case; the two files are equal
same() {
    if cmp -s "$2" "$3"; then
        ok "$1"
    else
        diff "$2" "$3" | cut -c1-200 >"$W/diff" || true
        grep '^<' "$W/diff" | head -10 || true
        grep '^>' "$W/diff" | head -10 || true
        not_ok "$1"
    fi
}
# both NAME SHELL SCRIPT: the script run in an empty plain directory and in one on the volume, by this
# shell under the preload: output and the trees left must be equal.
both() {
    local name=$1 shell=$2 script=$3 status=0
    rm -rf "${SHM:?}/$name"
    mkdir "$SHM/$name"
    (cd "$SHM/$name" && "$shell" -c "$script") >"$W/$name.plain" 2>&1 || status=$?
    echo "status $status" >>"$W/$name.plain"
    tree --no-mtime "$SHM/$name" >>"$W/$name.plain"
    status=0
    jfs mkdir "$PREFIX/$name" || return 1
    (cd / && env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" "$shell" -c "cd $PREFIX/$name && $script") \
        >"$W/$name.volume" 2>&1 || status=$?
    echo "status $status" >>"$W/$name.volume"
    tree_of_volume --no-mtime "$PREFIX/$name" >>"$W/$name.volume"
    same "$name" "$W/$name.plain" "$W/$name.volume"
}
quiet() { # shows the output of a command only when it fails
    if ! "$@" >"$W/quiet.log" 2>&1; then
        say "failed: $*"
        tail -40 "$W/quiet.log"
        return 1
    fi
}
# The root has no directory statistics until a stock client counts them (juicefs-format.md 1.2), and
# its checker falls over that.  It counts here, but its other repairs are not wanted.
count_root() {
    local used inodes
    [ "$(rcli hexists dirUsedSpace 1)" = 0 ] || return 0
    used=$(rcli get usedSpace) inodes=$(rcli get totalInodes)
    quiet stock fsck --path / --repair --sync-dir-stat "$META" || return 1
    rcli mset usedSpace "${used:-0}" totalInodes "${inodes:-0}" >/dev/null
}
# The stock checkers find nothing: exit status, and not a line of warning or worse.  Without SHALLOW=1
# they also look at every directory's statistics.
stock_finds_nothing() {
    quiet stock fsck "$META" || return 1
    cp "$W/quiet.log" "$W/fsck.log"
    if [ -z "${SHALLOW:-}" ]; then
        count_root && quiet stock fsck --path / -r --sync-dir-stat "$META" || return 1
        cat "$W/quiet.log" >>"$W/fsck.log"
    fi
    quiet env JFS_GC_SKIPPEDTIME=0 "$JUICEFS" --no-color gc "$META" || return 1
    cat "$W/quiet.log" >>"$W/fsck.log"
    if grep -E '<(WARNING|ERROR|FATAL)>|lost|broken' "$W/fsck.log" |
        grep -vE 'AOF is not enabled|Set storage tier'; then return 1; fi
    if ! grep -Eq ' 0 leaked' "$W/fsck.log"; then
        tail -5 "$W/fsck.log"
        return 1
    fi
}
our_fsck() { quiet jfspre fsck; }
checkers() { # NAME: two cases
    case_of "$1: our fsck" our_fsck
    [ -z "$JUICEFS" ] || case_of "$1: stock fsck and gc" stock_finds_nothing
}

# What tests the tests: TEST_AS=native, the "volume" is a plain directory too; TEST_AS=stock, it is a
# stock mount.  What fails then is wrong in the test, or a promise that only we make.
if [ -n "${TEST_AS:-}" ]; then
    PREFIX=$W/as-volume PRELOAD='' JFS_ENV=() PREFIX_WAS=yes
    mkdir "$PREFIX"
    format_ours() { :; }
    jfspre() { :; }
    checkers() { :; }
    if [ "$TEST_AS" = native ]; then
        JUICEFS=''
    else
        eval "really_$(declare -f format_stock)"
        format_stock() {
            really_format_stock "$@"
            MNT=$PREFIX stock_mount --attr-cache 0 --entry-cache 0 --dir-entry-cache 0
        }
        format_ours() { format_stock "$@"; }
    fi
fi
