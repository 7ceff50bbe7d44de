#!/bin/bash
# All static checks, each on a line of its own; exit 1 when one finds something.  See `make lint`.
set -u
cd "$(dirname "$0")/.." || exit 1
B=build/lint
mkdir -p $B
bad=0
mapfile -t sources < <(git ls-files -co --exclude-standard '*.c' '*.h')
mapfile -t shells < <(git ls-files -co --exclude-standard '*.sh' .ci/run tools/bench/run | sort -u)
mapfile -t pythons < <(git ls-files -co --exclude-standard '*.py' tests/run)

# check NAME CMD...: runs it, shows what it said when it fails
check() {
    local name=$1
    shift
    if "$@" >"$B/$name.log" 2>&1; then
        echo "lint $name: passed"
    else
        echo "lint $name: FAILED"
        head -60 "$B/$name.log" | sed 's/^/    /'
        bad=1
    fi
}

both_compilers() {
    make --no-print-directory -s -j"$(nproc)" CC=gcc B=build/lint/gcc WERROR=1 tests &&
        make --no-print-directory -s -j"$(nproc)" CC=clang B=build/lint/clang WERROR=1 tests
}

lua_syntax() {
    local f
    for f in lua/*.lua; do luac5.1 -p "$f" || return 1; done
    # what is sent: comments stripped, one text
    (cd lua && cat lib_*.lua op_*.lua dispatch.lua) | luac5.1 -p -
}

exports() { tools/check_exports.sh build/lint/gcc/libjfspre.so; }

static_analysis() {
    cppcheck --quiet --std=c11 --language=c --enable=warning,portability,performance \
        --error-exitcode=1 --inline-suppr --suppressions-list=tools/cppcheck.txt \
        --inline-suppr -I. -D_GNU_SOURCE -j "$(nproc)" core preload tools
}

check format clang-format --dry-run -Werror "${sources[@]}"
check layers tools/check_layers.sh
check compilers both_compilers
check headers tools/check_headers.sh
[ ! -x tools/check_exports.sh ] || check exports exports
check cppcheck static_analysis
check lua lua_syntax
check shell shellcheck -S warning "${shells[@]}"
check python python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' "${pythons[@]}"
exit $bad
