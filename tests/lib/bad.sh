# shellcheck shell=bash
# What the tests of bad input share: every refusal is one line that names the thing, and an errno.

# refused NAME LINE ERROR CMD...: under the preload the command fails (without dying), its standard
# error has exactly one line of ours, which matches LINE, and the program's own words match ERROR.
refused() {
    local name=$1 line=$2 error=$3 status=0
    shift 3
    jfs timeout 60 "$@" >"$W/out" 2>"$W/err" || status=$?
    if [ $status -gt 0 ] && [ $status -lt 124 ] && [ "$(grep -c '^jfspre: ' "$W/err")" = 1 ] &&
        grep '^jfspre: ' "$W/err" | grep -Eiq -- "$line" &&
        grep -v '^jfspre: ' "$W/err" | grep -Eiq -- "$error"; then
        ok "$name"
    else
        say "status $status; wanted one line of ours with /$line/, and /$error/ from the program; got:"
        head -20 "$W/err"
        not_ok "$name"
    fi
}

# tool_refused NAME LINE CODE ARGS...: the command jfspre ends with this code and one line.
tool_refused() {
    local name=$1 line=$2 code=$3 status=0
    shift 3
    timeout 60 env "${JFS_ENV[@]}" "$JFSPRE" "$@" >"$W/out" 2>"$W/err" || status=$?
    if [ $status = "$code" ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -Eiq -- "$line" "$W/err"; then
        ok "$name"
    else
        say "status $status, wanted $code and one line with /$line/; got:"
        head -20 "$W/err"
        not_ok "$name"
    fi
}

# edit_setting FIELD JSON-VALUE: as another client would have written it
edit_setting() {
    rcli get setting >"$W/setting.json"
    "$PY" - "$W/setting.json" "$1" "$2" <<'END' | rcli -x set setting >/dev/null
import json, sys
s = json.load(open(sys.argv[1]))
s[sys.argv[2]] = json.loads(sys.argv[3])
sys.stdout.write(json.dumps(s))
END
}
