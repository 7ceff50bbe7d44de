#!/bin/bash
# git: a history made, branched, merged, packed, cloned and checked in a plain directory and on the
# volume: the same commits come out, and git finds nothing wrong.
. "$(dirname "$0")/../lib/env.sh"
volume_start
format_ours --trash-days 0
umask 022
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' GIT_CONFIG_NOSYSTEM=1

# shellcheck disable=SC2016 # the script is for the other shell
both git bash 'git init -q -b main r && cd r && mkdir -p src/deep && for i in $(seq 150); do seq $i 300 >src/f$i; done
ln -s f1 src/link; echo "#!/bin/sh" >run && chmod 755 run; cp src/f9 src/deep/
git add . && git commit -qm one && git rev-parse HEAD; git status --short; sed -i 1d src/f[1-5]; git mv src/f10 src/deep/moved; git rm -q src/f11
git commit -qam two; git show --stat --format=%H | tail -3; git checkout -q -b side HEAD~1; echo side >side; git add side; git commit -qm side
git checkout -q main; ls src/deep; git merge -q --no-edit side && git log --format="%H %s"; git diff --stat HEAD~1; echo dirty >>run; git stash -q; git status --short; git stash pop | tail -1
git checkout -q . ; git tag v1; git gc -q; git fsck --full --strict 2>&1 | tail -1; git repack -adq; git grep -c 299 | wc -l; git blame -s src/f1 | head -1; git archive v1 | tar -t | wc -l
git reset -q --hard HEAD~1; git clean -fdq; git reflog | wc -l; git worktree add -q ../w side 2>&1; cat ../w/side; cd ..; git clone -q r out; git -C out log --format=%H; git clone -q --bare r b.git; git -C b.git fsck; cd out && echo more >>run && git commit -qam more && git push -q origin HEAD:new && git -C ../r branch
cd .. && rm -rf r b.git w out/.git'
checkers "afterwards"
finish
