# Everything a person or CI does here, each as one command. `make help` lists them.
# Kept to what make 3.81 understands, since that is what macOS brings.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The environment is brought up to date when what it is made from changes.
STATE := $(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d' ' -f1)
SERVING := $(VENV)/.serving-$(STATE)
FULL := $(VENV)/.full-$(STATE)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet \
	--constraint constraints.txt

.PHONY: help demo test lint format docs bench train-default arena clean \
	traces serving full environment system-packages

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' Makefile \
		| while IFS='|' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

demo: serving ## Recommend from the sample traces: a table and an HTML report (no torch)
	@$(BIN)/peakcast demo

test: full system-packages lint ## Install what the tests need, then run every check and test
	@$(BIN)/python -m pytest

lint: full ## Style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: full ## Bring the code into the house style
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: full ## Write the generated pages under docs/
	@$(BIN)/python -m peakcast.reference docs

bench: full ## Speed of inference and of the telemetry path
	@set -e; for script in benchmarks/*.py; do $(BIN)/python "$$script"; done

train-default: traces full ## Train the bundle that ships in the package: TRACES=DIR
	@$(BIN)/peakcast train --traces "$(TRACES)" --out recommender/bundle/default

arena: traces full ## Compare the forecaster with every baseline: TRACES=DIR
	@$(BIN)/peakcast arena --traces "$(TRACES)"

clean: ## Remove the environment, caches and what the commands wrote
	@rm -rf $(VENV) out build dist
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

traces:
	@test -d "$(TRACES)" || { echo "Say where the recorded traces are: TRACES=DIR" >&2; exit 2; }

serving:
	@if ! { [ -e $(SERVING) ] || [ -e $(FULL) ]; } || ! $(BIN)/python -c '' 2>/dev/null; then \
		$(MAKE) environment && \
		echo "Installing peakcast into $(VENV) (serving only, without torch) ..." && \
		$(INSTALL) --editable . && rm -f $(VENV)/.serving-* && touch $(SERVING); fi

full:
	@if ! [ -e $(FULL) ] || ! $(BIN)/python -c '' 2>/dev/null; then \
		$(MAKE) environment && \
		echo "Installing trainer and checks into $(VENV) (the first time some 3 GB, with torch) ..." && \
		$(INSTALL) --editable '.[trainer,dev]' && rm -f $(VENV)/.full-* && touch $(FULL); fi

# An environment that was copied or moved here, or whose Python is gone, is made anew.
environment:
	@[ "$$(cat $(VENV)/.where 2>/dev/null)" = "$(CURDIR)" ] && \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV) && \
		python="$$(.ci/find-python)" && echo "Making $(VENV) with $$("$$python" --version) ..." && \
		"$$python" -m venv $(VENV) && pwd > $(VENV)/.where; }

system-packages:
	@.ci/system-packages
