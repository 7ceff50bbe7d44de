#!/bin/bash
# limit: 300
# External synchrony: nothing that leaves a process tells of a change that others cannot see yet,
# and what comes in ends what was believed.  batch_interval is long: what is pending stays so until
# something sends it.
. "$(dirname "$0")/../lib/env.sh"

redis_start
format_ours --trash-days 0
HERE=$ROOT/tests/apps


# Somebody who shares nothing with us but the volume: another host, or another user of this one.
mkdir -m 755 "$W/cache2"
OTHER=(env "${JFS_ENV[@]}" JFSPRE_CACHE_DIR="$W/cache2" LD_PRELOAD="$PRELOAD")
SLOW_ENV=("${JFS_ENV[@]}" JFSPRE_META="$META&batch_interval=10s")
slow() { env "${SLOW_ENV[@]}" LD_PRELOAD="$PRELOAD" "$@"; }

# --- what goes out, what comes in ----------------------------------------------------------------
mkdir "$W/tell"
tells() {
    "$PY" "$HERE/synchrony_tell.py" "$SOCK" $PREFIX/tell "$W/tell" env "${SLOW_ENV[@]}" \
        LD_PRELOAD="$PRELOAD" "$PY" "$HERE/synchrony_tell.py" child $PREFIX/tell "$W/tell"
}
case_of "nothing leaves that tells of what is not there" tells
hears() { slow "$PY" "$HERE/synchrony_hear.py" $PREFIX/hear "${OTHER[@]}" touch; }
case_of "what comes in ends what was believed" hears

# --- pipelines -----------------------------------------------------------------------------------
# tar says a name before it makes it, so each is looked for when the next one comes.
mkdir "$W/src"
for i in $(seq 20); do
    mkdir "$W/src/d$i"
    for j in $(seq 15); do echo "$i $j" >"$W/src/d$i/f$j"; done
done
tar -cf "$W/src.tar" -C "$W/src" .
READER='prev= n=0
look() { [ -z "$prev" ] || [ -e "$1/$prev" ] || echo "missing: $prev"; }
while read -r f; do look "$1"; prev=$f n=$((n + 1)); done
look "$1"; echo "$n names"'
pipeline() { # DIR READER...
    local dir=$1 said
    shift
    jfs mkdir "$dir"
    said=$(slow tar -xvf "$W/src.tar" -C "$dir" | "$@" bash -c "$READER" reader "$dir")
    [ "$said" = "321 names" ] || {
        say "$said" | head -5
        return 1
    }
}
case_of "tar -v | while read: beside it" pipeline $PREFIX/pipe1 slow
case_of "tar -v | while read: on another host" pipeline $PREFIX/pipe2 "${OTHER[@]}"

# --- programs that follow ------------------------------------------------------------------------
# made.py THEN DIR: a directory with eight files, then THEN
cat >"$W/made.py" <<'EOT'
import os, signal, sys, time
then, top = sys.argv[1:3]
def native(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
def wait(path):
    end = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.005)
os.mkdir(top)
for i in range(8):
    os.close(os.open(f"{top}/{i}", os.O_WRONLY | os.O_CREAT))
exec(then)
EOT
made() { slow "$PY" "$W/made.py" "$@"; }
others_see() { [ "$("${OTHER[@]}" ls "$1" | wc -l)" = "${2:-8}" ]; }
LS="exec ${OTHER[*]} ls"
case_of "a program executed" [ "$(made 'os.execv("/bin/sh", ["sh", "-c", sys.argv[3]])' $PREFIX/exec "$LS $PREFIX/exec" | wc -l)" = 8 ]
# shellcheck disable=SC2016
case_of "a program spawned" [ "$(made 'os.posix_spawn("/bin/sh", ["sh", "-c", sys.argv[3]], os.environ); os.wait()' \
    $PREFIX/spawn "$LS $PREFIX/spawn" | wc -l)" = 8 ]
made 'pass' $PREFIX/exit
case_of "after exit" others_see $PREFIX/exit
made 'os._exit(0)' $PREFIX/_exit
case_of "after _exit" others_see $PREFIX/_exit
made 'os.abort()' $PREFIX/abort 2>/dev/null || true
case_of "after abort" others_see $PREFIX/abort
made 'os.kill(os.getpid(), signal.SIGKILL)' $PREFIX/killed 2>/dev/null || true
slow ls $PREFIX >"$W/ls"
case_of "after SIGKILL and the next process here" others_see $PREFIX/killed

# --- a build -------------------------------------------------------------------------------------
build() {
    jfs mkdir $PREFIX/build
    jfs cp /dev/stdin $PREFIX/build/Makefile <<'EOT'
N := 1 2 3 4 5 6 7 8
all: sum
	./sum >out
gen/%.c: Makefile
	@mkdir -p gen
	@echo '#include "all.h"' >$@
	@echo 'int f$*(void) { return $*; }' >>$@
gen/all.h: Makefile
	@mkdir -p gen
	@for i in $(N); do echo "int f$$i(void);"; done >$@
gen/main.c: Makefile
	@mkdir -p gen
	@echo '#include "all.h"' >$@
	@echo '#include <stdio.h>' >>$@
	@echo 'int main(void) { return printf("%d", 0' >>$@
	@for i in $(N); do echo "+ f$$i()"; done >>$@
	@echo ') < 0; }' >>$@
obj/%.o: gen/%.c gen/all.h
	@mkdir -p obj
	gcc -c -o $@ $<
sum: $(N:%=obj/%.o) obj/main.o
	gcc -o $@ $^
EOT
    slow make -s -j4 -C $PREFIX/build >"$W/make.log" 2>&1 || {
        cat "$W/make.log"
        return 1
    }
    [ "$("${OTHER[@]}" cat $PREFIX/build/out)" = 36 ]
}
case_of "make -j4 with generated sources" build

# --- waiting for a name --------------------------------------------------------------------------
# Nobody tells the one who waits, and the one who made it goes on: the interval sends it.
waits() { # DIR WAITER...
    local dir=$1 status=0
    shift
    jfs "$PY" "$W/made.py" 'native(sys.argv[3]); wait(sys.argv[4])' "$dir" "$W/made${dir##*/}" "$W/seen${dir##*/}" &
    "$@" "$PY" -c 'import os, sys, time
end = time.monotonic() + 60
while not os.path.exists(sys.argv[1]) and time.monotonic() < end:
    time.sleep(0.005)
sys.exit(not os.path.exists(sys.argv[1]))' "$dir/7" || status=1
    : >"$W/seen${dir##*/}"
    wait $!
    return $status
}
case_of "a name that a process beside makes appears" waits $PREFIX/wait1 jfs
case_of "a name that another host makes appears" waits $PREFIX/wait2 "${OTHER[@]}"

# --- sync=close ----------------------------------------------------------------------------------
held() { # PARAMS DIR: makes a file that is closed, then waits
    env "${JFS_ENV[@]}" JFSPRE_META="$META&batch_interval=10s$1" LD_PRELOAD="$PRELOAD" "$PY" "$W/made.py" \
        'native(sys.argv[3]); wait(sys.argv[4])' "$2" "$W/closed" "$W/go" &
    HELD=$!
    eventually 60 test -e "$W/closed"
}
let_go() {
    : >"$W/go"
    wait "$HELD"
    rm "$W/go" "$W/closed"
}
held "" $PREFIX/closed1
case_of "closed, and still pending" [ "$("${OTHER[@]}" ls $PREFIX/closed1 | wc -l)" -lt 8 ]
let_go
held "&sync=close" $PREFIX/closed2
case_of "sync=close: closed, and there" others_see $PREFIX/closed2
let_go

# Another host takes the name that is about to be made: close() has to say so.
clash() {
    env "${JFS_ENV[@]}" JFSPRE_META="$META&batch_interval=10s&sync=close" LD_PRELOAD="$PRELOAD" "$PY" "$W/made.py" '
native(sys.argv[3]); wait(sys.argv[4])
fd = os.open(f"{top}/clash", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"ours")
try:
    os.close(fd)
except FileExistsError:
    sys.exit(17)' $PREFIX/clash "$W/closed" "$W/go" 2>"$W/clash.err" &
    HELD=$!
    eventually 60 test -e "$W/closed"
    "${OTHER[@]}" sh -c "echo theirs >$PREFIX/clash/clash"
    : >"$W/go"
    local status=0
    wait "$HELD" || status=$?
    [ $status = 17 ] && grep -q "kept as clash.conflict" "$W/clash.err" &&
        [ "$("${OTHER[@]}" cat $PREFIX/clash/clash)" = theirs ]
}
case_of "sync=close: what was refused is told by close()" clash

# --- a stock mount -------------------------------------------------------------------------------
if [ -n "$JUICEFS" ] && can_mount; then
    stock_mount
    jfs "$PY" "$W/made.py" 'os.sync(); native(sys.argv[3]); wait(sys.argv[4])' $PREFIX/stock1 "$W/stock1" "$W/seen1" &
    HELD=$!
    eventually 60 test -e "$W/stock1"
    case_of "a stock mount sees what a barrier sent" [ "$(find "$MNT/stock1" -type f | wc -l)" = 8 ]
    : >"$W/seen1"
    wait "$HELD"
    jfs "$PY" "$W/made.py" 'native(sys.argv[3]); wait(sys.argv[4])' $PREFIX/stock2 "$W/stock2" "$W/seen2" &
    HELD=$!
    eventually 60 test -e "$W/stock2"
    case_of "and what the interval sends" eventually 20 test -e "$MNT/stock2/7"
    : >"$W/seen2"
    wait "$HELD"
    stock_umount
else
    say "skip a stock mount sees it: no stock client or /dev/fuse"
fi

# --- a store that is gone -------------------------------------------------------------------------
# What tells others goes on; fsync() says what is the matter.
gone() {
    slow "$PY" "$W/made.py" '
native(sys.argv[3]); wait(sys.argv[4])
r, w = os.pipe()
os.write(w, b"x")
os.read(r, 1)
os.kill(os.getppid(), 0)
try:
    os.fsync(os.open(top, os.O_RDONLY))
except OSError as e:
    os._exit(17)' $PREFIX/gone "$W/closed" "$W/go" 2>"$W/gone.err" &
    HELD=$!
    eventually 60 test -e "$W/closed"
    redis_kill
    : >"$W/go"
    local status=0
    wait "$HELD" || status=$?
    [ $status = 17 ] && grep -q "cannot connect" "$W/gone.err"
}
rm -f "$W/go" "$W/closed"
case_of "without a store a write goes on and fsync fails" gone
cat "$W/gone.err"
finish
