#!/bin/sh
# Makes from preload/symbols.def what the linker and objcopy want:  gen_symbols.sh SYMBOLS.DEF OUTDIR
#   exports.map    version script: these names are exported, nothing else
#   aliases.opt    linker options: an alias is the address of its target
#   redefine.txt   objcopy --redefine-syms for core and hiredis: name -> jfspre_real_name
#   symbols.txt    family, name, served|alias|refused: for the tests and check_exports.sh
set -eu
def=$1
out=$2
mkdir -p "$out"
rows=$(sed -nE 's/^(SYM|ALIAS|OWN|REFUSE)\(([a-z]+), *([A-Za-z0-9_]+),? *([A-Za-z0-9_]*).*\)$/\1 \2 \3 \4/p' "$def")
if [ "$(echo "$rows" | wc -l)" -ne "$(grep -cE '^ *(SYM|ALIAS|OWN|REFUSE)\(' "$def")" ]; then
    echo "gen_symbols.sh: a row of $def is not understood" >&2
    exit 1
fi
twice=$(echo "$rows" | awk 'seen[$3]++ { print $3 }')
if [ -n "$twice" ]; then
    echo "gen_symbols.sh: listed twice in $def: $twice" >&2
    exit 1
fi
echo "$rows" | awk 'BEGIN { print "{\n  global:" } { print "    " $3 ";" } END { print "  local: *;\n};" }' >"$out/exports.map"
echo "$rows" | awk '$1 == "ALIAS" { print "--defsym=" $3 "=" $4 }' >"$out/aliases.opt"
echo "$rows" | awk '$1 != "OWN" { print $3, "jfspre_real_" $3 }' >"$out/redefine.txt"
echo "$rows" | awk '{ print $2, $3, $1 == "SYM" || $1 == "OWN" ? "served" : $1 == "ALIAS" ? "alias" : "refused" }' >"$out/symbols.txt"
