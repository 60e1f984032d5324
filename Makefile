# make demo   installs into .venv, trains for a minute on the built-in corpus, prints the verdict and a sample
# make test   installs what the tests need and runs them
# make faults kills trainings, cuts the power, fills the disk: over an hour; prints counts
# make check  format, lint, types, floors
# make docs   builds the documentation site; make notebooks runs the chapters and writes docs/chapters
# make page   builds the lab's page into web/dist, for a wheel (needs Node); make web tests its sources
# make texts  updates the translations of the chapters

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow faults check format docs notebooks page web texts clean

demo: .venv/installed
	$(BIN)/glassgpt train python --minutes 1

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder

slow: .venv/installed-dev
	$(BIN)/pytest -q -m slow

faults: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults tests/equivalence/test_every_stop.py -m "slow or not slow"

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/installed-dev
	$(BIN)/python docs/site/build.py

notebooks: .venv/installed-dev
	$(BIN)/python docs/chapters/make.py

page: web/node_modules
	cd web && npm run build && cp index.html dist/

web: web/node_modules
	cd web && npm run check && npm test

web/node_modules: web/package-lock.json
	cd web && npm ci
	touch $@

texts: .venv/installed-dev
	$(BIN)/python tools/texts.py

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "GlassGPT needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@echo "Installing into .venv. This takes some minutes …"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis web/node_modules web/dist
