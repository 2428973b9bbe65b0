# The commands of this project; `make` alone lists them.
# They need make and Python 3.11 or newer, and install everything else into .venv, from the lock files.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help up test fuzz faults bench lint format lock schema client clean

# These targets keep their files away from the data of `make up`.
test fuzz faults bench lint schema: export DATA_DIR := $(CURDIR)/$(VENV)/scratch

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

up: $(VENV)/.installed ## install, migrate and run the API, beat and a worker; Ctrl-C stops them
	@$(BIN)/python -m project.embedded.up

PYTEST = $(BIN)/python -m pytest --durations=40
PYTEST_ON_POSTGRESQL = $(BIN)/python -m tests.services --durations=40
# tests/distribution.py says which tests stay in one process, and which start first.
SPREAD = --dist loadfile --no-loadscope-reorder

# Most journeys wait, so there are more processes than cores. The faults run by themselves: other
# load would change the times that they check.
test: export SPLIT_DATABASES := 1
test: $(VENV)/.installed-dev ## run all tests; those that use the database on PostgreSQL if it answers
	$(PYTEST_ON_POSTGRESQL) -n auto $(SPREAD) tests/api tests/runs tests/scheduler tests/worker
	$(PYTEST) -n 4 $(SPREAD) --ignore tests/faults
	$(PYTEST) -n 2 $(SPREAD) tests/faults
	FAST_PATHS=0 $(PYTEST_ON_POSTGRESQL) -n auto $(SPREAD) $(WITH_FAST_PATHS)

# The tests of what has a fast and an ordinary version.
WITH_FAST_PATHS = tests/broker tests/worker tests/scheduler/test_engine.py tests/api/http/test_rows.py \
	tests/api/http/test_reading.py tests/api/periodic_tasks/test_list.py tests/api/runs/test_list.py

# `make test` always tries the same examples and requests; this tries others. FUZZ_SEED repeats them.
fuzz: export FUZZ_SEED := $(or $(FUZZ_SEED),$(shell date +%s))
fuzz: $(VENV)/.installed-dev ## try random examples, requests and faults; FUZZ_SEED repeats a run
	@echo "To repeat this run: make fuzz FUZZ_SEED=$(FUZZ_SEED)"
	$(PYTEST) -n auto $(SPREAD) -m hypothesis --hypothesis-profile=random --hypothesis-seed=$(FUZZ_SEED) \
		--ignore tests/faults
	$(PYTEST_ON_POSTGRESQL) -n auto $(SPREAD) $(wildcard tests/contract/test_fuzzing_*.py)
	FAULT_SEEDS=$(FUZZ_SEED) FAULT_SCALE=2 $(PYTEST) tests/faults/test_13_at_random.py

faults: export FAULT_SEEDS ?= 1,2,3
faults: export FAULT_SCALE ?= 8
faults: $(VENV)/.installed-dev ## break the servers and processes of beat for an hour; set FAULT_SEEDS and FAULT_SCALE
	$(BIN)/python -m pytest tests/faults

bench: $(VENV)/.installed-bench ## compare speeds with peers; needs PostgreSQL, RabbitMQ, Redis, and an hour
	$(BIN)/python -m benchmarks.dispatch --save
	$(BIN)/python -m benchmarks.edits --save
	$(BIN)/python -m benchmarks.sustained --save
	$(BIN)/python -m benchmarks.recording --save
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.api
	$(BIN)/python -m benchmarks.slow_clients
	$(BIN)/python -m benchmarks.webhooks
	$(BIN)/python -m benchmarks.next_slots

lint: $(VENV)/.installed-dev ## check style, types, the direction of imports, and migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: $(VENV)/.installed-dev ## write openapi.yaml
	$(BIN)/python manage.py spectacular --file openapi.yaml --validate --fail-on-warn

# The generator formats its output with ruff, which it finds by PATH.
client: export PATH := $(CURDIR)/$(BIN):$(PATH)
client: $(VENV)/.installed-dev ## generate a Python client from openapi.yaml into client/
	$(BIN)/openapi-python-client generate --path openapi.yaml --meta none --overwrite \
		--config examples/python-client.yaml --output-path client/scheduler_api_client

COMPILE = $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url pyproject.toml

lock: $(VENV)/uv/bin/uv ## compile requirements*.txt from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(COMPILE) $(UPGRADE) -o requirements.txt
	$(COMPILE) $(UPGRADE) --group dev -c requirements.txt -o requirements-dev.txt
	$(COMPILE) $(UPGRADE) --group bench -c requirements-dev.txt -o requirements-bench.txt

clean: ## remove installed and cached files; the data in .data stays
	rm -rf $(VENV) client .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find project scheduler_api tests -name __pycache__ -prune -exec rm -rf {} +

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(BIN)/python
	@echo "Installing requirements-dev.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed-dev | $(BIN)/python
	@echo "Installing requirements-bench.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-bench.txt
	@touch $@

$(VENV)/uv/bin/uv: | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/uv
	@$(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is required: install it, or name it: make PYTHON=python3.13 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "$(PYTHON) has no venv module: install it, on Debian and Ubuntu with apt install python3-venv." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
