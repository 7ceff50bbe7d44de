#!/bin/bash
# (a) What the library costs a program that does not touch the volume: time and system calls.
. "$(dirname "$0")/lib.sh"
redis_start
format_ours
connections() { rcli info stats | sed -n 's/^total_connections_received:\([0-9]*\).*/\1/p'; }

"$PY" - "$RUNS" "$PRELOAD" "${JFS_ENV[@]}" <<'END'
import os, statistics, sys, time
runs, so, settings = int(sys.argv[1]), sys.argv[2], dict(s.split("=", 1) for s in sys.argv[3:])

def once(env):
    start = time.perf_counter()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], env), 0)
    return (time.perf_counter() - start) * 1e3

plain = {"PATH": "/bin"}
loaded = dict(plain, LD_PRELOAD=so, **settings)
without, with_it = [], []
for _ in range(300 * runs):  # in turns, so that both see the same machine
    without.append(once(plain))
    with_it.append(once(loaded))
a, b = statistics.median(without), statistics.median(with_it)
print(f"/bin/true: {a:.3f} ms without, {b:.3f} ms with the library: +{b - a:.3f} ms, ratio {b / a:.2f} (promised: below +0.3)")
END
before=$(connections)
preloaded true
after=$(connections)
echo "connections that it makes: $((after - before - 1)) (promised: 0)" # one is our own look
echo "system calls of true: $(calls_of true) without, $(calls_of_preloaded true) with the library"

# the same work on native files, without and with: what differs grows with nothing
work='for i in $(seq 200); do echo $i >f$i; done; cat f* >/dev/null; ls -l >/dev/null; rm f*'
mkdir "$W/work"
cd "$W/work" || exit 1
for n in 200 400; do
    w=${work/200/$n}
    plain=$(calls_of bash -c "$w")
    loaded=$(calls_of_preloaded bash -c "$w")
    echo "$n native files made, read, listed, removed: $plain calls without, $loaded with: +$((loaded - plain))"
done
