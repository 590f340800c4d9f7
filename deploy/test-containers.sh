#!/usr/bin/env bash
# make test-containers: the tests of stages, sink, API and product on a Kafka and a ClickHouse in Docker. Arguments replace the packages.
set -euo pipefail

# Images of make test-images go before those that would have to be pulled. Where they are used, the reaper of testcontainers
# is not pulled either.
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
# The simulation is not among them: it is on its own network.
[ $# -gt 0 ] || set -- ./streams ./streams/stage ./streams/progress ./streams/calendar ./streams/commands \
  ./streams/kafkatest ./sinks/clickhouse ./sinks/clickhouse/chtest ./api ./cmd/kasi ./cmd/kasilab/internal/storm
go test -timeout 30m -p 1 "$@"
