#!/bin/sh
# footbridge demo as a newcomer meets it: the tour to its end, ports, interruptions, machines without
# a network, without a browser. Chromium is the visitor.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bin=${FB_BIN:-build/debug/footbridge}
bad=0
export TMPDIR="$dir"
unset DISPLAY WAYLAND_DISPLAY

complain() {
    echo "demo: $*"
    bad=1
}

# wait_for PATTERN FILE PID: until the file has it, the process is gone, or a minute has passed.
wait_for() {
    timeout 60 tail -n +1 -f --pid="$3" "$2" 2>/dev/null | grep -q -m 1 -e "$1" && return
    complain "no '$1' in: $(cat "$2")"
    return 1
}

# What a run must not leave behind: browsers (their profile is in their command line), directories.
check_gone() {
    for left in "$dir"/*hrom* "$dir"/footbridge-*; do
        [ ! -e "$left" ] || complain "$1: $left is left"
    done
    ! pgrep -f "user-data-dir=$dir" >/dev/null || complain "$1: a browser is left"
}

command -v chromium >/dev/null || { echo "no chromium here"; exit 77; }

# Ports that are taken: by default others are used, those asked for are named.
"$bin" demo >"$dir/first" 2>&1 &
first=$!
wait_for '^join: ' "$dir/first" $first || :
taken=$(sed -n 's/^proxy: *.*:\([0-9]*\)$/\1/p' "$dir/first")
status=0
"$bin" demo --proxy-port "$taken" >/dev/null 2>"$dir/err" || status=$?
[ $status -eq 1 ] || complain "a taken port: status $status"
[ "$(cat "$dir/err")" = "footbridge demo: --proxy-port $taken: this port is in use" ] ||
    complain "a taken port: $(cat "$dir/err")"

# The tour, beside the first demo, hence on other ports.
timeout 240 "$bin" demo --once >"$dir/out" 2>&1 || complain "--once: $(cat "$dir/out")"
for step in 'asking the broker for a volunteer' 'the switch is on' 'volunteer found' \
    'ICE connected' 'DTLS done' 'egress attached' 'ready' 'page: [0-9]* bytes' \
    'file: 50.0 MB in .* Mbit/s' 'SHA-256 matches: [0-9a-f]\{64\}' 'route: '; do
    grep -q -e "$step" "$dir/out" || complain "no '$step' in: $(cat "$dir/out")"
done
! grep -q "^proxy:.*:$taken$" "$dir/out" || complain "a taken port was used"
kill -TERM $first
wait $first || complain "SIGTERM: status $?"
check_gone "the tour"

# Interrupted in the midst of the download.
"$bin" demo --auto >"$dir/out" 2>&1 &
demo=$!
wait_for 'page: ' "$dir/out" $demo || :
kill -INT $demo
wait $demo || complain "SIGINT in mid-download: status $?, $(cat "$dir/out")"
check_gone "SIGINT"

# The browser dies in the midst: one line says so.
"$bin" demo --once >"$dir/out" 2>"$dir/err" &
demo=$!
wait_for 'the switch is on' "$dir/out" $demo || :
kill -KILL "$(pgrep -o -f "remote-debugging-pipe.*user-data-dir=$dir")"
status=0
wait $demo || status=$?
[ $status -eq 1 ] || complain "the browser is killed: status $status, $(cat "$dir/out")"
[ "$(wc -l <"$dir/err")" -eq 1 ] || complain "the browser is killed: $(cat "$dir/err")"
grep -q 'the browser ended by itself' "$dir/err" || complain "the browser is killed: $(cat "$dir/err")"
check_gone "a killed browser"

# Without a browser there is one line that says so.
status=0
PATH=/nonexistent "$(command -v "$bin")" demo --once >"$dir/out" 2>"$dir/err" || status=$?
[ $status -eq 1 ] || complain "no browser: status $status"
[ "$(cat "$dir/err")" = "footbridge demo: headless Chromium: no Chromium is installed" ] ||
    complain "no browser: $(cat "$dir/err")"

# A machine with nothing but loopback, no IPv6, and a small /dev/shm.
if unshare -n -m true 2>/dev/null; then
    # shellcheck disable=SC2016 # expanded inside
    timeout 240 unshare -n -m sh -c '
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
        mount -t tmpfs -o size=1m tmpfs /dev/shm
        ip link set lo up
        exec "$0" demo --once' "$bin" >"$dir/out" 2>&1 || complain "loopback only: $(cat "$dir/out")"
    grep -q 'no network interface but loopback' "$dir/out" || complain "loopback goes unsaid"
fi
exit $bad
