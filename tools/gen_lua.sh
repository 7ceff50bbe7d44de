#!/bin/sh
# Concatenates lua/ into one C string with its SHA1:  gen_lua.sh OUT.c  (see lua/README.md)
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")/../lua"
text=$(mktemp)
trap 'rm -f "$text"' EXIT
# comments and blank lines cost bandwidth at every SCRIPT LOAD
strip()
{
    sed -e 's/^[[:space:]]*//' -e '/^--/d' -e '/^$/d' "$1"
}
{
    # The first file's names become upvalues of one inner function: a closure takes an upvalue of its
    # parent at once, a local of its parent by a search through all open ones.
    set -- lib_*.lua
    strip "$1"
    echo "return (function()"
    shift
    for f; do
        strip "$f"
    done
    # An op's file runs when its kind is first asked for: making every closure at each call costs
    # more than most ops do.
    for f in op_*.lua; do
        echo "do local function load_ops()"
        strip "$f"
        echo "end"
        sed -n -e 's/^[[:space:]]*ops\[\([0-9]*\)\] = function.*/load_of[\1] = load_ops/p' "$f"
        echo "end"
    done
    strip dispatch.lua
    echo "end)()"
} >"$text"
{
    echo '/* Made by tools/gen_lua.sh from lua/. */'
    echo '#include "core/redis/lua_text.h"'
    echo 'const char lua_dispatch_text[] ='
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$text"
    echo '    ;'
    echo "const char lua_dispatch_sha1[] = \"$(sha1sum <"$text" | cut -d' ' -f1)\";"
} >"$out"
