#!/bin/sh
# Generates a Python client from the document that a kasi up of its own serves, and lets it run the documented month:
# make test-client.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in python3 curl; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: the client's test needs Python 3.10 or later and curl"; exit 1; }
done
dir=$(mktemp -d)
port=${CLIENT_PORT:-28140}
export KASI="$here/../../bin/kasi" KASI_API="http://127.0.0.1:$port" KASI_KAFKA="127.0.0.1:$((port + 1))" KASI_API_KEY=key1
KASI_CLICKHOUSE_PASSWORD=kasi KASI_API_KEYS=demo=key1 "$KASI" up --calendar manual --date 2025-11-01 --data-dir "$dir/data" \
	--http "${KASI_API#http://}" --kafka "$KASI_KAFKA" --clickhouse-http "127.0.0.1:$((port + 2))" \
	--clickhouse-native "127.0.0.1:$((port + 3))" --updates-per-minute 0 >"$dir/log" 2>&1 &
kasi=$!
trap 'kill $kasi; wait $kasi || true; rm -rf "$dir"' EXIT
tries=0
until curl -sf "$KASI_API/readyz" >/dev/null; do
	tries=$((tries + 1))
	[ $tries -lt 240 ] || { echo 'kasi does not get ready:'; tail -20 "$dir/log"; exit 1; }
	sleep 0.5
done
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check openapi-python-client==0.29.1
(cd "$dir" && PATH="$dir/venv/bin:$PATH" openapi-python-client generate --url "$KASI_API/v1/openapi.json" --meta none \
	--output-path kasi_client >generated.log 2>&1) || { cat "$dir/generated.log"; exit 1; }
PYTHONPATH="$dir" "$dir/venv/bin/python" "$here/month.py"
echo 'the generated client works'
