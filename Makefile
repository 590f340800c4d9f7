# Everything a newcomer, a developer and CI need. `make help` lists it.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GOLANGCI    := bin/golangci-lint-v2.15.0
LIBCHDB     := deploy/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
ARGS        ?=

.DEFAULT_GOAL := help
.PHONY: help setup build run real test bench lint generate check-generated fmt ci clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

run: build ## the demonstration month, November 2025, on the embedded engines (ARGS="--fresh" starts anew)
	@bin/kasi demo november $(ARGS)

real: build ## a month after the other over a real bank's transactions: make real FILE=transactions.csv.gz
	@test -n "$(FILE)" || { echo 'usage: make real FILE=path/to/transactions.csv.gz'; exit 2; }
	@bin/kasi demo real $(FILE) $(ARGS)

test: setup ## all tests: units, properties, and the six use cases from outside
	@go test -timeout 20m ./...

bench: setup ## benchmarks, each beside its peer or its limit
	@go test -run '^$$' -bench . -benchmem ./...

build: setup ## build bin/kasi
	@go build -trimpath -o bin/kasi ./cmd/kasi

setup: $(LIBCHDB) ## fetch what the embedded ClickHouse needs (once)

$(LIBCHDB): deploy/chdb/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or later (https://nodejs.org), it fetches the embedded ClickHouse'; exit 1; }
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
	@git diff --exit-code -- api ':(glob)**/*.gen.go' || { echo 'generated files differ: run make generate and commit'; exit 1; }

ci: lint check-generated test ## what CI runs

clean: ## remove what was built and the demonstration's data
	@rm -rf bin .kasi
