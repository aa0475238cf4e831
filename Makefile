# Everything that a new machine needs is installed by the targets that need it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
# One package at a time: several clusters of real processes beside each other
# would starve each other on a small machine.
GO_TEST := go test -p 1 -timeout 45m

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/rookery
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/rookery ./cmd/rookery

.PHONY: run
run: postgres build ## install what is missing, build and start the server on 127.0.0.1:3000
	@exec bin/rookery serve

.PHONY: test
test: postgres redis node ffmpeg versitygw chromium build ## install what is missing and run every test
	$(GO_TEST) ./...

.PHONY: check
check: ## format, vet, lint and the quick tests, before every commit
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(GOLANGCI) run
	go test -short -timeout 5m ./protocol/... ./actors/rules/... ./actors/turn/...

.PHONY: fuzz
fuzz: ## fuzz every decoder for 20 seconds each
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 20s $$p || exit 1; done; done

.PHONY: soak
soak: postgres redis node chromium build ## the fault and load tests at full length
	ROOKERY_SOAK=1 go test -timeout 90m -count=1 -v ./cmd/rookery -run 'Test(Kill|Outage|Cluster|Slow|Bad|RightsEnd|Conversations|Resume)'

.PHONY: bench
bench: postgres build ## benchmarks: ratios within one run
	go build -o bin/bench ./cmd/bench
	bin/bench all --rookery bin/rookery

# What is missing is installed with apt-get where there is one; elsewhere a line
# says what to install.
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
define need
	@command -v $(1) >/dev/null || ls $(2) >/dev/null 2>&1 || { \
		command -v apt-get >/dev/null || { echo "please install $(3)"; exit 1; }; \
		echo "installing $(3)"; $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(3) >/dev/null; }
endef

.PHONY: postgres redis node chromium
postgres:
	$(call need,initdb,/usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb,postgresql)
redis:
	$(call need,redis-server,/usr/bin/redis-server,redis-server)
.PHONY: ffmpeg versitygw
ffmpeg: ## for the tests of thumbnails
	$(call need,ffmpeg,/usr/bin/ffmpeg,ffmpeg)
versitygw: bin/versitygw ## an S3 server for the tests of files in buckets
bin/versitygw: persistence/testdata/versitygw/go.mod
	cd persistence/testdata/versitygw && go build -o $(CURDIR)/$@ github.com/versity/versitygw/cmd/versitygw
	@touch $@
chromium:
	$(call need,chromium,/usr/bin/chromium,chromium)
node: cmd/rookery/testdata/client/node_modules
	$(call need,node,/usr/bin/node,nodejs npm)

cmd/rookery/testdata/client/node_modules: cmd/rookery/testdata/client/package-lock.json
	$(call need,npm,/usr/bin/npm,nodejs npm)
	cd cmd/rookery/testdata/client && npm ci --no-audit --no-fund --silent
	@touch $@
