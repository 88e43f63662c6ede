# `make demo` and `make test` are all that a newcomer needs; both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The package as it is installed, for mypy, which does not read setuptools' package-dir.
TYPES := build/types/blurbench
# Two files of tests at a time; more would take memory: make TOGETHER="-n 8 --dist loadfile" test.
TOGETHER ?= -n 2 --dist loadfile

.PHONY: demo test test-all lint benchmarks clean

demo: $(VENV)/.installed
	$(BIN)/blurbench demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(TOGETHER)

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(TOGETHER) -m ''

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPES) && mkdir -p $(TYPES)
	ln -s $(addprefix ../../../,$(filter-out %__pycache__,$(wildcard blurbench/*)) baselines datasets leaderboards) $(TYPES)
	cd $(TYPES)/.. && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

benchmarks: $(VENV)/.installed-test
	for each in benchmarks/bench_*.py; do $(BIN)/python $$each || exit 1; done

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), blurbench needs Python 3.11 to 3.13: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
