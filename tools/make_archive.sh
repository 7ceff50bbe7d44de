#!/bin/bash
# Makes an archive of thousands of real files from what every machine has:  make_archive.sh OUT [N]
#
# N entries at most (8000) of /usr/include and /usr/share, none above 64 KiB, and a few things those
# do not have: hard links, a FIFO, odd names, special modes, old and exact times, empty files, one
# file larger than a block and a sparse one.  Members: usr/include, usr/share, extra.
set -euo pipefail
out=$(realpath -m "$1")
entries=${2:-8000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for top in usr/include usr/share; do
    # head closes the pipe, and a directory may be closed to us: neither is an error here
    (cd / && find $top -xdev -size -65k \( -type d -o -type f -o -type l \) -readable -print0 2>/dev/null || true) |
        { head -z -n $((entries / 2)) && cat >/dev/null; } >>"$work/list"
done
tar -cf "$out" --format=posix --no-recursion --null -C / -T "$work/list"

mkdir -p "$work/extra/dir/deeper" "$work/extra/empty-dir"
cd "$work/extra"
echo "two names" >one && ln one dir/two && ln one dir/deeper/three
ln -s ../one dir/up && ln -s /absolute/target absolute && ln -s nowhere dangling && ln -s dir to-dir
mkfifo -m 620 fifo
: >empty
head -c 9000000 /dev/urandom >big
truncate -s 5000000 sparse && printf end >>sparse
printf a >$'new\nline' && printf b >$'\xff\xfe' && printf c >' ' && printf d >-dash
printf e >"$(printf 'n%.0s' $(seq 255))"
echo x >suid && chmod 4755 suid && echo x >secret && chmod 400 secret
chmod 1777 dir && chmod 2755 dir/deeper && chmod 700 empty-dir
[ "$(id -u)" != 0 ] || { chmod 0 secret && echo x >owned && chown 1234:4321 owned && chown -h 5:6 dangling; }
touch -d '2001-02-03 04:05:06.123456789' one empty-dir && touch -h -d '1999-12-31 23:59:59.000000001' dir/up
cd ..
tar -rf "$out" --format=posix extra
