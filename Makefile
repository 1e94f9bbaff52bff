# make help lists the targets. bin/ holds what is built, .dev/ what runs.
SHELL := bash
.ONESHELL:
.DEFAULT_GOAL := help
.SHELLFLAGS := -eo pipefail -c

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Without symbols: a panic still names functions and lines.
LDFLAGS := -s -w -X github.com/porter-dev/audit-operator/internal/version.Version=$(VERSION)
# The embedded store needs cgo, and so the C++ compiler of the architecture that
# is built for (on Debian: crossbuild-essential-arm64).
export CGO_ENABLED := 1
HOSTARCH := $(shell go env GOHOSTARCH)
ARCH ?= $(HOSTARCH)
CROSS_amd64 := x86_64-linux-gnu
CROSS_arm64 := aarch64-linux-gnu
CROSS := $(if $(filter-out $(HOSTARCH),$(ARCH)),CC=$(CROSS_$(ARCH))-gcc CXX=$(CROSS_$(ARCH))-g++)
BINARY ?= bin/manager

##@ Run

.PHONY: demo
demo: needs ## Show the main job on a real apiserver; ONCE=1 checks the results and ends; STORE=postgres has two replicas over PostgreSQL.
	$(if $(filter postgres,$(STORE)),postgres=$$(hack/postgres.sh); export POSTGRES_BIN=$$postgres)
	go run ./hack/devenv demo $(if $(STORE),-store=$(STORE)) $(if $(ONCE),-once)

.PHONY: dev-up
dev-up: needs ## Start the control plane and the operator in the background (.dev/kubeconfig).
	go run ./hack/devenv up

.PHONY: dev-down
dev-down: ## Stop what dev-up started.
	go run ./hack/devenv down

.PHONY: kubectl-path
kubectl-path: ## Print the command that puts the dev environment's kubectl on PATH.
	@echo "export PATH=$$(hack/controlplane.sh):\$$PATH KUBECONFIG=$(CURDIR)/.dev/kubeconfig"

.PHONY: undeploy
undeploy: ## Say what removing the operator from kubectl's cluster takes away; CONFIRM=yes does it, KEEP_DATA=yes leaves the volume.
	@hack/undeploy.sh

##@ Build

.PHONY: build
build: needs ## Build bin/manager; ARCH=arm64 or amd64 builds for another machine.
	$(CROSS) GOARCH=$(ARCH) go build -trimpath -ldflags '$(LDFLAGS)' -o $(BINARY) .

.PHONY: release
release: needs bin/cyclonedx-gomod ## Write dist/: install.yaml for IMAGE=, binaries, SBOMs and checksums of VERSION=.
	hack/release.sh "$(VERSION)" "$(IMAGE)" "$(or $(DIST),dist)"

.PHONY: generate
generate: bin/controller-gen ## Write deepcopy code, CRDs and RBAC from the Go types and markers.
	bin/controller-gen object paths=./api/...
	bin/controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	bin/controller-gen rbac:roleName=audit-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
	bin/controller-gen rbac:roleName=audit-operator-leader paths=./internal/manager/... output:rbac:artifacts:config=config/overlays/postgres

##@ Check

.PHONY: test
test: needs ## Run the whole test suite, with what it needs installed.
	assets=$$(hack/controlplane.sh)
	hack/controlplane.sh sample-apiserver >/dev/null
	promtool=$$(hack/promtool.sh)
	provider=$$(hack/oidcprovider.sh)
	hack/chromium.sh
	axe=$$(hack/axe.sh)
	hack/fuse.sh
	postgres=$$(hack/postgres.sh)
	export PATH=$$promtool:$$provider:$$PATH KUBEBUILDER_ASSETS=$$assets POSTGRES_BIN=$$postgres AXE=$$axe
	go test -race -timeout 25m $(ARGS) $(or $(PKG),$$(go list ./... | grep -v /hack/torture$$))
	# By itself and at full speed: it needs a load, and no other tests' load beside it.
	$(if $(PKG),,go test -timeout 25m $(ARGS) ./hack/torture)

.PHONY: verify
verify: needs bin/controller-gen bin/golangci-lint ## Check generated code, formatting, lint, import direction and go.mod.
	hack/verify.sh

.PHONY: lint
lint: bin/golangci-lint ## Run the linters alone.
	bin/golangci-lint run

.PHONY: bench
bench: needs ## Run the benchmarks, those of queries over EVENTS events (default 2,000,000).
	postgres=$$(hack/postgres.sh)
	export POSTGRES_BIN=$$postgres
	go test -run '^$$' -bench . -benchmem ./internal/audit ./internal/collector/...
	go test -p 1 -run '^$$' -bench 'Append|Reference' -benchtime 300x ./internal/store/embedded ./internal/store/postgres
	go test -run '^$$' -bench Starvation -benchtime 1x -timeout 20m -v ./internal/admission -events=$(EVENTS)
	go test -p 1 -run '^$$' -bench Queries -benchtime 30x -timeout 90m -v ./internal/store/embedded ./internal/store/postgres -events=$(EVENTS)
	assets=$$(hack/controlplane.sh)
	KUBEBUILDER_ASSETS=$$assets go test -run '^$$' -bench Pages -benchtime 40x -timeout 60m -v ./internal/browsertest/journeys -events=$(EVENTS)
	go test -run '^$$' -bench . -benchtime 1x -timeout 60m -v ./hack/bench -events=$(EVENTS)
EVENTS ?= 2000000

.PHONY: lighthouse
lighthouse: needs ## Have Lighthouse score the pages; the reports land in artifacts/lighthouse.
	assets=$$(hack/controlplane.sh)
	hack/chromium.sh
	lighthouse=$$(hack/lighthouse.sh)
	KUBEBUILDER_ASSETS=$$assets LIGHTHOUSE=$$lighthouse go test -run '^$$' -bench Lighthouse -benchtime 1x -timeout 30m -v ./internal/browsertest/journeys

.PHONY: fuzz
fuzz: needs ## Run every fuzz target for FUZZTIME (default 20s); CI does for 10s each.
	hack/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: torture
torture: needs ## Kill, cut off and starve the operator ROUNDS times (default 1000); what was acknowledged must be there.
	hack/controlplane.sh >/dev/null
	hack/fuse.sh
	postgres=$$(hack/postgres.sh)
	export POSTGRES_BIN=$$postgres
	TORTURE_ROUNDS=$(or $(ROUNDS),1000) go test ./hack/torture -count=1 -v -timeout 12h $(ARGS)

.PHONY: mutants
mutants: needs ## Break the code in ways seen elsewhere, one at a time; the tests must notice.
	assets=$$(hack/controlplane.sh)
	promtool=$$(hack/promtool.sh)
	provider=$$(hack/oidcprovider.sh)
	hack/chromium.sh
	axe=$$(hack/axe.sh)
	hack/fuse.sh
	postgres=$$(hack/postgres.sh)
	PATH=$$promtool:$$provider:$$PATH KUBEBUILDER_ASSETS=$$assets POSTGRES_BIN=$$postgres AXE=$$axe go run ./hack/mutants $(if $(ONLY),-only $(ONLY))

.PHONY: golden
golden: needs ## Record the golden audit events anew from a real kube-apiserver.
	assets=$$(hack/controlplane.sh)
	KUBEBUILDER_ASSETS=$$assets go test ./internal/collector -run TestRealAPIServer -count=1 -record

.PHONY: pictures
pictures: needs ## Make the README's pictures of the pages anew.
	assets=$$(hack/controlplane.sh)
	hack/chromium.sh
	KUBEBUILDER_ASSETS=$$assets go test -run TestPictures -count=1 ./internal/browsertest/journeys -pictures=$(CURDIR)/docs/images

##@ Other

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

.PHONY: clean
clean: dev-down ## Remove what was built; the cached control plane stays.
	rm -rf bin dist artifacts .dev

.PHONY: needs
needs:
	@command -v go >/dev/null || { echo "Go is missing: install Go 1.26 or newer from https://go.dev/doc/install."; exit 1; }
	@command -v g++ >/dev/null || { echo "A C++ compiler is missing, which the embedded store links with: apt-get install gcc g++"; exit 1; }

# The tools' modules stand apart, so that their dependencies are not ours.
bin/controller-gen: hack/tools/go.mod
	go build -C hack/tools -o $(CURDIR)/bin/ sigs.k8s.io/controller-tools/cmd/controller-gen
	touch $@

bin/cyclonedx-gomod: hack/sbom/go.mod
	go build -C hack/sbom -o $(CURDIR)/bin/ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	touch $@

bin/golangci-lint: hack/lint/go.mod
	@echo "Building golangci-lint (some minutes, once)."
	go build -C hack/lint -o $(CURDIR)/bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	touch $@

