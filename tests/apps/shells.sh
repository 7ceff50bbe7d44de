#!/bin/bash
# Redirections and scripts of bash and dash on the volume, as on a plain directory.
. "$(dirname "$0")/../lib/env.sh"
volume_start
format_ours --trash-days 0
umask 022

# shellcheck disable=SC2016 # the scripts are for the other shell
common='echo one >f; echo two >>f; cat f; cat <f; : >f; wc -c <f; echo x >absent/y; echo err >&2 2>e; ls nothing 2>e; test -s e && echo said
exec 3>three; echo to three >&3; (echo from a subshell >&3); exec 3>&-; cat three; exec 4<three; read line <&4; echo "$line"; exec 4<&-
{ echo a; echo b; } >block; while read l; do echo "<$l>"; done <block; cat <<END >here
here $((1+2))
END
cat here; set -C; echo no >block; echo yes >|block; cat block; set +C; exec 5<>rw; echo hello >&5; cat rw; exec 5>&-
for i in 1 2 3; do echo $i; done | sort -r >piped; cat piped; (cd / && echo elsewhere) >out; cat out; mkdir d; cd d; echo in >x; cd ..; cat d/x; (cd d && pwd | sed "s,.*/,,")
cat >script <<END
#!/bin/sh
echo "script: \$0 \$1"
exit 3
END
chmod +x script; ./script arg; echo $?; . ./here 2>/dev/null; test -d d -a -f f && echo yes; [ -e nothing ] || echo none; echo *; echo d/*; echo no*match; printf "%s\n" [a-f]*
x=$(cat rw); echo "$x"; echo back & wait; echo bg >bg & wait; cat bg; trap "echo bye >trapped" EXIT; kill -0 $$; umask; umask 077; echo u >u; umask 022; exec 6>six; sh -c "echo child >&6"; cat six; exec 6>&-; cp six seven & wait $!; cat seven; rm -f e; true >t1 >t2; ls t1 t2; cat nothing || echo failed'
both dash dash "$common"
both bash bash "$common"
# shellcheck disable=SC2016
both bashisms bash 'cat <<<"a string" >s; cat s; cat <(echo sub) >p; cat p; echo both &>b; cat b; echo more &>>b; cat b; diff <(cat s) s && echo same; coproc cat >co; echo x >&${COPROC[1]}; eval "exec ${COPROC[1]}>&-"; wait; cat co
mapfile -t lines <s; echo "${lines[@]}"; shopt -s globstar nullglob dotglob; mkdir -p a/b/c; touch a/b/c/deep .dot; echo **/deep; echo *; pushd a >/dev/null; pwd | sed "s,.*/,,"; popd >/dev/null; exec {fd}>var; echo v >&$fd; exec {fd}>&-; cat var; read -r first <s; echo $first; printf -v y "%03d" 7; echo $y >y; [[ -f y && y -nt nothing ]] && echo newer; time true 2>/dev/null; cat y{,} ; : {1..3}; echo $(<y); type -P cat >/dev/null && hash cat; history -c; ulimit -n >/dev/null; exec >all; echo to the end; bash -c "echo child too"; cat /proc/self/fd/1 >&2'
checkers "afterwards"
finish
