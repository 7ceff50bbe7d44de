#!/bin/bash
# cp, mv, rm, ls, find, grep, sed and their kin: the same commands in a plain directory and on the
# volume must say and leave the same.
. "$(dirname "$0")/../lib/env.sh"
volume_start
format_ours --trash-days 0
umask 022

# shellcheck disable=SC2016 # the scripts are for the other shell
{
    prepare='mkdir -p src/a/b src/empty; for i in 1 2 3 4 5; do seq $i 50 >src/a/f$i; done
printf "needle in a\nhaystack\n" >src/a/b/hay; ln -s a src/link; ln src/a/f1 src/hard; mkfifo src/fifo
chmod 640 src/a/f2; chmod 2755 src/a; touch -d 2001-02-03 src/a/f3; ln -s /nowhere src/dangling;'

    both cp bash "$prepare"'cp -a src copy; diff -r --no-dereference src/a copy/a; cp src/a/f1 one; cp -r src/a two
cp --preserve=all src/a/f3 three; stat -c "%n %Y %a" three; cp -l src/a/f4 four; stat -c %h four; cp -s src/a/f5 five
cp --sparse=always src/a/f1 six; cp --reflink=auto -u src/a/f1 one; cp src/a src/b seven; cp -T src/a eight; cp -n one two/f1
cp absent x; cp -a src/. dest; cp --remove-destination one src/link2; cp -b one three; ls | sort'
    both mv bash "$prepare"'mv src/a/f1 src/a/g1; mv src moved; mv moved/a/f2 moved/a/f3 moved/empty; mv moved/a .
mv -n a/f4 a/f5; mv -b a/g1 a/f5; mv -T a/b a/c; mv absent x; mv a a/b; mv moved/link renamed; ls -R . | sort'
    both across bash "$prepare"'rm src/hard; t=$(mktemp -d /tmp/jfspre-x.XXXXXX); mv src/a "$t"; (cd "$t" && ls -R); mv "$t/a" back
cp -a back "$t/copy"; mv "$t/copy" .; diff -r back copy; rm -rf "$t"; stat -c "%A %h %n" back back/*'
    # libattr's own llistxattr() and its kin go through syscall(), here for paths that are looked at
    # twice, since descriptors have names in /dev.
    both shm bash "$prepare"'t=$(mktemp -d /dev/shm/jfspre-x.XXXXXX); cp -a src "$t"; cp -a "$t/src" from; ls -R from; cp -a from "$t"; diff -r from/a "$t/from/a"
mv "$t/from" back; ls back; rm -rf "$t"'
    both rm bash "$prepare"'rm src/a/f1; rm src/a; rm -r src/a/b; rm -f absent; rmdir src/empty; rmdir src; rm -d src/a; chmod 0 src/a/f2
rm -f src/a/f2; rm -rf src; ls -A; mkdir -p x/y/z; rmdir -p x/y/z; touch -- -f; rm -- -f; ls -A'
    both ls bash "$prepare"'ls -1a src; ls -lR src | sed "s/^total.*//" | awk "{print \$1,\$2,\$3,\$4,(\$1~/^d/)?\"\":\$5,\$9,\$10,\$11}"
ls -F src; ls -d */; ls -i src >/dev/null; ls src/absent; ls -1t src/a/f3 src/a/f1; ls -1S src/a/f*; stat -c "%n %F %a %h %s" src/a/f* src/link src/fifo; stat -c "%n %F %a %h" src src/a/b'
    both find bash "$prepare"'find . | sort; find . -type f -name "f[1-3]" | sort; find . -type l | sort; find -L . -type f 2>/dev/null | sort; find . -empty | sort
find . -newermt 2002-01-01 -type f | sort; find . -perm 640; find . -links 2 -type f | sort; find . -name hay -exec cat {} \;
find . -type f -print0 | xargs -0 cat | sort -n | uniq -c | head -3; find src -depth -name "f*" -delete; find . -maxdepth 2 | sort; find . -inum 1'
    both grep bash "$prepare"'rm src/fifo; grep -r needle . ; grep -rl 42 src/a | sort; grep -c . src/a/f1; grep -rn --include="f*" "^50" src/a | sort; grep x absent; grep -R 49 src | sort'
    both sed bash "$prepare"'sed -i s/5/five/ src/a/f1; cat src/a/f1; sed -i.bak 1d src/a/f2; ls src/a; stat -c "%a %h" src/a/f1 src/a/f2 src/hard
sed -n 1,3p src/a/f3; sed -i "" absent; sed --follow-symlinks -i s/4/four/ src/link/f4; head -5 src/a/f4; sed w\ out src/a/b/hay'
    both text bash "$prepare"'sort -r src/a/f1 -o src/a/f1; head -3 src/a/f1; tail -2 src/a/f1; wc -lc src/a/*; cut -c1 src/a/f1 | uniq -c; tr 0-9 a-j <src/a/f1 >t; md5sum t
split -l 10 src/a/f1 part.; ls part.*; cat part.* | cmp - src/a/f1; tee x y <src/a/b/hay; cmp x y; comm -12 x y; paste x y; od -c x | head -2; tac x; csplit -s src/a/f1 10; ls xx*; shuf -e 1 >one; join x y; nl x; fold -w3 x; expand x; truncate -s 10 x; truncate -s +10 y; wc -c x y; install -m 700 x bin; stat -c %a bin; install -d -m 711 dir/sub; stat -c %a dir/sub; dd if=src/a/f1 of=dd bs=7 count=3 2>/dev/null; cat dd; dd if=/dev/zero of=dd bs=1 count=2 seek=5 conv=notrunc 2>/dev/null; od -c dd; sha256sum src/a/f*'
    both modes bash "$prepare"'chmod -R u=rwX,go= src; find src ! -type l | sort | xargs stat -c "%n %a"; chmod 4755 src/a/f1; chmod g+s src/empty; umask 077; touch new; mkdir newdir; umask 022
stat -c "%n %a" new newdir src/a/f1 src/empty; touch -t 200001020304.05 new; stat -c %y new | cut -c1-19; touch -r new src/a/f1; stat -c %Y src/a/f1; touch -h src/link; touch -c absent; ls absent; chown -R 12:34 src/a 2>&1 | sort; stat -c "%u %g" src/a/f1
mkdir -m 700 -p m/n; mkdir m; readlink src/link; readlink -f src/link/b | sed "s,.*/modes/,,"; realpath src/link/.. | sed "s,.*/,,"; ln -sf a2 src/link; readlink src/link; ln -sfn x src/link; ln src/a/f1 src/a/f1; ln -f src/a/f1 src/a/f2; stat -c %h src/a/f2; mktemp -p . >/dev/null; mktemp -d ./dXXXXXX >/dev/null; ls | wc -l; du -a --apparent-size src/a/b/hay | cut -f1; sync; sync src/a/f1; df . >/dev/null; test -w src; test -x src/a/f1; test src/a/f1 -ef src/a/f2; echo $?; rm tmp.* -f; rm -rf tmp.* d??????'
}
checkers "afterwards"
finish
