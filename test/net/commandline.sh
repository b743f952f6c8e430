#!/bin/sh
# Every subcommand that --help names: its --help, one clear line and status 2 for what it does not
# know, a manual page that names each of its options, and nothing in the manual that is no option.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bin=${FB_BIN:-build/debug/footbridge}
bad=0

complain() {
    echo "commandline: $*"
    bad=1
}

# refused STATUS ARGUMENT...: that status, one line on standard error, nothing on standard output.
refused() {
    expected=$1
    shift
    status=0
    timeout 20 "$bin" "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    [ "$status" -eq "$expected" ] || complain "footbridge $*: status $status, not $expected"
    [ "$(wc -l <"$dir/err")" -eq 1 ] || complain "footbridge $*: not one line: $(cat "$dir/err")"
    [ ! -s "$dir/out" ] || complain "footbridge $*: wrote to standard output"
}

"$bin" --version | grep -q '^footbridge [0-9]' || complain "--version"
refused 2
refused 2 nonsense
refused 2 --nonsense
commands=$("$bin" --help | awk '/^  [a-z]/ { print $1 }')
[ -n "$commands" ] || complain "--help names no command"

for command in $commands; do
    "$bin" "$command" --help >"$dir/help" || complain "$command --help: status $?"
    grep -q "^Usage: footbridge $command" "$dir/help" || complain "$command --help: no usage"
    refused 2 "$command" --nonsense
    refused 2 "$command" -x
    refused 2 "$command" --config
    refused 1 "$command" --config "$dir/none"
    manual=man/footbridge-$command.1
    if [ ! -e "$manual" ]; then
        complain "$manual is missing"
        continue
    fi
    mandoc -T ascii "$manual" | col -b >"$dir/manual"
    sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' "$dir/help" | sort >"$dir/options"
    [ -s "$dir/options" ] || complain "$command --help shows no option"
    while read -r option; do
        grep -qE -e "--$option([^a-z0-9-]|$)" "$dir/manual" || complain "$manual lacks --$option"
    done <"$dir/options"
    sed -n 's/^ \{1,8\}--\([a-z0-9-]*\).*/\1/p' "$dir/manual" | sort -u | while read -r option; do
        grep -qx -e "$option" "$dir/options" || echo "$option"
    done >"$dir/extra"
    [ ! -s "$dir/extra" ] || complain "$manual has what --help lacks:" "$(cat "$dir/extra")"
done
exit $bad
