#!/bin/bash
# limit: 240
# Redis goes away, comes back, is full or becomes a replica, each in the middle of tar.
. "$(dirname "$0")/../lib/env.sh"
. "$ROOT/tests/lib/bad.sh"

mkdir "$W/plain"
(cd "$W/plain" && mkdir -p a/b c && for i in $(seq 400); do seq "$i" $((i * 5)) >"a/f$i"; done &&
    cp a/f1* a/b && ln a/f1 c/hard && ln -s hard c/soft && mkdir empty)
tar -cf "$W/a.tar" --format=posix --sort=name -C "$W/plain" a c empty
tree "$W/plain" | tail -n +2 >"$W/want"
SERVER=(--appendonly yes --appendfsync always)

# in_the_middle COMMAND: unpacks; after 300 of some 500 records of the archive the command runs.
in_the_middle() {
    printf '#!/bin/bash\nunset LD_PRELOAD\n[ ! -e %s/done ] || exit 0\ntouch %s/done\n%s\n' "$W" "$W" "$1" >"$W/action"
    chmod 755 "$W/action"
    rm -f "$W/done"
    STATUS=0
    jfs timeout 100 tar -xpf "$W/a.tar" -C $PREFIX --checkpoint=30 --checkpoint-action=exec="$W/action" \
        >"$W/out" 2>"$W/err" || STATUS=$?
    case_of "$NAME_OF_CASE: it was in the middle" test -e "$W/done"
}
# failed LINE ERROR: tar failed; we said why, briefly; tar's words match
failed() {
    case_of "$NAME_OF_CASE: tar fails" test "$STATUS" = 2
    case_of "$NAME_OF_CASE: we say why" grep -Eiq "^jfspre: .*($1)" "$W/err"
    case_of "$NAME_OF_CASE: and not for every file" test "$(grep -c '^jfspre: ' "$W/err")" -le 3
    case_of "$NAME_OF_CASE: tar's errno" grep -Eiq "^tar: .*($2)" "$W/err"
    # their directory is there: a missing one would be a true reason
    case_of "$NAME_OF_CASE: no false errno" test -z "$(grep -E '^tar: a/f[0-9]+: .*(No such file|Not a dir|exists)' "$W/err")"
}
worked() {
    case_of "$NAME_OF_CASE: tar goes on" test "$STATUS" = 0
    [ "$STATUS" = 0 ] || head -5 "$W/err"
    complete
}
complete() {
    tree_of_volume $PREFIX | tail -n +2 >"$W/got"
    same "$NAME_OF_CASE: complete" "$W/want" "$W/got"
    case_of "$NAME_OF_CASE: our fsck" our_fsck
}
# Afterwards: nothing is half, and the same tar succeeds.
recovers() {
    case_of "$NAME_OF_CASE: absent, empty or whole" jfs "$PY" "$ROOT/tests/lib/whole.py" "$W/plain" $PREFIX
    case_of "$NAME_OF_CASE: our fsck in between" our_fsck
    [ -z "$JUICEFS" ] || case_of "$NAME_OF_CASE: stock fsck" quiet stock fsck "$META"
    STATUS=0
    jfs tar -xpf "$W/a.tar" -C $PREFIX >"$W/out" 2>"$W/err" || STATUS=$?
    worked
}
start() {
    NAME_OF_CASE=$1
    rm -rf "$W/cache" "$W/bucket" "$W"/appendonlydir
    mkdir -m 1777 "$W/cache" "$W/bucket"
    redis_start "${SERVER[@]}"
    format_ours --trash-days 0
}

start "killed"
in_the_middle "kill -9 $REDIS_PID"
failed "redis|$SOCK|connect" "refused|input/output|timed out|reset|broken pipe"
wait "$REDIS_PID" || true
redis_start "${SERVER[@]}"
recovers
redis_kill

start "restarted"
in_the_middle "kill -9 $REDIS_PID; while kill -0 $REDIS_PID; do sleep 0.01; done 2>/dev/null
setsid redis-server --port 0 --unixsocket $SOCK --unixsocketperm 777 --dir $W ${SERVER[*]} >>$W/redis.log 2>&1 &
echo \$! >$W/pid; until redis-cli -s $SOCK ping; do sleep 0.01; done >/dev/null 2>&1"
REDIS_PID=$(cat "$W/pid")
PIDS+=("$REDIS_PID")
worked
kill "$REDIS_PID"
eventually 10 test ! -S "$SOCK"

start "connections dropped"
in_the_middle "redis-cli -s $SOCK client kill type normal"
worked
redis_kill

start "scripts forgotten"
in_the_middle "redis-cli -s $SOCK script flush"
worked
redis_kill

start "full"
in_the_middle "redis-cli -s $SOCK config set maxmemory-policy noeviction; redis-cli -s $SOCK config set maxmemory 1"
failed "memory|OOM|full" "no space"
rcli config set maxmemory 0 >/dev/null
recovers
redis_kill

start "a replica"
in_the_middle "redis-cli -s $SOCK replicaof 127.0.0.1 1"
failed "replica|read.?only" "read-only"
case_of "a replica: reading goes on" quiet jfs ls -l $PREFIX/a
rcli replicaof no one >/dev/null
recovers
redis_kill

start "cannot save"
in_the_middle "redis-cli -s $SOCK config set save '1 1'; redis-cli -s $SOCK config set dir /proc; redis-cli -s $SOCK bgsave; sleep 1"
if rcli info persistence | grep -q rdb_last_bgsave_status:err; then
    failed "save|MISCONF|disk|rdb" "read-only|input/output"
    rcli config set dir "$W" >/dev/null
    rcli config set stop-writes-on-bgsave-error no >/dev/null
    recovers
fi
finish
