#!/bin/sh
# Each header compiles alone, with the include guard that its path says.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0
for h in $(git ls-files -co --exclude-standard 'core/*.h' 'preload/*.h' 'tools/*.h' 'tests/*.h'); do
    if ! ${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -I. -Ibuild -Wall -Wextra -Werror -Wno-unused-parameter \
        -Wno-unused-function -Wno-unused-macros -x c -fsyntax-only -include "$h" /dev/null >"$out" 2>&1; then
        echo "$h does not compile alone:"
        head -5 "$out"
        bad=1
    fi
    guard=JFSPRE_$(echo "$h" | tr 'a-z/.-' 'A-Z___')
    if ! grep -q "^#ifndef $guard$" "$h"; then
        echo "$h: the guard is not $guard"
        bad=1
    fi
done
exit $bad
