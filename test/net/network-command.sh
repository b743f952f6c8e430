#!/bin/sh
# footbridge network: keys that are private and never overwritten, a document that gets newer, one
# clear line for everything that is wrong.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bin=${FB_BIN:-build/debug/footbridge}
bad=0
net=$dir/net

complain() {
    echo "network-command: $*"
    bad=1
}

# refused PATTERN ARGUMENT...: fails with one line that matches.
refused() {
    pattern=$1
    shift
    status=0
    "$bin" network "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    [ "$status" -ne 0 ] || complain "$*: not refused"
    [ "$(wc -l <"$dir/err")" -eq 1 ] || complain "$*: not one line: $(cat "$dir/err")"
    grep -q -e "$pattern" "$dir/err" || complain "$*: no '$pattern' in: $(cat "$dir/err")"
}

set -- --broker https://b.example/ --egress wss://e.example/v1/path
umask 0
"$bin" network new "$@" --stun s.example:3478 "$net" >"$dir/out"
for key in network broker-sealing broker-ticket egress link; do
    [ "$(stat -c %a "$net/$key.key")" = 600 ] || complain "$key.key: mode is not 600"
done
link=$(cat "$net/join-link")
grep -qF "$link" "$dir/out" || complain "new does not print the join link"
grep -q 'integrity="sha384-[A-Za-z0-9+/]\{64\}"' "$dir/out" || complain "new prints no snippet"
grep -qF 'src="https://b.example/widget-1.js"' "$dir/out" || complain "the snippet's address"
! grep -q "$(printf '\033')" "$dir/out" || complain "a QR code where there is no terminal"
! grep -rqF "$(sed 's/.*: //' "$net/network.key")" "$dir/out" || complain "new prints a key"

sums=$(cat "$net"/*.key | sha256sum)
refused 'exists already' new "$@" "$net"
[ "$sums" = "$(cat "$net"/*.key | sha256sum)" ] || complain "a second new changed a key"

"$bin" network sign "$net" --egress wss://e.example/v1/path --egress wss://f.example/v1/path \
    >"$dir/out"
grep -q '^Network document 2,' "$dir/out" || complain "sign does not raise the serial"
grep -q 'stun    s.example:3478' "$dir/out" || complain "sign forgets what it was not told"
[ "$(stat -c %a "$net/egress-2.key")" = 600 ] || complain "no key for the second egress"
[ "$link" = "$(cat "$net/join-link")" ] || complain "sign changed the join link"
"$bin" network show "$net" | grep -q 'f.example' || complain "show does not show"

refused 'http:// or https://' new --broker ftp://b --egress wss://e "$dir/x"
refused 'ws:// or wss://' new --broker https://b --egress https://e "$dir/x"
# Without TLS only where it is said that the network is on one machine.
plain='name an https:// or wss:// address, or give --local'
refused "http://b.example: .*$plain" new --broker http://b.example --egress wss://e "$dir/x"
refused "ws://e/p: .*$plain" new --broker https://b --egress ws://e/p "$dir/x"
refused "http://c: .*$plain" new --broker https://b --broker http://c --egress wss://e "$dir/x"
refused "http://b: .*$plain" sign --broker http://b "$net"
refused "ws://g: .*$plain" sign --egress wss://e --egress wss://f --egress ws://g "$net"
[ ! -e "$net/egress-3.key" ] || complain "a refused sign left a key"
"$bin" network show "$net" | grep -q '^Network document 2,' || complain "a refused sign signed"
"$bin" network new --local --broker http://127.0.0.1:1 --egress ws://127.0.0.1:1/p \
    "$dir/local" >"$dir/out"
"$bin" network sign "$dir/local" >"$dir/out" || complain "a local document is not signed again"
refused 'HOST:PORT' new "$@" --stun s.example "$dir/x"
refused 'at least one --broker' new "$dir/x"
[ ! -e "$dir/x" ] || complain "a refused new left a directory"
refused 'join-link: No such file' show "$dir/nowhere"
refused 'none of new, sign, show' make "$net"
refused "$dir/nowhere/y: No such file" new "$@" "$dir/nowhere/y"

chmod 640 "$net/network.key"
refused 'chmod 600' sign "$net"
chmod 600 "$net/network.key"
cp "$net/network.key" "$dir/kept"
cp "$net/broker-ticket.key" "$net/network.key"
refused 'not a footbridge network key' sign "$net"
rm "$net/network.key"
refused 'network.key: No such file' sign "$net"
cp "$dir/kept" "$net/network.key"
printf '\1' | dd of="$net/network.document" bs=1 seek=20 conv=notrunc 2>/dev/null
refused 'forged' show "$net"
sed -i 's/:A/:B/; t; s/:./:A/' "$net/join-link"
refused 'damaged' show "$net"
exit $bad
