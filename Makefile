# `make` builds everything on the bundled data, `make test` checks everything. `make help` lists the rest.
# Needs Python 3.11 or newer and make. Another Python: make PYTHON=python3.12. Another DuckDB: make DUCKDB=2.

PYTHON ?= python3
VENV ?= .venv
DUCKDB ?=
# make history: so many walls in time, so many days apart.
WALLS ?= 4
DAYS ?= 28
BIN := $(VENV)/bin
READY := $(VENV)/.ready$(DUCKDB)
# Linting compiles the project beside an empty database and in a folder of its own: it never waits for a build.
LINT := target/lint
SQLFLUFF := MANYFACES_DATABASE=:memory: DBT_TARGET_PATH=$(LINT) DBT_LOG_PATH=$(LINT) $(BIN)/sqlfluff
PEERS := benchmarks/peers
SUPERSET := .superset
PIP := $(BIN)/python -m pip --disable-pip-version-check $(if $(CI),--quiet)

.DEFAULT_GOAL := all
.PHONY: all env build history backtest publish publish-parquet publish-postgres summary test lint pytest fix docs bench bench-peers clean distclean help cookbook report pictures superset test-bi

all: $(READY) ## Install, build the tables on the default data, publish them and show what came out
	$(BIN)/manyfaces build
	$(BIN)/manyfaces publish
	$(BIN)/manyfaces summary

env: $(READY) ## Install the locked packages and the project into .venv

# Once; again only when the lock, the project's own list or DUCKDB changes.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Manyfaces needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	rm -f $(VENV)/.ready*
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -r requirements.lock
	$(if $(DUCKDB),$(PIP) install 'duckdb==$(DUCKDB).*')
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

build: $(READY) ## Build all tables into warehouse.duckdb (dbt build with readable progress)
	$(BIN)/manyfaces build

history: $(READY) ## Build at WALLS=4 walls in time, DAYS=28 apart, and publish: segments with a history
	$(BIN)/manyfaces build --walls $(WALLS) --days $(DAYS)
	$(BIN)/manyfaces publish

backtest: $(READY) ## Judge the lists of a wall 28 days ago (more: FOLDS=3) by what happened since
	$(BIN)/manyfaces backtest $(if $(FOLDS),--folds $(FOLDS))

publish: $(READY) ## Copy the marts into serving.duckdb, which may stay open in other programs
	$(BIN)/manyfaces publish

publish-parquet: $(READY) ## Write the marts as Parquet files into serving_parquet/
	$(BIN)/manyfaces publish-parquet

publish-postgres: $(READY) ## Copy the marts into the Postgres server of PGHOST, PGDATABASE, PGUSER ...
	$(BIN)/manyfaces publish-postgres

summary: $(READY) ## Show what serving.duckdb holds
	$(BIN)/manyfaces summary

report: $(READY) ## Write report.html from serving.duckdb: one file, no server (Chinese: make report REPORT_LANGUAGE=zh)
	$(BIN)/manyfaces report $(if $(REPORT_LANGUAGE),--language $(REPORT_LANGUAGE))

pictures: $(READY) ## Take the pictures of the report in docs/pictures; needs Chromium
	$(BIN)/python -m manyfaces.report.pictures

superset: $(READY) $(SUPERSET)/venv/.ready ## Look at serving.duckdb in Superset on 127.0.0.1 (another file: SERVING=FILE; another port: PORT=N)
	$(BIN)/python bi/superset/serve.py $(if $(SERVING),--database $(SERVING)) $(if $(PORT),--port $(PORT))

# An environment of its own: Superset needs other versions of much that the project uses.
$(SUPERSET)/venv/.ready: bi/superset/requirements.txt
	$(PYTHON) -m venv $(SUPERSET)/venv
	$(SUPERSET)/venv/bin/python -m pip --disable-pip-version-check $(if $(CI),--quiet) install -r $<
	@touch $@

test: lint pytest ## Run all checks: lint, then pytest with its builds on small inputs

lint: $(READY) ## Check the style of Python and SQL
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(SQLFLUFF) lint models tests

pytest: $(READY) ## Run the Python tests, which build the project on small inputs
	$(BIN)/python -m pytest

test-bi: $(READY) $(SUPERSET)/venv/.ready ## Test the dashboards in Superset and Chromium (minutes)
	$(BIN)/python -m pytest -m slow tests/python/bi

fix: $(READY) ## Mend what the linters can mend by themselves
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(SQLFLUFF) fix models tests

docs: $(READY) ## Describe every table, column and metric in one page: target/static_index.html
	$(BIN)/dbt docs generate --static

cookbook: $(READY) ## Write the answers of docs/cookbook.md anew from serving.duckdb
	$(BIN)/python docs/cookbook.py

bench: $(READY) ## Measure speed and quality on made-up and bundled data (long)
	$(BIN)/python benchmarks/bench.py

bench-peers: $(READY) $(PEERS)/.venv/.ready ## Measure other recommenders on the same data (long)
	$(BIN)/python $(PEERS)/prepare.py
	$(PEERS)/.venv/bin/python $(PEERS)/compare.py
	$(BIN)/python $(PEERS)/judge.py

# An environment of their own: what they need never meets what the project needs.
$(PEERS)/.venv/.ready: $(PEERS)/requirements.txt
	$(PYTHON) -m venv $(PEERS)/.venv
	$(PEERS)/.venv/bin/python -m pip --disable-pip-version-check $(if $(CI),--quiet) install -r $<
	@touch $@

clean: ## Remove what builds wrote: databases, fitted models, target/, logs/, caches
	rm -rf target logs models_store backtest serving_builds serving_parquet serving_parquet_builds
	rm -rf .pytest_cache .ruff_cache
	rm -f warehouse.duckdb* serving.duckdb* backtest.duckdb* report.html

distclean: clean ## Remove .venv too, and what bench-peers made
	rm -rf $(VENV) $(SUPERSET) $(PEERS)/.venv $(PEERS)/data *.egg-info build dist

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done
