#!/bin/bash
# The command: usage, format against stock, run, status, info, doctor; every exit code and each kind
# of one-line error.
# limit: 240
. "$(dirname "$0")/../lib/env.sh"

# says NAME STATUS PATTERN CMD...: the command ends so and prints such a line
says() {
    local name=$1 want=$2 pattern=$3 status=0
    shift 3
    "$@" >"$W/said" 2>&1 || status=$?
    if [ $status = "$want" ] && grep -Eq -- "$pattern" "$W/said"; then
        ok "$name"
    else
        say "status $status, wanted $want; wanted a line $pattern, got:"
        head -20 "$W/said"
        not_ok "$name"
    fi
}
one_line() { # NAME: of the last output
    case_of "$1" [ "$(wc -l <"$W/said")" = 1 ]
}

# --- usage -----------------------------------------------------------------------------------------
says "no command: 2" 2 '^usage: jfspre COMMAND' "$JFSPRE"
says "--help" 0 '^  fsck ' "$JFSPRE" --help
says "--help has the exit codes" 0 '^exit codes:' "$JFSPRE" --help
says "--version" 0 '^jfspre [0-9]+\.[0-9]+\.[0-9]+' "$JFSPRE" --version
says "an unknown command is named" 2 '^jfspre: unknown command fcsk ' "$JFSPRE" fcsk
says "an unknown option is named" 2 '^jfspre: unknown option --hepl ' "$JFSPRE" --hepl
for c in run format status stats bench info fsck gc doctor; do
    says "$c --help" 0 "^usage: jfspre $c " "$JFSPRE" $c --help
    case_of "$c --help has its exit codes" grep -q '^exit codes: ' "$W/said"
    says "$c --version" 0 '^jfspre [0-9]' "$JFSPRE" $c --version
    usage=2
    [ $c != run ] || usage=125
    says "$c: an unknown option is named" $usage "^jfspre: $c: unknown option --frobnicate " "$JFSPRE" $c --frobnicate
    one_line "$c: in one line"
    says "$c: an unknown letter is named" $usage "^jfspre: $c: unknown option -Q " "$JFSPRE" $c -Q
    says "$c: a missing argument" $usage "^jfspre: $c: option --meta needs an argument" "$JFSPRE" $c --meta
done
says "an argument too many for an option" 2 '^jfspre: fsck: option --all takes no argument' "$JFSPRE" fsck --all=1
for c in status stats bench fsck gc "info /jfs/x"; do
    # shellcheck disable=SC2086 # a command and its argument
    says "${c%% *}: no metadata URL" 2 "^jfspre: ${c%% *}: no metadata URL" "$JFSPRE" $c
    # shellcheck disable=SC2086
    says "${c%% *}: Redis is not there" 2 "^jfspre: ${c%% *}: .*nobody" env JFSPRE_META="unix://$W/nobody" "$JFSPRE" $c
    one_line "${c%% *}: in one line"
    # shellcheck disable=SC2086
    says "${c%% *}: rediss:// is not built in" 2 "^jfspre: ${c%% *}: .*rediss" \
        env JFSPRE_META="rediss://:secret@h/1" "$JFSPRE" $c
    case_of "${c%% *}: no password is shown" eval "! grep -q secret '$W/said'"
done
mkdir -p "$HOME/.config/jfspre"
echo "frob = 1" >"$HOME/.config/jfspre/config"
says "a file with an unknown name" 2 "^jfspre: status: .*config.*frob" "$JFSPRE" status
echo "meta = unix://$W/from-file" >"$HOME/.config/jfspre/config"
says "the URL from a file" 2 "^jfspre: status: .*from-file" "$JFSPRE" status
rm "$HOME/.config/jfspre/config"
says "a log level that is none" 2 'log level loud' "$JFSPRE" status --log loud "unix://$W/nobody"

# --- format ----------------------------------------------------------------------------------------
redis_start
says "format: NAME is missing" 2 '^jfspre: format: META-URL and NAME' "$JFSPRE" format "$META"
for n in ab Vol a_b -ab ab- "$(printf 'a%.0s' {1..64})"; do
    says "format: the name $(printf %.5s "$n")" 2 '^jfspre: format: name' "$JFSPRE" format --bucket "$BUCKET" "$META" -- "$n"
done
says "format: a storage that is not built in" 2 'storage s3' "$JFSPRE" format --storage s3 "$META" vol
for o in "--block-size 4x" "--block-size 1.2.3" "--block-size" "--capacity -1" "--capacity 1b" "--inodes 1k" "--inodes -1" \
    "--trash-days -1" "--trash-days 1.5"; do
    # shellcheck disable=SC2086
    says "format: $o" 2 "^jfspre: format: (option )?${o%% *}" "$JFSPRE" format --bucket "$BUCKET" "$META" vol $o
done
case_of "format: nothing was written so far" [ "$(rcli dbsize) $(find "$BUCKET" | wc -l)" = "0 1" ]
mkdir -p "$BUCKET/vol" && echo x >"$BUCKET/vol/x"
says "format: a place that is not empty" 1 "^jfspre: format: .*$BUCKET/vol" "$JFSPRE" format "$META" vol --bucket "$BUCKET"
case_of "format: and nothing was written" [ "$(rcli dbsize)" = 0 ]
rm "$BUCKET/vol/x"

# without_uuid: the setting, but for what differs by chance
without_uuid() { rcli get setting | sed 's/"UUID": "[0-9a-f]\{8\}-[0-9a-f]\{4\}-4[0-9a-f]\{3\}-[89ab][0-9a-f]\{3\}-[0-9a-f]\{12\}"/UUID/'; }
keys_and_sizes() { rcli --raw keys '*' | sort | while read -r k; do echo "$k $(rcli strlen "$k")"; done; }
attrs() { # the inodes, without their times
    local k
    for k in i1 i9223372032828243968; do
        rcli --no-raw eval "local v = redis.call('GET', '$k') if not v then return 'none' end
            return v:sub(1, 11) .. v:sub(48)" 0
    done
}
same_as_stock() { # ARGS: both make a volume, and the same one
    local who
    for who in stock ours; do
        rcli flushdb >/dev/null
        rm -rf "${BUCKET:?}/vol" "$BUCKET/juicefs_uuid"
        format_$who "$@" || return 1
        { without_uuid && keys_and_sizes && attrs && (cd "$BUCKET" && find . -printf '%p %s %y\n' | sort); } >"$W/made.$who"
        [ "$(cat "$BUCKET/vol/juicefs_uuid")" = "$(rcli get setting | sed -n 's/^"UUID": "\(.*\)",$/\1/p')" ] || return 1
    done
    diff "$W/made.stock" "$W/made.ours"
}
if [ -n "$JUICEFS" ]; then
    case_of "format: as stock" same_as_stock
    for o in "--trash-days 0" "--block-size 1024" "--block-size 4M" "--block-size 3m" "--block-size 10" "--block-size 64M" \
        "--block-size 1.5M" "--block-size 262144B" "--capacity 1" "--capacity 0.5" "--capacity 100M" "--capacity 2T" \
        "--capacity 1e2" "--inodes 1000" "--hash-prefix" \
        "--trash-days 7 --block-size 256 --capacity 10 --inodes 5 --hash-prefix"; do
        # shellcheck disable=SC2086
        case_of "format: as stock with $o" same_as_stock $o
    done
    case_of "format: stock accepts ours" quiet stock status "$META"
else
    format_ours
fi
rcli flushdb >/dev/null && rm -rf "$BUCKET"
says "format: a bucket by a relative name, made on the way" 0 "^volume vol made: .*$BUCKET/vol/" \
    sh -c "cd '$W' && exec '$JFSPRE' format '$META' vol --bucket ./x/../bucket --trash-days 0"
case_of "format: stored absolute" eval "rcli get setting | grep -q '\"Bucket\": \"$BUCKET/\"'"
says "format: a volume is there" 1 '^jfspre: format: volume vol is there already' "$JFSPRE" format "$META" other --bucket "$BUCKET"
case_of "format: the other place is untouched" [ ! -e "$BUCKET/other" ]
rcli set setting x >/dev/null
says "format: an unreadable volume is there" 1 'volume .*there already' "$JFSPRE" format "$META" other --bucket "$BUCKET"
rcli flushdb >/dev/null && rm -rf "$BUCKET"
says "format: Redis refuses: the place can be used again" 1 '^jfspre: format: ' \
    sh -c "redis-cli -s '$SOCK' config set maxmemory 1 >/dev/null; '$JFSPRE' format '$META' vol --bucket '$BUCKET'"
rcli config set maxmemory 0 >/dev/null
case_of "format: after a failure" format_ours

if [ "$(id -u)" = 0 ]; then # the default place, as stock has it
    mkdir "$W/nobody" && chown nobody "$W/nobody"
    as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$W/nobody" "$@"; }
    rcli flushdb >/dev/null
    says "format: the default place" 0 "blocks $W/nobody/.juicefs/local/vol/\$" as_nobody "$JFSPRE" format "$META" vol
    rcli get setting | grep Bucket >"$W/bucket.ours"
    if [ -n "$JUICEFS" ] && as_nobody "$JUICEFS" version >/dev/null 2>&1; then
        rcli flushdb >/dev/null && rm -r "$W/nobody/.juicefs"
        quiet as_nobody "$JUICEFS" format "$META" vol
        rcli get setting | grep Bucket >"$W/bucket.stock"
        same "format: the default place is stock's" "$W/bucket.ours" "$W/bucket.stock"
    fi
    rcli flushdb >/dev/null && rm -rf "$BUCKET"
    quiet format_ours
fi

# a password in the arguments is not in ps, nor in what is said
rcli config set requirepass s3cret >/dev/null
says "a wrong password" 2 '^jfspre: status: ' "$JFSPRE" status "unix://:hunter2@$SOCK?db=0"
case_of "is not shown" eval "! grep -q hunter2 '$W/said'"
case_of "the password from META_PASSWORD" quiet env META_PASSWORD=s3cret "$JFSPRE" status "$META"
REDISCLI_AUTH=s3cret redis-cli -s "$SOCK" config set requirepass '' >/dev/null 2>&1
mkfifo "$W/fifo"
"$JFSPRE" status --log "debug:$W/fifo" "redis://u:s3cret@127.0.0.1:1/0" >/dev/null 2>&1 &
waiting=$!
PIDS+=("$waiting")
eventually 10 eval "tr '\\0' ' ' </proc/$waiting/cmdline | grep -q 'u:\*'"
case_of "the password is not in ps" eval "! tr '\\0' ' ' </proc/$waiting/cmdline | grep -q s3cret"
cat "$W/fifo" >/dev/null || true
wait "$waiting" || true

# --- status, info ----------------------------------------------------------------------------------
says "status: by URL" 0 '^volume     vol$' "$JFSPRE" status "$META"
says "status: configured" 0 '^used .* 0 inodes$' jfspre status
case_of "status: this host" grep -q '^this host  0 files in use$' "$W/said"
if [ -n "$JUICEFS" ] && can_mount; then
    stock_mount
    says "status: a stock mount is a session" 0 "^session    1 .*:$MNT, process [0-9]+, version [0-9]" jfspre status
    mkdir "$MNT/d"
    head -c 5000000 /dev/zero >"$MNT/d/f"
    ln "$MNT/d/f" "$MNT/d/g"
    ln "$MNT/d/f" "$MNT/h"
    ln -s d/f "$MNT/l"
    touch "$MNT/d/old"
    rm "$MNT/d/old"
    mkdir "$MNT/d/$(printf 'a\nb\001\\\303\244\377')"
    stock_umount
    says "status: usage" 0 '^used       [0-9.]+ MiB, 6 inodes$' jfspre status
    case_of "status: trash" grep -q '^in trash   1 object, 4 KiB$' "$W/said"
    says "info: a file" 0 "^inode      3$" jfspre info /jfs/d/f
    case_of "info: its parents" [ "$(grep '^parent' "$W/said" | sort | tr '\n' ' ')" = "parent     1 /jfs parent     2 /jfs/d (2 links) " ]
    case_of "info: its blocks" [ "$(grep -c "$BUCKET/vol/chunks/0/0/1_[01]_" "$W/said")" = 2 ]
    says "info: a symlink is shown itself" 0 '^target     d/f$' jfspre info /jfs/l
    says "info: symlinks on the way" 1 'Not a directory' jfspre info /jfs/l/x
    says "info: the root" 0 '^inode      1$' jfspre info /jfs
    says "info: names are printable" 0 '^path       /jfs/d/a\\012b\\001\\\\ä\\377$' \
        jfspre info "/jfs/d/$(printf 'a\nb\001\\\303\244\377')"
    says "info: not there" 1 '^jfspre: info: /jfs/nope: No such file' jfspre info /jfs/nope
    says "info: not below the prefix" 2 '^jfspre: info: /etc is not below /jfs' jfspre info /etc
    says "info: out of the volume" 1 'leads out of the volume' jfspre info /jfs/../etc
    block=$BUCKET/vol/chunks/0/0/1_1_805696
    mv "$block" "$W/block"
    says "info: a missing block" 1 "$block  MISSING" jfspre info /jfs/d/f
    head -c 10 "$W/block" >"$block"
    says "info: a short block" 1 "$block  SHORT: 10 of 805696" jfspre info /jfs/d/f
    mv "$W/block" "$block"
fi

# --- run -------------------------------------------------------------------------------------------
says "run: no program" 125 '^jfspre: run: no program given' jfspre run
says "run: not configured" 125 '^jfspre: run: ' "$JFSPRE" run true
says "run: not found: 127" 127 '^jfspre: run: no-such-program: ' jfspre run no-such-program
touch "$W/plain-file"
says "run: not executable: 126" 126 '^jfspre: run: .*plain-file: Permission denied' jfspre run "$W/plain-file"
jfs_background() { # as jfs(); its process is $BACKGROUND
    env "${JFS_ENV[@]}" LD_PRELOAD="$PRELOAD" "$@" >"$W/background.log" 2>&1 &
    BACKGROUND=$!
    PIDS+=("$BACKGROUND")
}
preloaded_cases() {
    says "run: the program's status" 7 '' jfspre run sh -c 'echo; exit 7'
    says "run: options of the program are its own" 0 '^--meta -x$' jfspre run -- echo --meta -x
    says "run: environment" 0 "^$PREFIX unix://$SOCK.db=0 $W/cache $SO\$" env LD_PRELOAD= "${JFS_ENV[@]}" "$JFSPRE" run \
        sh -c 'echo "$JFSPRE_PREFIX $JFSPRE_META $JFSPRE_CACHE_DIR $LD_PRELOAD"'
    another=$(ldconfig -p | sed -n 's/^[[:space:]]libm\.so.*=> //p' | head -1)
    says "run: another preload stays, behind ours" 0 "^$SO:$another\$" env LD_PRELOAD="$SO:$another" "${JFS_ENV[@]}" "$JFSPRE" run \
        sh -c 'echo "$LD_PRELOAD"'
    says "run: --meta and --prefix" 0 "^/other redis://h/3\$" "$JFSPRE" run --meta redis://h/3 --prefix /other/ \
        sh -c 'echo "$JFSPRE_PREFIX $JFSPRE_META"'
    says "run: the volume is there" 0 '^hello$' jfspre run sh -c "echo hello >$PREFIX/hello; cat $PREFIX/hello"
    says "run: a program inside the volume" 0 '^inside$' \
        jfspre run sh -c "printf '#!/bin/sh\necho inside\n' >$PREFIX/script; chmod 755 $PREFIX/script; exec '$JFSPRE' run $PREFIX/script"
    cat >"$W/writer.py" <<'EOF'
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(fd, b"not closed")
print("written", flush=True)
time.sleep(600)
EOF
    jfs_background "$PY" "$W/writer.py" $PREFIX/killed
    eventually 20 grep -qs written "$W/background.log"
    kill -9 "$BACKGROUND"
    wait "$BACKGROUND" 2>/dev/null || true
    says "status: what a killed writer left" 0 '^this host  1 file in use, 1 with bytes .* \(up to 10 bytes\)$' jfspre status
    says "info: what a killed writer left" 0 '^here       .*not in the volume yet$' jfspre info $PREFIX/killed
    says "the next program sees it" 0 '^not closed$' jfs cat $PREFIX/killed
    says "status: then it is in the volume" 0 '^this host  0 files in use$' jfspre status
    says "doctor: preloaded itself" 0 '^note +prefix: /jfs' jfspre run "$JFSPRE" doctor
    jfs_background sh -c "cd $PREFIX; exec sleep 600"
    eventually 20 eval "readlink /proc/$BACKGROUND/cwd | grep -q '^$W/cache/.*/d/1\$'"
    says "info: in the volume's current directory, without the preload" 0 '^inode ' \
        env "${JFS_ENV[@]}" sh -c "cd /proc/$BACKGROUND/cwd && exec '$JFSPRE' info hello"
    kill "$BACKGROUND"
    says "info: in the volume's current directory" 0 '^path       hello$' jfspre run sh -c "cd $PREFIX; exec '$JFSPRE' info hello"
}
can_preload() { # the library has to be first, where a sanitizer wants its runtime
    case ${SAN:-} in *address* | *thread*) return 1 ;; esac
}
if can_preload; then preloaded_cases; else say "skip run: a sanitizer's runtime has to be preloaded first"; fi

cat >"$W/hello.c" <<'EOF'
int main(void) { return 0; }
EOF
if ${CC:-gcc} -static -o "$W/static" "$W/hello.c" 2>/dev/null; then
    says "run: a static program is named" 0 "^jfspre: run: $W/static will not see /jfs: it is statically linked" jfspre run "$W/static"
    printf '#!%s\n' "$W/static" >"$W/script"
    chmod 755 "$W/script"
    says "run: a script of a static program is named" 0 "$W/script will not see .*\\($W/static\\)" jfspre run "$W/script"
    says "doctor: a static program" 1 '^PROBLEM  program: .*statically linked' jfspre doctor "$W/static"
fi
if [ "$(id -u)" = 0 ]; then
    ${CC:-gcc} -o "$W/suid" "$W/hello.c"
    chown nobody "$W/suid"
    chmod 4755 "$W/suid"
    says "run: a setuid program is named" 0 "^jfspre: run: $W/suid will not see /jfs: it is setuid" jfspre run "$W/suid"
fi
cat >"$W/go.s" <<'EOF'
.section .note.go.buildid,"a",@note
.long 4, 4, 4
.asciz "Go\0"
.long 0
.section .note.GNU-stack,"",@progbits
EOF
${CC:-gcc} -o "$W/go" "$W/hello.c" "$W/go.s" # the note that Go's linker leaves in every program
says "doctor: a Go program" 1 'program: .*it is a Go program' jfspre doctor "$W/go"
"$PY" - "$W/hello-32" "$W/musl" "$W/foreign" <<'EOF'
import shutil, sys
data = bytearray(open("/bin/true", "rb").read())
data[4] = 1
open(sys.argv[1], "wb").write(data)
data[4] = 2
machine = data[18:20]
data[18:20] = b"\x34\x12"
open(sys.argv[3], "wb").write(data)
data[18:20] = machine
at = data.index(b"/lib64/ld-linux-x86-64.so.2") if b"/lib64/ld-linux-x86-64.so.2" in data else -1
if at >= 0:
    data[at:at + 27] = b"/lib/ld-musl-x86_64.so.1\0\0\0"
open(sys.argv[2], "wb").write(data)
EOF
chmod 755 "$W/hello-32" "$W/musl" "$W/foreign"
says "doctor: a program for another processor" 1 'program: .*another processor' jfspre doctor "$W/foreign"
says "doctor: a 32-bit program" 1 'program: .*32-bit' jfspre doctor "$W/hello-32"
[ "$(uname -m)" != x86_64 ] || says "doctor: another libc" 1 'program: .*another libc .*ld-musl' jfspre doctor "$W/musl"

# --- doctor ----------------------------------------------------------------------------------------
if can_preload; then
    says "doctor: nothing stands in the way" 0 "^ok +program: .*/ls can be served" jfspre doctor ls
    case_of "doctor: no problem" eval "! grep -q PROBLEM '$W/said'"
fi
says "doctor: no such program" 1 '^PROBLEM  program: no-such' jfspre doctor no-such
says "doctor: not configured" 1 '^PROBLEM  metadata: no URL' "$JFSPRE" doctor --cache-dir "$W/cache"
says "doctor: Redis is not there" 1 '^PROBLEM  metadata: .*nobody' jfspre doctor --meta "unix://$W/nobody"
says "doctor: not formatted" 1 '^PROBLEM  metadata: .*not formatted' jfspre doctor --meta "unix://$SOCK?db=9"
mkdir -p "$W/prefix/x"
says "doctor: the prefix is in use natively" 1 "^PROBLEM  prefix: $W/prefix .*1 names" jfspre doctor --prefix "$W/prefix"
! can_preload || says "doctor: an empty native prefix" 0 "^ok +prefix: $W/prefix/x" jfspre doctor --prefix "$W/prefix/x"
touch "$W/prefix/file"
says "doctor: a cache that is no directory" 1 '^PROBLEM  cache: .*' jfspre doctor --cache-dir "$W/prefix/file"
says "doctor: a cache that cannot be made" 1 '^PROBLEM  cache: ' jfspre doctor --cache-dir /dev/null/x
rcli get setting >"$W/setting"
refused() { # NAME JSON-EDIT PATTERN
    sed "$2" "$W/setting" | rcli -x set setting >/dev/null
    says "doctor: $1 is refused by name" 1 "^PROBLEM  volume: vol: .*$3" jfspre doctor
    says "status: shown all the same, with what is refused" 0 "^refused    .*$3" jfspre status
}
refused "a newer MetaVersion" 's/"MetaVersion": 1/"MetaVersion": 2/' MetaVersion
refused "encryption" 's/^"EncryptAlgo".*/"EncryptKey": "x",/' EncryptKey
refused "another storage" 's/"Storage": "file"/"Storage": "s3"/' 's3|Storage'
refused "a newer client's volume" 's/"MinClientVersion": "[^"]*"/"MinClientVersion": "9.0.0"/' MinClientVersion
rcli -x set setting <"$W/setting" >/dev/null
mv "$BUCKET/vol" "$W/vol.away"
says "doctor: the store is missing" 1 "^PROBLEM  store: .*$BUCKET" jfspre doctor
mkdir "$BUCKET/vol" && echo 00000000-0000-4000-8000-000000000000 >"$BUCKET/vol/juicefs_uuid"
says "doctor: the store is another volume's" 1 '^PROBLEM  store: .*another volume' jfspre doctor
rm -r "$BUCKET/vol" && mv "$W/vol.away" "$BUCKET/vol"
cp "$JFSPRE" "$W/alone" && mkdir -p "$W/lib"
says "doctor: the library is missing" 1 '^PROBLEM  library: ' env "${JFS_ENV[@]}" "$W/alone" doctor
says "run: the library is missing" 125 'libjfspre.so is not there' env "${JFS_ENV[@]}" "$W/alone" run true
mkdir -p "$W/i/bin" "$W/i/lib" && cp "$JFSPRE" "$W/i/bin/" && cp "$SO" "$W/i/lib/"
! can_preload || says "doctor: the library in ../lib" 0 "^ok +library: $W/i/lib/libjfspre.so loads" env "${JFS_ENV[@]}" "$W/i/bin/jfspre" doctor
head -c 100 "$SO" >"$W/i/lib/libjfspre.so"
says "doctor: a damaged library" 1 '^PROBLEM  library: ' env "${JFS_ENV[@]}" "$W/i/bin/jfspre" doctor
our_fsck && ok "and the volume is clean"
finish
