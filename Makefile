# Each target sets up what it needs. Start with: make demo
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The order of the files is ours (tests/conftest.py says why): the reordering would put the longest ones last.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo demo-reset test test-long lint check-browser bench bench-long pictures clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/ready ## prepare .venv/ (quick when nothing changed)

.venv/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Coordinoter needs Python 3.11 or newer, and no $(PYTHON) was found."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Coordinoter needs Python 3.11 or newer; $(PYTHON) is older. Name another with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian and Ubuntu install it with: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned dependencies into .venv/ ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]' || { echo "The dependencies could not be installed; pip's message above says why (no network?)."; exit 1; }
	@touch .venv/ready

demo: setup ## run the portal and the sandbox Microsoft in this terminal
	@exec $(BIN)/flask --app wsgi demo

demo-reset: setup ## forget all demo data and start afresh
	@exec $(BIN)/flask --app wsgi demo --reset

check-browser: setup
	@$(BIN)/python -m tests.browser

test: setup check-browser ## run every test but the long versions, the real-browser journeys included
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not long" $(ARGS)

test-long: setup check-browser ## the same with every long version, which takes far longer
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: setup ## ruff and mypy --strict
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup ## speed, as ratios against a baseline in the same run
	@$(BIN)/python -m tests.bench

bench-long: setup ## the same with more clicks and 1,000 disconnections at once
	@$(BIN)/python -m tests.bench --long

pictures: check-browser ## take the pictures of the help articles again, from the demo world
	@$(BIN)/python -m tests.pictures

clean: ## remove .venv/ (var/ stays)
	rm -rf .venv
