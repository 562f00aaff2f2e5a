# Talos Operator. `make` alone lists what there is to do; everything works in a fresh clone.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
PARALLEL := $(BIN)/python -m tests.network
RUN_DIR ?= .run
MACHINES ?= 5
# Hundreds of tests start the program: compiled once it starts in three quarters of the time.
export PYTHONDONTWRITEBYTECODE :=

# The first Python that is new enough; set PYTHON=... to choose another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

##### Set-up

.PHONY: setup
setup: $(VENV)/.ready ## Build .venv from the hashed lock; quick when up to date

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; set PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "error: cannot create $(VENV) (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: setup ## Resolve the dependencies anew into requirements/*.txt, with hashes
	./requirements/lock $(BIN)/pip-compile

##### Running

.PHONY: run
run: setup ## Bring examples/quickstart.yaml up on simulated machines; Ctrl-C ends, again continues
	@$(BIN)/talos-operator run --standalone $(RUN_DIR) --simulate $(MACHINES) --apply examples/quickstart.yaml

.PHONY: clean-run
clean-run: ## Forget what `make run` built
	rm -rf $(RUN_DIR)

##### Checks

.PHONY: test
test: setup ## Everything that ends within minutes
	$(PARALLEL) 3 $(PYTEST) -q -m "not slow and not go and not kube"

.PHONY: test-slow
test-slow: setup ## Whole bring-ups, faults, the built wheel, Talos's own Go client
	$(PARALLEL) 3 $(PYTEST) -q -m "slow and not go and not kube and not registry and not image"
	$(PYTEST) -q -m "go or registry"

.PHONY: test-image
test-image: setup ## Build the container image twice, and run it as the manifests say; needs podman or docker, and debootstrap
	$(PYTEST) -q tests/image

.PHONY: test-kube
test-kube: setup kube-programs ## The deployed engine on a real kube-apiserver; needs Go
	$(PARALLEL) 1 $(PYTEST) -q -m kube

.PHONY: kube-programs
kube-programs: setup ## Build a real etcd and kube-apiserver, once: a quarter of an hour
	$(BIN)/python -m tests.kube.programs

.PHONY: test-observability
test-observability: setup prometheus ## Alerts and dashboards on a real Prometheus
	$(PYTEST) -q tests/observability

.PHONY: prometheus
prometheus: ## Find prometheus and promtool; where they are missing, unpack Debian's package into .prometheus
	@command -v promtool prometheus >/dev/null || test -x .prometheus/usr/bin/promtool || { \
		command -v apt-get dpkg-deb >/dev/null || { echo "error: install prometheus with promtool first" >&2; exit 1; }; \
		rm -rf .prometheus; mkdir .prometheus; cd .prometheus; \
		apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; \
		dpkg-deb -x prometheus_*.deb .; }

.PHONY: pictures
pictures: setup prometheus ## Draw docs/pictures anew: what the dashboards show of a bring-up and of a machine without power
	$(BIN)/python -m tests.observability.pictures

SAMPLE ?= 60
COUNT ?= 100

.PHONY: test-crash
test-crash: setup ## Kill the engine at every mutating call: the whole crash matrix, half an hour or more
	$(BIN)/python -m tests.crash

.PHONY: test-crash-sample
test-crash-sample: setup ## So much of the crash matrix as ends within five minutes; SAMPLE=60 trials at most
	$(BIN)/python -m tests.crash --sample $(SAMPLE) --minutes 3.5

.PHONY: test-handover
test-handover: setup ## Hand-overs between two engines, COUNT=100 of them, half an hour or more
	$(BIN)/python -m tests.faults.handover --count $(COUNT)

.PHONY: test-backup-cuts
test-backup-cuts: setup ## Backups under cut streams, kills, failing stores, full disks and clocks, a restore of each: all trials, a quarter of an hour or more
	$(BIN)/python -m tests.cuts

.PHONY: test-backup-cuts-sample
test-backup-cuts-sample: setup ## So many of these trials as end within four minutes; SAMPLE=60 at most
	$(BIN)/python -m tests.cuts --sample $(SAMPLE) --minutes 2.5

.PHONY: lint
lint: setup ## ruff, with the exclusions that pyproject.toml gives reasons for
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: setup ## Let ruff lay out the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: types
types: setup ## mypy --strict
	$(BIN)/mypy

.PHONY: shape
shape: setup ## Layers, sizes, names, docs: the promises about the code itself
	$(PYTEST) -q tests/contract -m "not slow"

.PHONY: rules
rules: setup ## Check the shipped rules
	$(BIN)/talos-operator validate rules

.PHONY: docs
docs: setup ## Write docs/reference.md and docs/metrics.md anew, and check that the documentation agrees with the program
	$(BIN)/python docs/write_reference.py >docs/.reference.md && mv docs/.reference.md docs/reference.md
	$(BIN)/python docs/write_metrics.py >docs/.metrics.md && mv docs/.metrics.md docs/metrics.md
	$(PYTEST) -q tests/contract -m "not slow" -k docs

.PHONY: bench
bench: setup ## Measure passes, memory and bring-up; prints a table
	$(BIN)/python -m tests.bench

##### Generated files

.PHONY: manifests
manifests: setup ## Write the generated parts of config/ and dist/install.yaml anew (needs kubectl for the latter)
	PYTHONPATH=. $(BIN)/python config/write_manifests.py $$(command -v kubectl)

.PHONY: image
image: ## Build the container image IMAGE with buildah, docker or podman, whichever is there
	./config/build-image $(IMAGE)

.PHONY: proto
proto: setup ## Compile schemas/talos/*.proto into the descriptors that the engine loads
	$(BIN)/python -m engine.protocol.compile

.PHONY: dashboards
dashboards: setup ## Write grafana/*.json and the alert rules anew from their sources
	$(BIN)/python -m engine.boards

.PHONY: custom-dashboard
custom-dashboard: setup ## Write the dashboard of grafana/custom-metrics/config.yaml anew
	$(BIN)/python -m engine.boards custom

.PHONY: talos-model
talos-model: ## Ask Talos's own library (tests/talos-model/go.mod pins it) for the model of its configurations; needs Go
	cd tests/talos-model && GOTOOLCHAIN=local go run . model >.model.json
	cd tests/talos-model && GOTOOLCHAIN=local go run . expressions >.expressions.json
	mv tests/talos-model/.model.json schemas/talos/config-model.json
	mv tests/talos-model/.expressions.json schemas/talos/expressions.json
