# peatnode: `make run` starts a node, `make test` runs the tests. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The Python to use: the one named by PYTHON=, else the first of these that is 3.11 or 3.12.
PYTHON ?= $(shell for candidate in python3.12 python3.11 python3 $(HOME)/.pyenv/versions/3.12.*/bin/python $(HOME)/.pyenv/versions/3.11.*/bin/python; do \
	"$$candidate" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 13)))' 2>/dev/null && { echo "$$candidate"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
N ?= 3

# The summary names the tests that failed or ran once more, with the seed that repeats them. STRICT=1: a skipped test fails the run.
STRICT ?=
PYTEST_OPTIONS := -q -n 2 --dist loadfile -r fER $(if $(STRICT),--strict-skips -rs)

.PHONY: help install install-dev run mesh test check format client lint types layers coverage bench clean

## help: list the targets
help:
	@grep -hE '^## ' $(MAKEFILE_LIST) | sed -E 's/^## ([^:]+): (.*)/  \1\t\2/' | expand -t 20

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "peatnode needs Python 3.11 or 3.12, and none was found." >&2; \
		echo "Install one (Debian and Ubuntu: apt install python3 python3-venv; anywhere: uv python install 3.12) or name one: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; \
		exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 13)))' || { \
		echo "PYTHON=$(PYTHON) does not run or is not Python 3.11 or 3.12: name one that is." >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed

## install: make .venv with `peatnode` in it
install: $(VENV)/.installed
	@echo "Installed: $(BIN)/peatnode"

install-dev: $(VENV)/.installed-dev

## run: start a node on this machine (mDNS; data and secret in .data/)
run: $(VENV)/.installed
	@exec $(BIN)/peatnode dev

## mesh: start N nodes on this machine that find each other (N=3)
mesh: $(VENV)/.installed
	@exec $(BIN)/peatnode mesh $(N)

## test: run the tests, installing all that they need
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

## check: exactly what CI runs: format, lint, types, layers, tests with coverage (STRICT=1: no test may be skipped)
check: lint types layers coverage

## format: format the code
format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## client: generate the blocking client from the one for asyncio
client: $(VENV)/.installed-dev
	$(BIN)/python .ci/unasync.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python .ci/unasync.py --check

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

coverage: $(VENV)/.installed-dev
	rm -f .coverage .coverage.*
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/python -m coverage run -m pytest $(PYTEST_OPTIONS)
	$(BIN)/python -m coverage combine -q
	set -o pipefail; $(BIN)/python -m coverage report --skip-covered --sort=cover | tail -n 40

## clean: remove build products and caches, but not the data of nodes
clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.*

-include bench/bench.mk
-include chart/deploy.mk
