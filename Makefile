# One command to see Cordon work: make dev. One to check all of it: make test.
SHELL := /bin/bash
export CGO_ENABLED ?= 0
# What libraries leave of keys on stack and heap is erased (resolver/match/locked): Go 1.26 has that as an experiment.
export GOEXPERIMENT ?= runtimesecret
GO ?= go
FUZZTIME ?= 60s
# Of one package's tests: whole stories take five minutes on two quick processors, and Go's own bound is ten.
TEST_TIMEOUT ?= 20m
DEV_DIR ?= dev
N ?= 1000000
COMMANDS := cordon cordon-hotline cordon-audit

.PHONY: lies help build pkcs11 dev deps test race lint fuzz bench soak bench-dns bench-lists bench-audit bench-lists-10m check e2e clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## the three commands, static, into bin/
	@mkdir -p bin
	@# without the stamp of the version control, a build from an archive of the source is the same as one from a clone
	$(GO) build -trimpath -buildvcs=false -o bin/ $(addprefix ./cmd/,$(COMMANDS))

repro: ## build twice from clean copies of HEAD and compare byte for byte; prints the digests for cordon-audit verify --builds
	@tools/repro

pkcs11: ## the officers' helper for keys in PKCS#11 tokens, into bin/: a program of its own, because it loads C code (needs gcc)
	@mkdir -p bin
	CGO_ENABLED=1 $(GO) build -C cmd/cordon-pkcs11 -trimpath -o $(CURDIR)/bin/ .

dev: build ## the whole picture on loopback: hotline, three control nodes, an edge, stop pages
	@mkdir -p $(DEV_DIR)
	bin/cordon dev --dir $(DEV_DIR)

deps: ## what the tests need beyond Go and gcc, from Debian: other people's DNS clients and servers, curl, Chromium, swtpm, SoftHSM
	@tools/deps

test: deps build ## everything: vet, all tests, the end-to-end stories
	$(GO) vet ./...
	$(GO) test -timeout $(TEST_TIMEOUT) ./...

race: ## all tests under the race detector (needs gcc), but for whole stories and the soak, whose processes are built without it
	CGO_ENABLED=1 $(GO) test -race -timeout $(TEST_TIMEOUT) $$($(GO) list ./... | grep -v -e /e2e -e /soak)

lint: ## gofmt and staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run: gofmt -w ."; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	CGO_ENABLED=1 $(GO) -C cmd/cordon-pkcs11 vet ./...

fuzz: ## every fuzz target for FUZZTIME (60s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; done; done

bench: ## benchmarks of the hot code, 0 allocations expected
	$(GO) test -run '^$$' -bench . -benchmem ./resolver/...

NAMES ?= 1000000
PEERS ?= ../shared/peers/run.sh
bench-dns: build ## the shipped edge with NAMES=1000000 signed names beside other DNS servers, by the bench PEERS; root, Debian 12; into bench/results
	$(GO) build -trimpath -buildvcs=false -o bin/ ./cmd/cordon-bench
	bin/cordon-bench dns --bin bin --peers $(PEERS) --names $(NAMES) --results bench/results $(if $(ONLY),--only $(ONLY)) $(if $(UPDATE),--update)

SOAK ?= --time 1h
soak: build ## an edge under load for an hour while its list changes every ten seconds (SOAK="--time 1m --rate 20000"); make test has a minute of it
	$(GO) build -trimpath -buildvcs=false -o bin/ ./cmd/cordon-bench
	bin/cordon-bench soak --bin bin $(SOAK)

bench-lists: build ## a list's whole way at N=1000000 entries: table of figures and targets, into bench/results
	$(GO) build -trimpath -o bin/ ./cmd/cordon-bench
	bin/cordon-bench lists --entries $(N) --bin bin --results bench/results

bench-audit: build ## an auditor's year: 100,000 leaves, 1,000 versions, a newest list of a million entries; minutes, 3 GB
	$(GO) test ./cluster/audit -run '^$$' -bench Year -benchtime 1x -timeout 60m -args -year.versions 1000 -year.leaves 100000 -year.entries 1000000 -year.whole 6 -year.tool $(CURDIR)/bin/cordon-audit

bench-lists-10m: ## the same at 10 million entries: about 10 minutes and 18 GB of disk in TMPDIR
	$(MAKE) bench-lists N=10000000

e2e: build ## only the whole stories, with real processes
	$(GO) test -count=1 -v -timeout $(TEST_TIMEOUT) ./appliance/e2e/...

lies: ## what cordon-audit says of every lie we know how to tell, and of honest histories: the table
	@table=$$(mktemp); CORDON_LIES_TABLE=$$table $(GO) test -count=1 -timeout $(TEST_TIMEOUT) -run '^Test(TheProgramNamesEveryLie|LiesToldByLiveProcesses|HonestHistoriesOfLiveProcesses)$$' ./appliance/e2e; code=$$?; cat $$table; rm -f $$table; exit $$code

check: lint test race ## what a change should pass before it is pushed

clean: ## remove what make dev and make build wrote
	rm -rf bin dist $(DEV_DIR)
