#!/bin/sh
# Runs a command and shows it on the board: build.sh NAME COMMAND...
# Its output is the text builds/NAME/log, its state the JSON value builds/NAME. Exits as the command does.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: build.sh NAME COMMAND..." >&2
    exit 2
fi
name=$1
shift
hexcast=${HEXCAST:-hexcast}

tell() { # STATE CODE TOOK: words of this script alone, so that nothing needs quoting
    $hexcast pub "builds/$name" --put --type application/json \
        "{\"state\":\"$1\",\"code\":\"$2\",\"began\":\"$began\",\"took\":\"$3\"}" >/dev/null
}

start=$(date +%s)
began=$(date +%H:%M:%S)
$hexcast pub "builds/$name/log" --put --type 'text/plain; charset=utf-8' '' >/dev/null
tell running '' …

# The command's exit code, which a pipe would hide, comes by a file.
codes=$(mktemp)
trap 'rm -f "$codes"' EXIT
{
    code=0
    "$@" 2>&1 || code=$?
    echo "$code" >"$codes"
} | $hexcast pub "builds/$name/log" --append
code=$(cat "$codes")

took="$(($(date +%s) - start)) s"
if [ "$code" = 0 ]; then tell passed '' "$took"; else tell failed "exit $code" "$took"; fi
exit "$code"
