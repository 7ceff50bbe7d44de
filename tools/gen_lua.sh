#!/bin/sh
# Concatenates lua/ into one C string with its SHA1:  gen_lua.sh OUT.c  (see lua/README.md)
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")/../lua"
text=$(mktemp)
trap 'rm -f "$text"' EXIT
for f in lib_*.lua op_*.lua dispatch.lua; do
    [ -e "$f" ] || continue
    # comments and blank lines cost bandwidth at every SCRIPT LOAD
    sed -e 's/^[[:space:]]*//' -e '/^--/d' -e '/^$/d' "$f"
done >"$text"
{
    echo '/* Made by tools/gen_lua.sh from lua/. */'
    echo '#include "core/redis/lua_text.h"'
    echo 'const char lua_dispatch_text[] ='
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$text"
    echo '    ;'
    echo "const char lua_dispatch_sha1[] = \"$(sha1sum <"$text" | cut -d' ' -f1)\";"
} >"$out"
