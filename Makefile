# `make demo` and `make test` need nothing but Python 3.11+ (and, for the tests, Debian's packages).
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3

.PHONY: demo test test-long check format js bench clean

demo: $(VENV)/demo.installed  ## serve this machine's own figures
	$(BIN)/hexcast demo $(ARGS)

test: $(VENV)/dev.installed  ## all tests, with real servers, browsers and foreign clients
	./tests/debian.sh
	$(BIN)/pytest -n $(WORKERS) -m "not long" tests $(ARGS)

test-long: $(VENV)/dev.installed  ## the runs that take minutes
	./tests/debian.sh
	$(BIN)/pytest -n $(WORKERS) -m long tests $(ARGS)

check: $(VENV)/dev.installed  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

js:  ## put js/hexcast.js together from js/src
	cd js && npm install --no-package-lock --no-audit --no-fund && npm run build

bench: $(VENV)/dev.installed  ## figures and ratios; see bench/RESULTS.md
	$(BIN)/python -m bench $(ARGS)

$(BIN)/python:
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/%.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) bench/bin js/node_modules examples/clients/node_modules examples/clients/build
