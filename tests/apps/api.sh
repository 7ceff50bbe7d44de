#!/bin/bash
# jfspre.h as it is installed: pkg-config, the example in C and C++, with and without the preload;
# what a flush promises, and how many round trips many names take.
. "$(dirname "$0")/../lib/env.sh"

# What is built is installed as it is: other tests use it.
quiet make -s -C "$ROOT" -o all install B="$B" PREFIX="$W/inst"
quiet make -s -C "$ROOT" -o all install B="$B" PREFIX=/opt/j DESTDIR="$W/dest"
case_of "DESTDIR goes before PREFIX" [ "$(cd "$W/dest" && find . -type f | sort | tr '\n' ' ')" = \
    "./opt/j/bin/jfspre ./opt/j/include/jfspre.h ./opt/j/lib/libjfspre.so ./opt/j/lib/pkgconfig/jfspre.pc " ]
case_of "and is not in what is installed" grep -qx 'prefix=/opt/j' "$W/dest/opt/j/lib/pkgconfig/jfspre.pc"
export PKG_CONFIG_PATH=$W/inst/lib/pkgconfig
case_of "pkg-config knows the version" [ "jfspre $(pkg-config --modversion jfspre)" = "$("$JFSPRE" --version | cut -d' ' -f1-2)" ]
case_of "and the library" cmp "$(pkg-config --variable=preload jfspre)" "$B/libjfspre.so"

read -ra flags <<<"$(pkg-config --cflags jfspre) -Wall -Wextra -Werror"
read -ra libs <<<"$(pkg-config --libs jfspre)"
case_of "the example is built with what pkg-config says" \
    gcc -std=gnu11 "${flags[@]}" -o "$W/many" "$ROOT/examples/many.c" "${libs[@]}"
case_of "the header is C11 without extensions" gcc -std=c11 -pedantic -D_POSIX_C_SOURCE=200809L "${flags[@]}" \
    -Wno-unused-function -x c -fsyntax-only "$W/inst/include/jfspre.h"
if command -v g++ >/dev/null; then
    case_of "and C++" g++ -pedantic "${flags[@]}" -x c++ -fsyntax-only "$W/inst/include/jfspre.h"
fi
case_of "nothing of ours is linked" eval "! readelf -d '$W/many' | grep -i jfspre"
# shellcheck disable=SC2016
case_of "no trace of the build tree" eval '! grep -q "$ROOT" "$W"/inst/lib/pkgconfig/jfspre.pc'

mkdir "$W/plain"
"$W/many" "$W/plain" 2000 >"$W/plain.out"
case_of "without the preload" [ "$(ls "$W/plain")" = file1999 ]

# --- in a volume -----------------------------------------------------------------------------------
redis_start
format_ours --trash-days 0
JFS_ENV[0]="JFSPRE_META=$META&batchwrite=0" # what is saved here is not the accumulator's doing
SO=$(pkg-config --variable=preload jfspre)
[ -n "${SAN:-}" ] || PRELOAD=$SO
trips() { jfspre stats --prometheus | awk '/^jfspre_round_trips_total/ { print $2 }'; }
jfs mkdir "$PREFIX/d"
jfs ls "$PREFIX/d"
before=$(trips)
jfs "$W/many" "$PREFIX/d" 2000 >"$W/volume.out"
after=$(trips)
same "the same output" "$W/plain.out" "$W/volume.out"
case_of "the same files" [ "$(jfs ls "$PREFIX/d")" = file1999 ]
say "$((after - before)) round trips for 3999 names"
case_of "at most 20 round trips" [ $((after - before)) -le 20 ]
case_of "by jfspre run of the installation" env "${JFS_ENV[@]}" "$W/inst/bin/jfspre" run "$W/many" "$PREFIX/d" 3
case_of "which fails when names are taken" eval "! env \"\${JFS_ENV[@]}\" '$W/inst/bin/jfspre' run '$W/many' '$PREFIX/d' 3 2>'$W/err'"
case_of "and says why" grep -q 'jfspre_create_many: File exists' "$W/err"

# What is written to an open file is seen by another host (another staging area) after a flush.
cat >"$W/flush.py" <<'END'
import ctypes, os, sys
lib = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1] + "/open", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"flushed")
print("written", flush=True)
sys.stdin.readline()
print(lib.jfspre_flush(), flush=True)
sys.stdin.readline()
END
other() { env "${JFS_ENV[@]}" JFSPRE_CACHE_DIR="$W/cache/other" LD_PRELOAD="$PRELOAD" "$@"; }
coproc PROGRAM { jfs "$PY" "$W/flush.py" "$PREFIX/d"; }
to=${PROGRAM[1]} from=${PROGRAM[0]} program=$PROGRAM_PID # which bash forgets when it ends
read -r line <&"$from"
case_of "before: not there" [ "$line $(other cat "$PREFIX/d/open")" = "written " ]
echo >&"$to"
read -r line <&"$from"
case_of "after the flush: there" [ "$line $(other cat "$PREFIX/d/open")" = "0 flushed" ]
echo >&"$to"
wait "$program" || true
checkers "after all that"
finish
