#!/bin/sh
# The library exports exactly the names of preload/symbols.def:
#   check_exports.sh LIBJFSPRE.SO [SYMBOLS.TXT]
set -eu
table=${2:-$(dirname "$1")/gen/symbols.txt}
have=$(mktemp)
want=$(mktemp)
trap 'rm -f "$have" "$want"' EXIT
nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort >"$have"
awk '{ print $2 }' "$table" | sort >"$want"
if ! diff "$want" "$have" | sed -n 's/^</not exported:/p; s/^>/not in the table:/p' | grep .; then
    exit 0
fi
exit 1
