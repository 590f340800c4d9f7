#!/bin/sh
# Tries the drivers that analysts use, from PyPI, npm and Maven, on a kasi up of its own: make test-drivers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in python3 npm mvn java curl; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: the drivers' test needs Python 3, Node.js 20, Java 17 and Maven"; exit 1; }
done
dir=$(mktemp -d)
export CLICKHOUSE_HTTP="127.0.0.1:${DRIVERS_PORT:-28130}" KASI_ANALYST_PASSWORD=look-around
KASI_CLICKHOUSE_PASSWORD=kasi KASI_API_KEYS=demo=key1 "$here/../../bin/kasi" up --calendar manual --date 2025-11-01 \
	--data-dir "$dir/data" --http 127.0.0.1:28131 --kafka 127.0.0.1:28132 --clickhouse-http "$CLICKHOUSE_HTTP" \
	--clickhouse-native 127.0.0.1:28133 >"$dir/log" 2>&1 &
kasi=$!
trap 'kill $kasi; wait $kasi || true; rm -rf "$dir"' EXIT
tries=0
until curl -sf http://127.0.0.1:28131/readyz >/dev/null; do
	tries=$((tries + 1))
	[ $tries -lt 120 ] || { echo 'kasi does not get ready:'; tail -20 "$dir/log"; exit 1; }
	sleep 0.5
done
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check clickhouse-connect==1.12.0 pandas==3.1.1 sqlalchemy==2.0.58
"$dir/venv/bin/python" "$here/drivers.py"
npm install --prefix "$dir" --no-audit --no-fund --loglevel=error @clickhouse/client@1.23.1 >/dev/null
cp "$here/drivers.mjs" "$dir"
node "$dir/drivers.mjs" 2>"$dir/node.log" || { cat "$dir/node.log"; exit 1; } # the client logs the refusal that is wanted
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/jars"
java -cp "$dir/jars/*" "$here/Drivers.java"
echo 'the drivers work'
