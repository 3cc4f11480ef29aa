#!/usr/bin/env bash
# Runs h2spec against Caddy's HTTP/2 behind the listener wrapper slipway, over
# TLS and without, and fails if a case fails. The last line counts the cases.
#
#	GUARD=no test/h2spec/run.sh    without the wrapper, to compare
#
# The server reads a request's body before it answers. One that answers at once,
# as it may (RFC 9113 §8.1), races with h2spec's cases of a content-length that
# the body does not have: its answer may be there first.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v2.2.1+incompatible
port=${PORT:-18343} plain=$((${PORT:-18343} + 1))
wrappers='"listener_wrappers": [{"wrapper": "slipway"}],'
[ "${GUARD:-yes}" = yes ] || wrappers=

dir=$(mktemp -d)
server=
trap 'test -z "$server" || { kill "$server"; wait "$server"; } || true; rm -rf "$dir"' EXIT
GOBIN=$dir go install "github.com/summerwind/h2spec/cmd/h2spec@$version"
go build -o "$dir/slipway" ./cmd/slipway

routes='"automatic_https": {"disable": true}, '$wrappers'
		"routes": [{"handle": [{"handler": "static_response", "body": "hello {http.request.body}"}]}]'
cat > "$dir/config.json" <<END
{
	"admin": {"disabled": true, "config": {"persist": false}},
	"storage": {"module": "file_system", "root": "$dir/storage"},
	"logging": {"logs": {"default": {"level": "ERROR"}}},
	"apps": {
		"pki": {"certificate_authorities": {"local": {"install_trust": false}}},
		"tls": {
			"certificates": {"automate": ["localhost"]},
			"automation": {"policies": [{"issuers": [{"module": "internal"}]}]}
		},
		"http": {"servers": {
			"tls": {
				"listen": ["127.0.0.1:$port"], "protocols": ["h1", "h2"],
				"tls_connection_policies": [{"default_sni": "localhost"}], $routes
			},
			"plain": {"listen": ["127.0.0.1:$plain"], "protocols": ["h2c"], $routes}
		}}
	}
}
END
"$dir/slipway" run --config "$dir/config.json" 2> "$dir/log" &
server=$!

passed=0 failed=0 skipped=0
# suite NAME OPTIONS...: all cases in one way, once the server answers there.
suite() {
	local name=$1 counts
	shift
	for _ in {1..60}; do
		"$dir/h2spec" generic/1 "$@" -o 1 > /dev/null 2>&1 && break
		kill -0 "$server" || { cat "$dir/log"; exit 1; }
		sleep 0.5
	done
	"$dir/h2spec" "$@" -o 2 > "$dir/$name" 2>&1 || true
	counts=$(tail -n 1 "$dir/$name")
	if ! [[ $counts =~ ^([0-9]+)\ tests,\ ([0-9]+)\ passed,\ ([0-9]+)\ skipped,\ ([0-9]+)\ failed$ ]]; then
		cat "$dir/$name" "$dir/log"
		exit 1
	fi
	passed=$((passed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3])) failed=$((failed + BASH_REMATCH[4]))
	sed -n '/^Failures:/,$p' "$dir/$name"
	echo "h2spec $version, $name: $counts"
}
suite tls -t -k -h localhost -p "$port"
suite plain -h 127.0.0.1 -p "$plain"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
