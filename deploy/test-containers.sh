#!/usr/bin/env bash
# make test-containers: the tests of stages, sink and product on a Kafka and a ClickHouse in Docker. It fails where Docker is not to be had: a test
# that is left out shows nothing.
set -euo pipefail
command -v docker >/dev/null || {
  echo 'docker is missing: install Docker Engine 20.10 or later (https://docs.docker.com/engine/install; on Debian: apt-get install docker.io)' >&2
  exit 1
}
docker info >/dev/null 2>&1 || {
  echo 'Docker does not answer: start its daemon (systemctl start docker, or dockerd), and be root or in the group docker' >&2
  exit 1
}

# Images of make test-images go before those that would have to be pulled. Where they are used, the reaper of testcontainers is not pulled either.
use() { # VARIABLE our-image
  if [ -z "${!1:-}" ] && docker image inspect "$2" >/dev/null 2>&1; then
    export "$1=$2" TESTCONTAINERS_RYUK_DISABLED="${TESTCONTAINERS_RYUK_DISABLED:-true}"
  fi
  echo "$1=${!1:-the official image}"
}
use KASI_TEST_KAFKA_IMAGE kasi-kafka:test
use KASI_TEST_CLICKHOUSE_IMAGE kasi-clickhouse:test

export KASI_TEST_KAFKA=containers KASI_TEST_CLICKHOUSE=containers KASI_TEST_RUN="run-$$"
unset KASI_TEST_KAFKA_BROKERS KASI_TEST_CLICKHOUSE_ADDR
trap 'docker ps -aq --filter "label=kasi.test=$KASI_TEST_RUN" | xargs -r docker rm -f -v >/dev/null' EXIT
[ $# -gt 0 ] || set -- ./streams/... ./sinks/... ./cmd/kasi
go test -timeout 30m -p 1 "$@"
