# Everything a newcomer, a developer and CI need. `make help` lists it.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GOLANGCI    := bin/golangci-lint-v2.15.0
KAFKA_JARS  := deploy/kafka/jars/.checked
LIBCHDB     := deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
TEST_BASE   ?= kasi-base:test
CHROMIUM    := deploy/chromium/bin/chromium
STREAMS_PEER := cmd/kasilab/internal/bench/peer/target/streams-peer-1.jar
ARGS        ?=
KILLS       ?= 50
# The classic builder needs no plugin and asks no registry for a base that is here.
export DOCKER_BUILDKIT ?= 0

.DEFAULT_GOAL := help
.PHONY: help run real test test-kafka test-drivers test-client test-console test-alerts test-deploy compose drill bugs storm power \
	test-sink-kills replay test-containers docker-answers test-images kafka-jars kafka-checksums sim rounding histories backtest bench \
	bench-kafka bench-scale bench-million bench-analysts load build image setup lint fmt generate check-generated ci clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

run: build ## the demonstration month, November 2025, on the embedded engines (ARGS="--fresh" starts anew)
	@bin/kasi demo november $(ARGS)

real: build ## a month after the other over a real bank's transactions: make real FILE=transactions.csv.gz
	@test -n "$(FILE)" || { echo 'usage: make real FILE=path/to/transactions.csv.gz'; exit 2; }
	@bin/kasi demo real $(FILE) $(ARGS)

test: setup ## all tests: units, properties, and the six use cases from outside; then make test-kafka where Java and Maven are there
	@go test -timeout 20m ./...
	@$(MAKE) --no-print-directory test-console test-deploy
	@if command -v java >/dev/null && command -v mvn >/dev/null; then $(MAKE) --no-print-directory test-kafka; \
		else echo 'Java or Maven is missing: the tests ran on the embedded Kafka only'; fi

# Tests that do not depend on which Kafka it is. make drill is the backup's.
ANY_KAFKA := TestBackupDrill TestBacktest.* TestSQL.* TestScenario(Every|ResultsIn|Reason|Rails|ATenants|OneCall|OpenItems).* \
	TestWhateverIsAccepted.* TestLedger.* TestViews.* TestMigrate.* TestStates.* TestScan.*
SPACE := $(subst ,, )

test-kafka: setup $(KAFKA_JARS) ## the tests of stages, sink and product on a local Apache Kafka (three brokers where a test kills them)
	@echo 'the tests of stages, sink and product again, on a local Apache Kafka with $(or $(KASI_TEST_KAFKA_NODES),1) broker(s) ...'
	@go test -timeout 5m -tags java -run '^TestJava' ./streams/embedded
	@KASI_TEST_KAFKA=local go test -timeout 30m -p 2 -skip '^($(subst $(SPACE),|,$(strip $(ANY_KAFKA))))$$' \
		./cmd/kasilab/internal/storm ./cmd/kasi ./sinks/clickhouse ./streams ./streams/stage ./streams/progress \
		./streams/calendar ./streams/commands ./streams/kafkatest ./cmd/internal/connect # the longest first; two wait less than one

test-console: setup $(CHROMIUM) ## the console in a real Chromium, with axe (KASI_TEST_PICTURES=DIR keeps pictures of its pages)
	@echo 'the tests of the console, in a real Chromium ...'
	@go test -timeout 10m -tags chromium ./api/console

$(CHROMIUM): deploy/chromium/package-lock.json deploy/chromium/unpack.mjs
	@echo 'fetching a headless Chromium for the tests (70 MB, once) ...'
	@npm ci --prefix deploy/chromium --no-audit --no-fund --loglevel=error
	@node deploy/chromium/unpack.mjs
	@touch $@

test-deploy: build ## what is in deploy/: compose, the Helm chart, and the queries of dashboard and alerts over a month's metrics
	@cd cmd/internal/deploy && go test -mod=mod -timeout 10m .

compose: image ## all of it on real servers in Docker: Kafka, ClickHouse, each role, Prometheus, Grafana (ARGS="up -d", "down", "logs -f")
	@deploy/compose/secrets.sh
	@docker compose version >/dev/null 2>&1 || { echo 'docker compose is missing: install the plugin (docker-compose-plugin)'; exit 1; }
	@docker compose -f deploy/compose/compose.yaml $(or $(ARGS),up)

test-alerts: ## the alert rules, by Prometheus's own promtool
	@command -v promtool >/dev/null || { echo 'promtool is missing: it comes with Prometheus (Debian: apt-get install prometheus)'; exit 1; }
	@cd deploy/prometheus && promtool check rules alerts.yaml && promtool test rules alerts.test.yaml && promtool check config prometheus.yaml

bugs: setup ## plant each mistake of bugs.yaml and see a test catch it (BUG='sink-*' some, LIST=1 prints them)
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab bugs $(if $(BUG),--only '$(BUG)') $(if $(LIST),--list) $(ARGS)

test-sink-kills: setup ## the ClickHouse sink killed with kill -9 at each of its steps, 50 times each (KILLS=)
	@KASI_TEST_SINK_KILLS=$(KILLS) go test -timeout 30m -count 1 -v -run TestSinkKilledAtEachStep ./sinks/clickhouse

test-drivers: build ## the drivers that analysts use, from PyPI, npm and Maven, on a kasi of its own (2 minutes; fetches 100 MB)
	@deploy/drivers/test.sh

test-client: build ## a Python client generated from openapi.yaml runs the documented month on a kasi of its own (a minute; fetches 20 MB)
	@deploy/client/test.sh

drill: setup ## deploy/BACKUP.md, done: a running month is copied, destroyed and restored, and the books agree
	@go test -timeout 10m -count 1 -v -run '^TestBackupDrill$$' ./cmd/kasi
	@if [ -e $(KAFKA_JARS) ]; then KASI_TEST_KAFKA=local KASI_TEST_KAFKA_NODES=3 \
		go test -timeout 10m -count 1 -v -run '^TestBackupDrill$$' ./cmd/kasi; fi

replay: setup ## two months rebuilt twice from the logs alone: SHA-256 of reports, statements, exports and topics, the same each time
	@go test -timeout 10m -count 1 -v -run '^TestReplay$$' ./cmd/kasi

test-containers: docker-answers setup ## the same and the API on a Kafka and a ClickHouse in Docker (KASI_TEST_..._IMAGE)
	@deploy/test-containers.sh

docker-answers:
	@command -v docker >/dev/null || { echo 'docker is missing: install Docker Engine 20.10 or later:' \
		'https://docs.docker.com/engine/install; on Debian: apt-get install docker.io'; exit 1; }
	@docker info >/dev/null 2>&1 || { echo 'Docker does not answer: start its daemon' \
		'(systemctl start docker, or dockerd), and be root or in the group docker'; exit 1; }

test-images: docker-answers $(KAFKA_JARS) ## images for make test-containers where none can be pulled (TEST_BASE=a base with Java 17)
	@if [ $(TEST_BASE) = kasi-base:test ] && ! docker image inspect $(TEST_BASE) >/dev/null 2>&1; then \
		command -v mmdebstrap >/dev/null || { \
			echo 'mmdebstrap is missing: apt-get install mmdebstrap, or name a base with TEST_BASE'; exit 1; }; \
		mmdebstrap --quiet --variant=minbase --include=openjdk-17-jre-headless bookworm - | docker import - $(TEST_BASE); fi
	@$(MAKE) --no-print-directory image BASE=$(TEST_BASE)
	@docker build -q --build-arg BASE=kasi:latest -t kasi-clickhouse:test - < deploy/clickhouse/Dockerfile
	@docker build -q --build-arg BASE=$(TEST_BASE) -t kasi-kafka:test deploy/kafka

storm: build $(KAFKA_JARS) ## a month of 10,000 customers on Apache Kafka under 100 kill -9 and SIGSTOP, then the books (ARGS=--help)
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab storm $(ARGS)

power: build ## a month on kasi up under power cuts, on a disk that forgets what was not fsynced (ARGS=--help; Linux, root, /dev/fuse)
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab power $(ARGS)

kafka-jars: $(KAFKA_JARS) ## fetch Apache Kafka for the tests (once, 55 MB)

$(KAFKA_JARS): deploy/kafka/pom.xml deploy/kafka/SHA256SUMS
	@command -v java >/dev/null || { echo 'java is missing: install Java 17 or later, it runs Apache Kafka for the tests'; exit 1; }
	@command -v mvn >/dev/null || { echo 'mvn is missing: install Apache Maven 3.8 or later, it fetches Apache Kafka for the tests'; exit 1; }
	@echo 'fetching Apache Kafka (55 MB, once) ...'
	@rm -rf deploy/kafka/jars
	@mvn -q -B -C -f deploy/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/deploy/kafka/jars
	@cd deploy/kafka/jars && sha256sum --quiet --strict -c ../SHA256SUMS && test "$$(ls *.jar | wc -l)" = "$$(wc -l < ../SHA256SUMS)" \
		|| { echo 'the jars are not those of deploy/kafka/SHA256SUMS'; exit 1; }
	@touch $@

kafka-checksums: ## after a change of deploy/kafka/pom.xml: fetch the jars and write SHA256SUMS anew
	@rm -rf deploy/kafka/jars
	@mvn -q -B -C -f deploy/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/deploy/kafka/jars
	@cd deploy/kafka/jars && LC_ALL=C sha256sum *.jar > ../SHA256SUMS

SEED ?= 1
N    ?= 200

sim: ## the stages on virtual time, faults from a seed: make sim SEED=1 N=200; a seed that fails does so again, to the last byte
	@sh streams/sim/overlay.sh bin/_sim-overlay
	@go test -overlay bin/_sim-overlay/overlay.json -c -o bin/sim.test ./streams/sim \
		|| { echo 'the dice of this Go version cannot be loaded: see streams/sim/overlay.sh'; exit 1; }
	@KASI_SIM_EXACT=1 bin/sim.test -test.timeout 0 -test.run '^(TestReplay|TestSeeds)$$' -seed $(SEED) -n $(N) $(ARGS)

rounding: ## a statement's figures over random amounts against exact fractions: make rounding N=1000000
	@go test ./processors/settlement -run '^TestFiguresAreExactFractionsRounded$$' -rapid.checks=$(N) -rapid.nofailfile

histories: ## random lives of customers against the model of the rules: make histories N=1000000 SEED=1
	@go test -c -o bin/processors.test ./processors
	@began=$$(date +%s); each=$$(( $(N) < 20000 ? ($(N) + 1) / 2 : 10000 )); of=$$(( ($(N) + each - 1) / each )); \
	cd processors; seq 1 $$of | xargs -P 2 -I{} sh -c 'seed=$$(( $(SEED) * 1000000 + {} )); \
		GOMAXPROCS=1 GOGC=800 ../bin/processors.test -test.timeout 0 -test.run "^TestAnyHistory$$" \
			-rapid.nofailfile -rapid.checks='$$each' -rapid.seed=$$seed > ../bin/histories.$$seed 2>&1 \
			|| { cat ../bin/histories.$$seed; \
				echo "again: cd processors && go test -run TestAnyHistory -rapid.checks='$$each' -rapid.seed=$$seed"; exit 255; }; \
		rm ../bin/histories.$$seed; now=$$(( $$(date +%s) - '$$began' )); \
		echo "stretch {} of '$$of' ('$$each' histories each), $$now s, seed $$seed"'; \
	took=$$(( $$(date +%s) - began )); \
	echo "$$(( each * of )) histories in $$took s, $$(( each * of / (took > 0 ? took : 1) )) histories/s, seed $(SEED)"

backtest: ## ways to collect beside each other on simulated households; draws bin/frontier.svg (ARGS="--transactions FILE")
	@go build -trimpath -o bin/kasi ./cmd/kasi
	@bin/kasi backtest --plot bin/frontier.svg $(ARGS)

bench: setup ## benchmarks, each beside its peer or its limit
	@go test -run '^$$' -bench . -benchmem ./...

bench-kafka: bench-built ## one table on Apache Kafka: collect, sink and latency, each beside its peer (12 minutes)
	@bin/kasilab bench collect sink latency $(ARGS)

bench-scale: bench-built ## restore of a million customers, one of three instances dying, throughput by partitions (10 minutes)
	@bin/kasilab bench restore failover partitions $(ARGS)

bench-million: build ## a million policies on the embedded engines: import, execution, days, memory (5 minutes; ARGS="--policies N")
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab bench million $(ARGS)

bench-analysts: build ## the analysts' questions over six months of a million policies, in seconds (15 minutes; ARGS="--policies N")
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab bench analysts $(ARGS)

load: build ## requests a second and their 99th percentile of reads, updates and imports, beside a bare handler (4 minutes)
	@go build -trimpath -o bin/kasilab ./cmd/kasilab
	@bin/kasilab bench load $(ARGS)

.PHONY: bench-built
bench-built: build $(KAFKA_JARS) $(STREAMS_PEER)
	@go build -trimpath -o bin/kasilab ./cmd/kasilab

$(STREAMS_PEER): cmd/kasilab/internal/bench/peer/pom.xml cmd/kasilab/internal/bench/peer/src/main/java/Collect.java
	@echo 'building the Kafka Streams program (fetches Kafka Streams, 25 MB, once) ...'
	@mvn -q -B -C -f cmd/kasilab/internal/bench/peer/pom.xml package
	@touch $@

build: setup ## build bin/kasi
	@go build -trimpath -o bin/kasi ./cmd/kasi

image: docker-answers setup ## build the product's Docker image, kasi:latest (BASE=debian:bookworm-slim or another with glibc)
	@mkdir -p bin/image
	@CGO_ENABLED=0 go build -trimpath -o bin/image/kasi ./cmd/kasi
	@cp --reflink=auto $(LIBCHDB) bin/image/libchdb.so
	@docker build -q $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg COMMIT=$$(git rev-parse HEAD) -f deploy/Dockerfile \
		-t kasi:latest bin/image

setup: $(LIBCHDB) ## fetch what the embedded ClickHouse needs (once)

$(LIBCHDB): deploy/chdb/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or later (https://nodejs.org),' \
		'it fetches the embedded ClickHouse'; exit 1; }
	@command -v go >/dev/null || { echo 'go is missing: install Go 1.26 or later (https://go.dev/dl)'; exit 1; }
	@echo 'fetching the embedded ClickHouse (libchdb, 180 MB, once) ...'
	@npm ci --prefix deploy/chdb --no-audit --no-fund --loglevel=error
	@touch $@

lint: $(GOLANGCI) ## vet and lint
	@go vet ./...
	@$(GOLANGCI) run ./...

$(GOLANGCI):
	@echo 'building golangci-lint (once, about two minutes) ...'
	@GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv bin/golangci-lint $@

fmt: $(GOLANGCI) ## format the code
	@$(GOLANGCI) fmt ./...

generate: ## write the generated files anew
	@go generate ./...

check-generated: generate ## fail when a generated file is not what its source says
	@git diff --exit-code -- api schemas/json schemas/DICTIONARY.md ':(glob)**/*.gen.go' \
		|| { echo 'generated files differ: run make generate and commit'; exit 1; }

ci: lint check-generated test ## what CI runs

clean: ## remove what was built and the demonstration's data
	@rm -rf bin .kasi
