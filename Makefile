# Everything here needs Go, git and make; what else it takes is installed or built into .cache.

CACHE   := $(CURDIR)/.cache
TOOLS   := $(CACHE)/tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0
WORKFLOWCHECK := $(TOOLS)/workflowcheck-v0.6.0

# A comma ends an argument of make's functions.
COMMA := ,

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/worker, bin/starter and bin/local
	@echo "building bin/worker and bin/starter"
	@$(call ticking,bin/worker and bin/starter,go build -ldflags '-X main.version=$(VERSION)' -o bin/ ./worker ./starter)
	@echo "building bin/local (Temporal with its Web UI is in it: minutes the first time)"
	@cd deployments/local && $(call ticking,bin/local,go build -o ../../bin/local .)

.PHONY: demo
demo: build ## the main job on a local stack; ONCE=1 checks each step and ends
	@bin/local demo $(if $(ONCE),--once) --cache-dir $(CACHE) --bin-dir bin

.PHONY: test
test: build ## all tests, on real API servers, Git and Temporal
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || echo "no Chromium here: the test of the Web UI will be skipped"
	go test -timeout 40m ./...
	cd deployments/local && go test -timeout 40m ./...

.PHONY: screenshots
screenshots: build ## pictures of the Web UI for the README, from its test (needs Chromium)
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	go test -count 1 -run TheWebUI ./internal/e2e -screenshots $(CURDIR)/docs/images

.PHONY: soak
soak: build ## what goes on for long: ten minutes of a busy cluster, a minute of broken watches
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	ACS_SOAK=1 go test -count 1 -v -timeout 30m -run 'Silence|BreaksEverySecond' ./internal/e2e ./internal/kube

.PHONY: chaos
chaos: build ## half an hour in which everything is killed at random; DURATION=5m for another time
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	ACS_CHAOS=$(or $(DURATION),30m) go test -count 1 -v -timeout 24h -run Chaos ./internal/chaos

.PHONY: race
race: build ## the tests of the product with the race detector (needs a C compiler)
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	CGO_ENABLED=1 go test -race -timeout 30m ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) $(WORKFLOWCHECK) ## formatting, golangci-lint and Temporal's workflowcheck
	$(GOLANGCI_LINT) run ./...
	cd deployments/local && $(GOLANGCI_LINT) run ./...
	$(WORKFLOWCHECK) ./workflows/...

.PHONY: bench
bench: build ## the product against kubectl and git, into docs/bench; BENCH_LARGE=1 adds 100,000 objects, FLEET=0 leaves 200 clusters out
	@bin/local bench --sizes 1000,10000$(if $(BENCH_LARGE),$(COMMA)100000) --fleet $(or $(FLEET),200) --cache-dir $(CACHE) --bin-dir bin --out docs/bench

.PHONY: bench-parts
bench-parts: build ## Go benchmarks of the parts that a tick is made of
	@bin/local assets --cache-dir $(CACHE) >/dev/null
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...

# Tools are built with the Go of this machine, once per version.
$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
$(WORKFLOWCHECK):
	$(call install,go.temporal.io/sdk/contrib/tools/workflowcheck)

# ticking runs a command, $(2), and says every 15 s that $(1) is still being built.
ticking = { (n=0; while sleep 15 >/dev/null 2>&1; do n=$$((n+15)); echo "  still building $(1), $$n s"; done) & \
	ticker=$$!; $(2); status=$$?; kill $$ticker; exit $$status; }

# install builds the command of a package into the target's path, whose name ends in the version.
define install
	@echo "building $(notdir $@)"
	@mkdir -p $(TOOLS) && $(call ticking,$(notdir $@),GOBIN=$@.d go install $(1)@$(lastword $(subst -v, v,$(notdir $@))))
	@mv $@.d/$(notdir $(1)) $@ && rmdir $@.d
endef
