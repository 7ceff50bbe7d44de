#!/bin/bash
# A database without a volume, with something else in it, or with a volume that we must not touch.
. "$(dirname "$0")/../lib/env.sh"
. "$ROOT/tests/lib/bad.sh"
redis_start

# both_refused NAME LINE ERROR: reading, writing and the command
both_refused() {
    refused "$1, reading" "$2" "$3" cat $PREFIX/kept
    refused "$1, writing" "$2" "$3" cp /etc/passwd $PREFIX/new
}
both_refused "not formatted" "not formatted|no volume" "no data|not supported|input/output"
tool_refused "not formatted, status" "not formatted|no volume" 2 status
rcli set setting 'hello' >/dev/null
both_refused "not JSON" "setting" "invalid|input/output|not supported"
rcli set setting '{"a": 1}' >/dev/null
both_refused "foreign JSON" "setting|Name" "invalid|input/output|not supported"
rcli del setting >/dev/null
rcli lpush setting x >/dev/null
both_refused "not a string" "setting|WRONGTYPE|wrong (type|kind)" "input/output|invalid|not supported"
rcli flushdb >/dev/null

format_ours --trash-days 0
jfs cp /etc/passwd $PREFIX/kept
rcli get setting >"$W/good"
before=$(rcli dbsize)

# feature FIELD VALUE [LINE]
feature() {
    edit_setting "$1" "$2"
    both_refused "$1 $2" "${3:-$1}" "not supported"
    rcli -x set setting <"$W/good" >/dev/null
}
feature MetaVersion 2
feature MinClientVersion '"9.0.0"'
feature MaxClientVersion '"1.0.0"'
feature EncryptKey '"-----BEGIN ENCRYPTED PRIVATE KEY-----"'
feature Storage '"s3"'
feature Compression '"lz4"'
feature Compression '"zstd"'
feature Compression '"brotli"'
feature Shards 4
feature ChangeLog true
feature UserGroupQuota true
feature BlockSize 12345
feature EnableACL true

case_of "nothing was written" test "$(rcli dbsize)" = "$before"
# what is only unknown is no reason
edit_setting SomethingNew '{"x": [1, "two"]}'
case_of "an unknown field: served" quiet jfs cmp /etc/passwd $PREFIX/kept
edit_setting HashPrefix true
case_of "served and obeyed: HashPrefix" quiet jfs cp /etc/passwd $PREFIX/hashed
case_of "its block" test -n "$(find "$BUCKET/$NAME/chunks" -path '*/chunks/[0-9A-F][0-9A-F]/*')"

# limits of the volume
rcli -x set setting <"$W/good" >/dev/null
edit_setting Inodes 12
no_space() { ! jfs "$@" 2>"$W/err" && grep -q 'No space left' "$W/err"; }
case_of "Inodes" no_space sh -c "for i in \$(seq 30); do mkdir $PREFIX/d\$i || exit; done"
case_of "Inodes: exactly that many" test "$(jfs ls -A $PREFIX | wc -l)" = 12
rcli -x set setting <"$W/good" >/dev/null
edit_setting Capacity $((1 << 20))
case_of "Capacity" no_space cp /bin/bash $PREFIX/large
case_of "what was there is whole" quiet jfs cmp /etc/passwd $PREFIX/kept
rcli -x set setting <"$W/good" >/dev/null
case_of "with room again" quiet jfs cp /bin/bash $PREFIX/large
case_of "whole" quiet jfs cmp /bin/bash $PREFIX/large
finish
