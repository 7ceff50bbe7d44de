#!/bin/bash
# limit: 300
# The main test: thousands of real files, unpacked by an unmodified tar into a volume that the stock
# client made; then the stock client mounts it, and everything is right.  The embedded engine makes
# its own volume, which only we can look at.
. "$(dirname "$0")/../lib/env.sh"

"$ROOT/tools/make_archive.sh" "$W/a.tar"
mkdir "$SHM/plain"
umask 022
tar -xpf "$W/a.tar" -C "$SHM/plain"
parts=(usr/include usr/share extra)
trees() { # DIR OUT [function]
    : >"$2"
    for p in "${parts[@]}"; do "${3:-tree}" "$1/$p" >>"$2"; done
}
trees "$SHM/plain" "$W/plain"
say "$(tar -tf "$W/a.tar" | wc -l) members, $(stat -c %s "$W/a.tar") bytes"

volume_start
if [ -n "$JUICEFS" ]; then format_stock --trash-days 0; else format_ours --trash-days 0; fi

unpack() { jfs tar -xpf "$W/a.tar" -C $PREFIX >"$W/tar.out" 2>&1; }
case_of "unpack" unpack
cat "$W/tar.out"
case_of "tar said nothing" test ! -s "$W/tar.out"
trees $PREFIX "$W/volume" tree_of_volume
same "as we see it" "$W/plain" "$W/volume"

if [ -n "$JUICEFS" ] && can_mount; then
    stock_mount --read-only
    trees "$MNT" "$W/stock"
    same "as a stock mount sees it" "$W/plain" "$W/stock"
    stock_umount
else
    [ "$ENGINE" != redis ] || say "skip as a stock mount sees it: no stock client or /dev/fuse"
fi
checkers "after unpacking"

# packed again by tar, unpacked natively
pack() { jfs tar -cf "$W/b.tar" --format=posix --xattrs -C $PREFIX usr extra; }
case_of "pack" pack
mkdir "$SHM/again"
tar -xpf "$W/b.tar" -C "$SHM/again"
trees "$SHM/again" "$W/again"
same "unpacked again natively" "$W/plain" "$W/again"

# a second time over the first, then all of it away
case_of "unpack over it" unpack
trees $PREFIX "$W/volume2" tree_of_volume
same "the same after that" "$W/plain" "$W/volume2"
case_of "remove" jfs rm -rf $PREFIX/usr $PREFIX/extra
case_of "nothing left" test -z "$(jfs ls -A $PREFIX)"
checkers "after removing"
finish
