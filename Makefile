# The words people and CI type. Everything is installed into .venv; nothing outside this folder is written.
# A file under .venv/stamps says that a step was done, so that a warm `make run` only starts the server.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/stamps
PAGE := src/antiphon/web/static/index.html
PAGE_SOURCES := $(wildcard hatch_build.py ui/index.html ui/package-lock.json ui/*.config.ts ui/tsconfig.json) \
	$(shell find ui/src ui/docs -type f 2>/dev/null)
CODE := src tests $(wildcard benchmarks/*.py examples/*.py hatch_build.py)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore
export PYTHONUTF8 := 1
# pytest keeps the tests as it has rewritten them: without that, finding them takes three times as long.
export PYTHONDONTWRITEBYTECODE :=

# pip, npm and Chromium want a home they may write to; where there is none, they get one here.
ifneq ($(shell test -n "$$HOME" -a -d "$$HOME" -a -w "$$HOME" && echo writable),writable)
export HOME := $(CURDIR)/.cache/home
$(shell mkdir -p "$(CURDIR)/.cache/home")
endif

.PHONY: help run test soak check fix bench lock clean FORCE

help: ## says what there is to type
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(DONE)/project ## serves on http://127.0.0.1:4000 (PORT=… HOST=… change the address)
	@exec $(BIN)/antiphon serve $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)")

test: $(DONE)/dev ## runs every test; what a missing program makes skip is listed at the end
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

soak: $(DONE)/dev ## kills and crowds for hours: SECONDS=3600 for each of its tests
	@ANTIPHON_SOAK_SECONDS=$(or $(SECONDS),3600) $(BIN)/pytest tests/crashing tests/flows/test_thousand.py $(ARGS)

check: $(DONE)/dev ## format, lint, types, import contracts, budgets
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Some files are not formatted: make fix"; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy --no-error-summary $(CODE)
	@$(BIN)/pytest -q tests/layout
	@if [ -x ui/node_modules/.bin/tsc ] && command -v node > /dev/null; then cd ui && node_modules/.bin/tsc --noEmit; fi
	@echo "check: all well"

fix: $(DONE)/dev ## formats and repairs what can be repaired
	@$(BIN)/ruff check --fix-only --quiet $(CODE); $(BIN)/ruff format --quiet $(CODE)

bench: $(DONE)/dev ## measures what we claim and writes benchmarks/results
	@$(BIN)/python -m benchmarks.run $(ARGS)

lock: $(DONE)/dev ## renews the lock files from pyproject.toml
	@$(BIN)/uv pip compile -q $(LOCKED) pyproject.toml --all-extras --group dev -o requirements-dev.lock
	@$(BIN)/uv pip compile -q $(LOCKED) pyproject.toml -c requirements-dev.lock -o requirements.lock
	@$(BIN)/uv pip compile -q $(LOCKED) tests/wire/foreign/python/requirements.in -o tests/wire/foreign/python/requirements.lock

LOCKED := --universal --generate-hashes --no-annotate --python-version 3.11 --upgrade \
	--no-emit-index-url --custom-compile-command "make lock"

clean: ## removes what was installed and built; data/ stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache ui/node_modules $(dir $(PAGE))

# --- installing ---------------------------------------------------------------------------------------------------

$(BIN)/python:
	@for python in python3.13 python3.12 python3.11 python3 python; do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			echo "Creating $(VENV) with $$($$python --version)"; \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "Antiphon needs Python 3.11 or newer with its venv module, and found none on PATH. Install it" \
		"(on Debian and Ubuntu: python3 and python3-venv) and type make again." >&2; exit 1

$(DONE)/runtime: requirements.lock $(BIN)/python
	@echo "Installing what the server needs"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@mkdir -p $(@D) && touch $@

$(DONE)/project: $(DONE)/runtime pyproject.toml $(PAGE_SOURCES) $(if $(wildcard $(PAGE)),,FORCE)
	@echo "Installing Antiphon and building its page"
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(DONE)/dev: requirements-dev.lock $(DONE)/project
	@echo "Installing what the tests need"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@

FORCE:
