#!/bin/bash
# No system call of a preloaded program names a path below the prefix: what got past us would act on
# the native tree, or fail there.
. "$(dirname "$0")/../lib/env.sh"
strace -qq -o /dev/null true 2>/dev/null || skip_all "strace may not trace here"
volume_start
format_ours
set=(-E "LD_PRELOAD=$PRELOAD")
for s in "${JFS_ENV[@]}"; do set+=(-E "$s"); done
mkdir -p "$W/src/dir" && seq 1000 >"$W/src/dir/file" && ln -s dir "$W/src/link"
tar -cf "$W/a.tar" -C "$W" src

# leaks NAME CMD...: an argument of execve is no call on that path
leaks() {
    local name=$1
    shift
    strace -f -qq -s 300 -e trace=%file,connect,bind -o "$W/calls" "${set[@]}" "$@" >"$W/out" 2>&1 || {
        tail -3 "$W/out"
        not_ok "$name: it works"
        return 0
    }
    sed -e 's/execve(\("[^"]*"\).*/execve(\1/' -e 's/symlink[at]*("[^"]*"/symlink("/' "$W/calls" |
        grep -E "\"$PREFIX(/|\")" >"$W/found" || true
    head -5 "$W/found"
    case_of "$name" test ! -s "$W/found"
}
leaks tar tar -xf "$W/a.tar" -C $PREFIX
leaks "tar back" tar -cf "$W/b.tar" -C $PREFIX src
leaks cp cp -a $PREFIX/src $PREFIX/copy
leaks mv mv $PREFIX/copy $PREFIX/moved
leaks ls ls -lR $PREFIX
leaks find find $PREFIX -name 'f*' -newer $PREFIX/moved -exec cat {} +
leaks grep grep -r 99 $PREFIX/src
leaks sed sed -i s/9/nine/ $PREFIX/src/dir/file
leaks bash bash -c "cd $PREFIX/src && echo x >new && cat <new >>dir/file && (cd dir; pwd; ls) && [ -f new ] && echo * && rm new"
leaks dash dash -c "cd $PREFIX/src && echo x >new && cat <new && mkdir $PREFIX/d && rmdir $PREFIX/d"
leaks python "$PY" -c "import os, shutil, glob, tempfile, subprocess
os.chdir('$PREFIX'); shutil.copytree('src', 'py'); print(glob.glob('$PREFIX/*'), os.path.realpath('py/link'))
with tempfile.NamedTemporaryFile(dir='$PREFIX') as f: f.write(b'x')
subprocess.run(['cat', '$PREFIX/py/dir/file'], cwd='$PREFIX/py', check=True); shutil.rmtree('$PREFIX/py')"
leaks others bash -c "cd $PREFIX && touch t && chmod 600 t && chown 0:0 t 2>/dev/null; ln t u; ln -s t v; readlink -f v; realpath v; stat t; df t; du t; truncate -s 9 t; dd if=t of=w; cmp t w; mktemp -p .; install t z; split -l 1 z; sort -o z z; tee y <z; head -1 z; wc z; test -r z; diff z y; rm -r *"
finish
