GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT ?= $(shell command -v golangci-lint || echo go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))

.DEFAULT_GOAL := help
.PHONY: help build image test lint bench e2e cluster ci

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## One static binary, ./slipway
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(or $(VERSION),dev)" -o slipway ./cmd/slipway

image: build ## A container image of ./slipway, without Docker: dist/slipway.tar; TAG=REFERENCE names it
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o dist/slipway-pod ./cmd/slipway-pod
	go run ./deploy/image/slipway -tag $(or $(TAG),localhost/slipway:dev) -o dist/slipway.tar ./slipway dist/slipway-pod

test: ## Every test that needs nothing but Go; RACE=1: with the race detector (needs a C compiler)
	go test $(if $(RACE),-race) ./...

lint: ## golangci-lint, with .golangci.yml
	$(GOLANGCI_LINT) run ./...
	cd controlplane/identity/oidctest/engine && $(GOLANGCI_LINT) run ./...

bench: ## Benchmarks, with allocations; those of the real binary beside Caddy too
	go test -run '^$$' -bench . -benchmem ./...

e2e: ## The tests of the real binary, those of Python apps too (needs python3, chromium, curl); SOAK=1: faults and silence, two hours
ifdef SOAK
	SLIPWAY_SOAK=1 go test -count=1 -timeout 3h -v ./test/faults
	SLIPWAY_SOAK=1 go test -count=1 -timeout 1h -v -run TestSoak ./caddymodule
else
	SLIPWAY_E2E=all go test -count=1 -p 1 -timeout 20m ./test/...
endif

cluster: ## The tests on a real Kubernetes, which it brings up, and takes down where they pass (needs root and Debian)
	test/cluster/up
	CGO_ENABLED=0 $(MAKE) image TAG=slipway.test/slipway:chart
	CGO_ENABLED=0 SLIPWAY_E2E=all SLIPWAY_FAULTS=all SLIPWAY_BINARY=$(CURDIR)/slipway SLIPWAY_IMAGE=$(CURDIR)/dist/slipway.tar \
		go test -count=1 -p 1 -timeout 30m -exec $(CURDIR)/test/cluster/run $(addprefix ./test/cluster/,objects launcher journey chart)
	test/cluster/down

ci: build lint test e2e ## What a change must pass
