#!/bin/bash
# A python program that uses the file half of its library, on a plain directory and on the volume.
. "$(dirname "$0")/../lib/env.sh"
volume_start
format_ours --trash-days 0
umask 022
mkdir "$SHM/plain"
jfs mkdir $PREFIX/work
status=0
"$PY" "$ROOT/tests/apps/python_files.py" "$SHM/plain" >"$W/plain" 2>&1 || status=$?
say "plain: status $status"
status=0
jfs "$PY" "$ROOT/tests/apps/python_files.py" $PREFIX/work >"$W/volume" 2>&1 || status=$?
case_of "status" test $status = 0
same "output" "$W/plain" "$W/volume"
tree --no-mtime "$SHM/plain" >"$W/plain.tree"
tree_of_volume --no-mtime $PREFIX/work >"$W/volume.tree"
same "tree" "$W/plain.tree" "$W/volume.tree"
checkers "afterwards"
finish
