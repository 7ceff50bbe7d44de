#!/bin/sh
# Makes the cases of syscall() from preload/syscalls.def:  gen_syscalls.sh SYSCALLS.DEF SYMBOLS.TXT OUT
# Fails when a row calls something that symbols.def does not export.
set -eu
awk -v symbols="$2" '
    BEGIN {
        while ((getline line < symbols) > 0) {
            split(line, part, " ")
            known[part[2]] = 1
        }
        known["to_libc"] = known["strlen"] = known["I"] = known["P"] = known["L"] = 1
    }
    /^#/ || NF == 0 { next }
    {
        number = $1
        guard = $2
        from = 3
        if (guard == "PATH" || guard == "AT")
            guard = guard "_(" $(from++) ")"
        call = ""
        for (i = from; i <= NF; i++)
            call = call (call == "" ? "" : " ") $i
        rest = call
        while (match(rest, /[A-Za-z_][A-Za-z0-9_]*\(/)) {
            name = substr(rest, RSTART, RLENGTH - 1)
            rest = substr(rest, RSTART + RLENGTH)
            if (!(name in known)) {
                print "gen_syscalls.sh: " number ": " name " is not in symbols.def" > "/dev/stderr"
                exit 1
            }
        }
        print "#ifdef SYS_" number "\n    case SYS_" number ":"
        print "        if (" guard ")\n            return (long)" call ";\n        break;\n#endif"
    }' "$1" >"$3"
