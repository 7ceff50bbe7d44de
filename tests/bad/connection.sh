#!/bin/bash
# Redis not there, a wrong password, URLs that are wrong or not served yet.
. "$(dirname "$0")/../lib/env.sh"
. "$ROOT/tests/lib/bad.sh"

# The configuration is changed by meta=... before each case.
use() { JFS_ENV[0]=JFSPRE_META=$1; }
write() { sh -c "echo x >$PREFIX/f"; }
export -f write
export PREFIX

use "unix://$W/nothing.sock?db=0"
refused "no socket" "nothing\.sock" "refused|input/output|timed out" cat $PREFIX/f
refused "no socket, writing" "nothing\.sock" "refused|input/output|timed out" touch $PREFIX/f
tool_refused "no socket, status" "nothing\.sock" 2 status
tool_refused "no socket, fsck" "nothing\.sock" 2 fsck
use "redis://127.0.0.1:1/0"
refused "no server" "127\.0\.0\.1:1" "refused" cat $PREFIX/f
tool_refused "no server, status" "127\.0\.0\.1:1" 2 status
use "redis://no-such-host.invalid:6379/0"
refused "no such host" "no-such-host\.invalid" "refused|input/output|unreachable|no route|timed out" cat $PREFIX/f

redis_start --requirepass "right-secret"
REDISCLI_AUTH=right-secret rcli ping
use "$META"
refused "no password" "password|auth" "permission denied" cat $PREFIX/f
tool_refused "no password, status" "password|auth" 2 status
use "unix://:wrong-secret@$SOCK?db=0"
refused "wrong password" "password|auth" "permission denied" cat $PREFIX/f
case_of "the password is not told" test -z "$(grep wrong-secret "$W/err")"
tool_refused "wrong password, status" "password|auth" 2 status
case_of "nor by the command" test -z "$(grep wrong-secret "$W/err")"
use "unix://:right-secret@$SOCK?db=0"
case_of "right password in the URL" quiet env "${JFS_ENV[@]}" "$JFSPRE" format "unix://:right-secret@$SOCK?db=0" $NAME \
    --storage file --bucket "$BUCKET"
case_of "and used" quiet jfs touch $PREFIX/f
use "$META"
JFS_ENV+=(META_PASSWORD=right-secret)
case_of "from META_PASSWORD" quiet jfs cat $PREFIX/f
unset 'JFS_ENV[-1]'
printf 'right-secret\n' >"$W/secret"
JFS_ENV+=(META_PASSWORD_FILE="$W/secret")
case_of "from META_PASSWORD_FILE" quiet jfs cat $PREFIX/f
unset 'JFS_ENV[-1]'
use "unix://:right-secret@$SOCK?db=99"
refused "no such database" "db|database|index" "." cat $PREFIX/f

# not served yet, each by its name
use "rediss://127.0.0.1:6379/0"
refused "TLS" "rediss|TLS" "not supported" cat $PREFIX/f
tool_refused "TLS, status" "rediss|TLS" 2 status
use "redis://mymaster,127.0.0.1,127.0.0.2:26379/0"
refused "Sentinel" "sentinel" "not supported" cat $PREFIX/f
use "redis://127.0.0.1:7001,127.0.0.1:7002/0"
refused "Cluster" "cluster" "not supported" cat $PREFIX/f
use "postgres://localhost/x"
refused "another database" "postgres" "invalid argument|not supported" cat $PREFIX/f
use "redis://127.0.0.1:6379/0?no-such-option=1"
refused "unknown option" "no-such-option" "invalid argument" cat $PREFIX/f
tool_refused "unknown option, status" "no-such-option" 2 status
use "redis://127.0.0.1:port/0"
refused "malformed" "port" "invalid argument" cat $PREFIX/f

# nothing configured: said in words, not half served
JFS_ENV[0]=JFSPRE_META=
refused "not configured" "JFSPRE_META" "." cat $PREFIX/f
use "$META"
finish
