# Every habit of the project in one place. `make help` lists them; `docs/operations.md` explains the settings.

PYTHON ?= python3
ARGS ?=
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
SYNCED := $(VENV)/.synced
WEB_INSTALLED := web/node_modules/.installed
WEB_BUILT := web/node_modules/.built
WEB_LOG := $(or $(ESC_HOME),.esc)/web.log
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -q

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help serve test test-hard test-web mutants check format bench web lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1	/' | expand -t 14

serve: $(SYNCED) ## Run the platform on PORT (8000): installs, starts the servers, migrates, loads demo data the first time
	@mkdir -p $(dir $(WEB_LOG))
	@$(MAKE) --no-print-directory web >$(WEB_LOG) 2>&1 & exec $(BIN)/python manage.py serve $(ARGS)

test: $(SYNCED) ## The tests, in at most 5 minutes on 2 cores (ARGS='-k policy' narrows them)
	$(BIN)/pytest -n 2 --dist loadfile -m "not hard and not web" $(ARGS)

test-hard: $(SYNCED) ## Kills, floods and fuzz
	$(BIN)/pytest -m hard $(ARGS)

test-web: $(SYNCED) web ## Browsers, and real GraphQL clients against a running server
	$(BIN)/pytest -m web $(ARGS)

mutants: $(SYNCED) ## Show that a test dies of each wrong edit of the engine (ARGS='own' narrows them)
	$(BIN)/python -m tests.mutants $(ARGS)

check: $(SYNCED) ## Style, types, layers, the printed schema and the migrations against the models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py schema --check
	$(BIN)/python manage.py migrate --check

format: $(SYNCED) ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(SYNCED) $(WEB_INSTALLED) ## Measure everything, rivals included, in about 10 minutes (ARGS="--only compare --quick")
	$(BIN)/python -m bench $(ARGS)

web: $(WEB_BUILT) ## Build the web clients

lock: $(BIN)/uv ## Renew both locks within the ranges of pyproject.toml (ARGS=--upgrade takes newer versions)
	$(COMPILE) -o requirements.lock $(ARGS)
	$(COMPILE) --extra dev -o requirements-dev.lock $(ARGS)

clean: ## Remove what was installed and built; the data in .esc/ stay
	rm -rf $(VENV) web/node_modules web/*/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed (需要 Python 3.11 至 3.13): make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "The venv module is missing (缺少 venv 模块): apt-get install python3-venv" >&2; exit 1; }
	@echo "Preparing $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(SYNCED): requirements-dev.lock | $(BIN)/uv
	@echo "Installing requirements-dev.lock ..."
	@$(BIN)/uv pip sync -q --require-hashes --python $(BIN)/python requirements-dev.lock
	@touch $@

$(WEB_INSTALLED): web/package-lock.json $(wildcard web/*/package.json) | $(SYNCED)
	cd web && npm ci --no-progress
	@touch $@

$(WEB_BUILT): $(WEB_INSTALLED) $(WEB_SOURCES)
	cd web && npm run build
	@touch $@
