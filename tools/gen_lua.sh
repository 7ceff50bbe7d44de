#!/bin/sh
# Concatenates lua/ into one C string with its SHA1:  gen_lua.sh OUT.c  (see lua/README.md)
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")/../lua"
text=$(mktemp)
names=$(mktemp)
trap 'rm -f "$text" "$names"' EXIT
# constants.lua as a sed script: E.NOENT is 2
awk '/^local [A-Z] = / { table = $2 }
    !/^ *--/ { while (match($0, /[A-Z][A-Z0-9_]+ = [0-9]+/)) {
        split(substr($0, RSTART, RLENGTH), pair, " = ")
        printf "s/\\<%s\\.%s\\>/%s/g\n", table, pair[1], pair[2]
        $0 = substr($0, RSTART + RLENGTH) } }' constants.lua >"$names"
# comments and blank lines cost bandwidth at every SCRIPT LOAD
strip()
{
    sed -e 's/^[[:space:]]*//' -e '/^--/d' -e '/^$/d' "$1" | sed -f "$names"
}
kinds_of()
{
    sed -n -e 's/^[[:space:]]*ops\[\([0-9]*\)\] = function.*/kind == \1/p' "$1" | sed -e ':a' -e 'N;$!ba' -e 's/\n/ or /g'
}
{
    # The first file's names become upvalues of one inner function: a closure takes an upvalue of its
    # parent at once, a local of its parent by a search through all open ones.
    strip lib_0base.lua
    echo "return (function()"
    # Making every closure at each call costs more than most ops do.  So files are branches of two
    # functions, and run when they are first asked for.
    echo "load_lib = function(lib)"
    word=if
    libs=
    for f in lib_*.lua; do
        lib=${f#lib_}
        lib=${lib%.lua}
        case $lib in 0base | op | run) continue ;; esac # every call needs them
        echo "$word lib == $lib then"
        strip "$f"
        word=elseif
        libs="$libs $lib"
    done
    echo "end end"
    for lib in $libs; do
        echo "setmetatable($lib, unread)"
    done
    strip lib_op.lua
    strip lib_run.lua
    echo "load_op = function(kind)"
    word=if
    for f in op_*.lua; do
        echo "$word $(kinds_of "$f") then"
        strip "$f"
        word=elseif
    done
    echo "end end"
    strip dispatch.lua
    echo "end)()"
} >"$text"
if grep -n '\<[ETFRA]\.[A-Z]' "$text" >&2; then
    echo "gen_lua.sh: a name that is not in lua/constants.lua" >&2
    exit 1
fi
{
    echo '/* Made by tools/gen_lua.sh from lua/. */'
    echo '#include "core/redis/lua_text.h"'
    echo 'const char lua_dispatch_text[] ='
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$text"
    echo '    ;'
    echo "const char lua_dispatch_sha1[] = \"$(sha1sum <"$text" | cut -d' ' -f1)\";"
} >"$out"
