#!/bin/bash
# Which paths are the volume's: spellings of the prefix, ways into it and out of it, links of the
# kernel's, and what only looks like it.
. "$(dirname "$0")/../lib/env.sh"

volume_start
format_ours --trash-days 0
mkdir "$W/nat" "$W/nat/sub"
echo native >"$W/nat/n"
jfs mkdir -p "$PREFIX/a/b"
jfs bash -c "echo A >$PREFIX/a/f
    ln -s $W/nat $PREFIX/out
    ln -s ../..$W/nat/n $PREFIX/a/rel
    ln -s /tmp/..$PREFIX/a/f $PREFIX/back
    ln -s /tmp/..$PREFIX/loop $PREFIX/loop"

# says EXPECTED CMD...: its output, errors included, is that
says() {
    local want=$1 got
    shift
    got=$(jfs "$@" 2>&1) || true
    if [ "$got" = "$want" ]; then ok "$*"; else
        say "want: $want"
        say "got: $got"
        not_ok "$*"
    fi
}
sh_says() { # EXPECTED SCRIPT, in /
    local want=$1
    shift
    says "$want" bash -c "cd / && $*"
}

for path in "/tmp/..$PREFIX/a/f" "/$PREFIX//a/./f" "$PREFIX/../$PREFIX/a/f" "$PREFIX/a/../..$PREFIX/a/f" \
    "$PREFIX/back" "$PREFIX/a/b/../f" "/./$PREFIX/a/f"; do
    says A cat "$path"
done
for path in "$PREFIX/..$W/nat/n" "$PREFIX/out/n" "$PREFIX/a/rel" "$PREFIX/out/sub/../n" "$PREFIX/out/../nat/n"; do
    says native cat "$path"
done
says "cat: $PREFIX/loop: Too many levels of symbolic links" cat "$PREFIX/loop"
says "cat: $PREFIX/a/f/: Not a directory" cat "$PREFIX/a/f/"
says "ls: cannot access '${PREFIX}x': No such file or directory" ls "${PREFIX}x"
says "ls: cannot access '$W$PREFIX/a': No such file or directory" ls "$W$PREFIX/a"
says "$(printf '%s\n' "$W/nat/n" "$PREFIX/a/f" / "$W/nat/n")" \
    realpath "$PREFIX/out/n" "$PREFIX/back" "$PREFIX/a/../.." "$PREFIX/a/rel"

sh_says A "cat ${PREFIX#/}/a/f"
sh_says A "cat ./${PREFIX#/}/../$PREFIX/a/f"
sh_says A "cd $W && cat $(printf '../%.0s' $(seq 12))$PREFIX/a/f"
sh_says native "cd $PREFIX/a && cat ../..$W/nat/n"
sh_says A "cd $PREFIX/a/b && cat ../../..$PREFIX/a/f"
sh_says A "exec 7<$PREFIX/a/f && cat /proc/self/fd/7"
sh_says A "exec 7<$PREFIX/a/f && cat /dev/fd/7"
sh_says A "cat /dev/stdin <$PREFIX/a/f"
sh_says "regular file 2" "exec 7<$PREFIX/a/f && stat -L -c '%F %s' /proc/self/fd/7"
sh_says "$(printf 'two\n600 0 4')" "exec 7<>$PREFIX/u && rm $PREFIX/u && echo two >/dev/fd/7 && cat /proc/self/fd/7 &&
    chmod 600 /dev/fd/7 && stat -L -c '%a %h %s' /dev/fd/7"
sh_says "$PREFIX/a" "cd $PREFIX/a && readlink /proc/self/cwd"
sh_says A "cd $PREFIX/a && cat /proc/self/cwd/f"
sh_says "$PREFIX/a" "exec 7<$PREFIX/a && readlink /proc/self/fd/7"
sh_says "$(printf 'b\nf\nrel')" "exec 7<$PREFIX/a && ls /proc/self/fd/7/"

sh_says "rmdir: failed to remove '$PREFIX': Device or resource busy" "rmdir $PREFIX"
sh_says "mkdir: cannot create directory ‘$PREFIX’: File exists" "mkdir $PREFIX"
sh_says "" "mv $PREFIX/out/n $PREFIX/out/m && mv $PREFIX/out/m $PREFIX/moved && mv $PREFIX/moved $W/nat/n"
case_of "moved out, in and out again" [ "$(cat "$W/nat/n")" = native ]
sh_says "ln: failed to create hard link '$W/nat/hard' => '$PREFIX/a/f': Invalid cross-device link" \
    "ln $PREFIX/a/f $W/nat/hard"
sh_says "ln: failed to create hard link '$PREFIX/hard' => '$W/nat/n': Invalid cross-device link" \
    "ln $W/nat/n $PREFIX/hard"
jfs rm -rf "$PREFIX/out"
case_of "rm of a link leaves what it leads to" [ -d "$W/nat/sub" ]

# A deep prefix that is also there natively: whoever stands in it stands in the volume.
mkdir -p "$W/mp/vol"
JFS_ENV+=(JFSPRE_PREFIX="$W/mp/vol")
says A cat "$W/mp/vol/a/f"
cd "$W/mp/vol" || exit
says "$(printf 'a\nback\nloop')" ls
sh_says "$W/mp" "cd $W/mp/vol/a && cd ../.. && pwd"
cd "$W/mp" || exit
says A cat vol/a/f
says vol ls
cd "$W" || exit
says A cat mp/../mp//vol/a/f
case_of "nothing was written below the native directory" rmdir "$W/mp/vol"
finish
