# Every target below sets up .venv first where it is missing or stale; nothing else is needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "}; {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## Make .venv with .venv/bin/millrace (quick when there is nothing to do)

$(STAMP): requirements/dev.txt requirements/uv.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "millrace needs Python 3.11 or newer on the PATH (or: make PYTHON=/path/to/python setup)" >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Everything on embedded services, in the foreground (DEMO_SECONDS=60 ends it by itself)
	@$(BIN)/millrace demo

.PHONY: test
test: $(STAMP) ## All tests but the slow ones, on real services
	@$(BIN)/python -m millrace.infra.local.monitoring || true # a test that needs it says so: skipped, in CI failed
	$(BIN)/pytest -m "not chaos" $(ARGS)

.PHONY: monitoring
monitoring: $(STAMP) ## Fetch Prometheus, Pushgateway and Alertmanager without root (Debian, Ubuntu; once, 36 MB)
	@$(BIN)/python -m millrace.infra.local.monitoring

.PHONY: chaos
chaos: $(STAMP) ## Kill processes at random under load and account for every record (CHAOS_SECONDS=600)
	$(BIN)/pytest -m chaos -s $(ARGS)

.PHONY: lint
lint: $(STAMP) ## ruff, pyright (strict), import-linter, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar millrace

.PHONY: format
format: $(STAMP) ## Put the code into its standard shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar millrace

.PHONY: bench
bench: $(STAMP) ## Throughput, memory and latency against the machine's own limits, in one run
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies anew into requirements/*.txt, with hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) --all-extras -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

.PHONY: docs
docs: dashboards ## Generate what is generated: .env.example, docs, the JSON Schemas, the dashboards
	$(BIN)/python -m millrace.orchestration.generate

.PHONY: dashboards
dashboards: $(STAMP) ## Write Grafana's dashboards from the code (ARGS="--runbook URL --dagster URL --directory DIR")
	$(BIN)/python -m monitoring.grafana $(ARGS)

.PHONY: clean
clean: ## Stop the embedded stack and remove its data and caches (.venv stays)
	@if [ -x $(BIN)/millrace ]; then $(BIN)/millrace down; fi
	rm -rf .millrace .pytest_cache .ruff_cache .hypothesis build *.egg-info
