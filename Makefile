# make demo    see it live: one process, one address, nothing else to install
# make test    the whole suite, on SQLite and (when it answers) PostgreSQL, with browser tests
# make soak    the slow proofs at full length: 5,000 passes, twenty times kill -9, on both databases
# make check   what CI checks besides: format, lint, types, floors, migrations, generated files
# make bench   the benchmarks, one JSON line each
# make screenshots   the pictures of the docs, and every page in both languages and widths, in screenshots/
# make lock    pin what pyproject.toml allows, with hashes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak check bench screenshots lock format clean

demo: $(VENV)/.runtime
	$(BIN)/passbell demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup

soak: $(VENV)/.dev
	PASSBELL_TEST_SOAK=1 $(BIN)/python -m pytest tests/flows -m slow

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	PASSBELL_DATABASE_URL=sqlite:///$(VENV)/check.db $(BIN)/alembic -q upgrade head
	PASSBELL_DATABASE_URL=sqlite:///$(VENV)/check.db $(BIN)/alembic check
	$(BIN)/passbell settings example --check

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

screenshots: $(VENV)/.dev
	PYTHONPATH=. $(BIN)/python docs/screenshots.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml build.in -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml build.in --extra dev --extra hsm -o requirements-dev.lock

clean:
	rm -rf $(VENV) data .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Passbell needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
