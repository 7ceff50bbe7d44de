#!/bin/bash
# What a started program is given: ourselves, the configuration, hints of what it inherits; and what
# is said when it cannot use them.
. "$(dirname "$0")/../lib/env.sh"

volume_start
format_ours --trash-days 0
jfs bash -c "echo text >$PREFIX/f; mkdir $PREFIX/d; echo deep >$PREFIX/d/f"

# gives NAME EXPECTED SCRIPT: what bash prints, errors included
gives() {
    local got
    got=$(cd / && jfs bash -c "$3" 2>&1) || true
    if [ "$got" = "$2" ]; then ok "$1"; else
        say "want: $2"
        say "got: $got"
        not_ok "$1"
    fi
}

gives "env -i" text "env -i cat $PREFIX/f"
gives "env -i twice" text "env -i /bin/sh -c 'env -i /bin/cat $PREFIX/f'"
gives "without LD_PRELOAD" text "unset LD_PRELOAD JFSPRE_META; cat $PREFIX/f"
gives "another library stays" "$SO:/dev/null" \
    "LD_PRELOAD=/dev/null env -u nothing sh -c 'echo \$LD_PRELOAD' 2>/dev/null"
gives "a relative spelling" text "cd ${SO%/*} && LD_PRELOAD=./${SO##*/} sh -c 'cd /tmp; cat $PREFIX/f'"
gives "another prefix of its own" own "JFSPRE_PREFIX=/other sh -c 'echo own; cat $PREFIX/f 2>/dev/null'"
gives "no hint without need" "" "env | grep -E '^JFSPRE_(FDS|CWD)='"
gives "a hint of descriptors" JFSPRE_FDS=1 "exec 7<$PREFIX/f; env | grep -E '^JFSPRE_(FDS|CWD)='"
gives "not of those that close" "" "exec 7<$PREFIX/f; exec 7<&-; env | grep -E '^JFSPRE_(FDS|CWD)='"
gives "a hint of the directory" JFSPRE_CWD=1 "cd $PREFIX/d; env | grep -E '^JFSPRE_(FDS|CWD)='"
gives "gone with it" "" "cd $PREFIX/d; sh -c 'cd /; env | grep -E \"^JFSPRE_(FDS|CWD)=\"'"
gives "both used" $'deep\ntext' "cd $PREFIX/d; env -i cat f; env -i cat <$PREFIX/f"

cat >"$W/static.c" <<'EOF'
#include <unistd.h>
int main(void)
{
    char buf[64];
    ssize_t n = read(0, buf, sizeof(buf));
    return n < 0 || write(1, buf, (size_t)n) != n;
}
EOF
if [ -z "${SAN:-}" ] && gcc -static -o "$W/static" "$W/static.c" 2>/dev/null; then
    line="jfspre: $W/static: statically linked, cannot see $PREFIX"
    gives "a static program is named" "$line"$'\ntext' "$W/static <$PREFIX/f"
    gives "once" "$line"$'\ntext\ntext\ntext' "for i in 1 2 3; do $W/static <$PREFIX/f; done"
    gives "also below" "$line"$'\ntext\ntext' "$W/static <$PREFIX/f; ($W/static <$PREFIX/f)"
    gives "by its arguments" "$line" "$W/static $PREFIX/f </dev/null"
    gives "not without reason" native "echo native | $W/static /jfsx"
    gives "its output is kept" text "$W/static <$PREFIX/f >$PREFIX/out 2>/dev/null; cat $PREFIX/out"
    cp "$W/static" "$W/suid" && chmod 4755 "$W/suid"
    if [ "$(id -u)" = 0 ] && chown 1 "$W/suid" 2>/dev/null && chmod 4755 "$W/suid"; then # of another user
        gives "a set-user-ID one" "jfspre: $W/suid: set-user-ID, cannot see $PREFIX" \
            "$W/suid $PREFIX/f </dev/null"
    fi
fi

# A process that names nothing of ours connects to nothing, and its children neither: it makes the
# sockets it makes without us (a shell whose environment names no user asks the name service).
if command -v strace >/dev/null && [ -z "${SAN:-}" ]; then
    echo native >"$W/native"
    # calls_of OUT [STRACE-OPTIONS...]: the system calls of native work, in OUT
    calls_of() {
        local out=$1
        shift
        (cd / && env "${JFS_ENV[@]}" strace -f -o "$out" "$@" \
            bash -c "cat $W/native | sort >$W/sorted; ls $W >/dev/null") >/dev/null 2>&1
    }
    calls_of "$W/calls.native"
    calls_of "$W/calls" -E LD_PRELOAD="$PRELOAD"
    sockets() { grep -oE '(socket|connect)\(.*' "$1" | grep -oE '^[a-z]+\(|sun_path="[^"]*"|sin_port=[^,]*' || true; }
    case_of "no connection" [ "$(sockets "$W/calls")" = "$(sockets "$W/calls.native")" ]
    case_of "no cache directory" bash -c "grep -q $W/native $W/calls && ! grep -q $W/cache $W/calls"
fi
finish
