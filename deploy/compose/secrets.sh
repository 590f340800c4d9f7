#!/usr/bin/env bash
# Makes .env with passwords and secrets at random, once: nobody but its owner reads it. `docker compose` reads it by itself.
set -euo pipefail
cd "$(dirname "$0")"
[ ! -e .env ] || exit 0
word() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }
umask 077
cat >.env.new <<EOF
KAFKA_CLUSTER_ID=k$(head -c 15 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-20)A
KASI_CLICKHOUSE_PASSWORD=$(word)
KASI_ANALYST_PASSWORD=$(word)
KASI_WEBHOOKS_SECRET=$(word)
KASI_CONSOLE_SECRET=$(word)
GRAFANA_PASSWORD=$(word)
KASI_API_KEYS=demo=$(word)
EOF
mv .env.new .env
echo "made $PWD/.env: the API key of tenant demo is in KASI_API_KEYS, Grafana's password of user admin in GRAFANA_PASSWORD"
