# The torch build to install, first of all, so that nothing pulls another one. For example
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
PYTHON ?= python3
# Another interpreter gets an environment of its own: `make test PYTHON=python3.13` makes .venv-python3.13.
VENV ?= $(if $(filter command environment,$(firstword $(origin PYTHON))),.venv-$(notdir $(PYTHON)),.venv)
BIN = $(VENV)/bin
JOBS ?= --numprocesses=auto --dist=loadfile
PIP = $(BIN)/python -m pip install --quiet

# Idle threads sleep: on a busy machine they would otherwise take the time of those that work.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test test-fast slow lint format types docs notebooks release benchmark-counts clean

help:
	@echo "make demo                       denoise scanpy's bundled blood cells; writes demo/"
	@echo "make test                       lint, types, unit tests and docstring examples"
	@echo "make test PYTHON=python3.13     the same by another interpreter, in .venv-python3.13"
	@echo "make test-fast                  the unit tests that train no whole model"
	@echo "make slow                       the tests that take minutes"
	@echo "make docs                       build the documentation; warnings are errors"
	@echo "make notebooks                  run the tutorials and store their output"
	@echo "make release                    build the distributions and try the wheel in a clean environment"
	@echo "make benchmark-counts DATA=dir  compare with published methods on a folder of .h5ad and .h5 files"

demo: $(VENV)/run.stamp
	env -u OMP_WAIT_POLICY $(BIN)/scif demo --out demo

# One process a core, each of one thread: the networks of tests are too small for more.
test test-fast: export OMP_NUM_THREADS = 1
test: lint types
	$(BIN)/python -m pytest $(JOBS)

test-fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests $(JOBS) -m "not slow and not trains"

slow: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Other interpreters get other libraries (numpy 2.5, anndata 0.13), whose types differ from those that are checked here.
types: $(VENV)/dev.stamp
	@if $(BIN)/python -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))"; then $(BIN)/mypy; \
	else echo "mypy is left out: types are checked with the libraries of Python 3.11"; fi

docs: $(VENV)/dev.stamp
	$(BIN)/sphinx-build -M html docs docs/_build -n -W --keep-going --quiet

notebooks: $(VENV)/dev.stamp
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace tutorials/*.ipynb
	$(BIN)/python -m benchmarks.shrink tutorials/*.ipynb

release: $(VENV)/dev.stamp
	$(PIP) build twine
	TORCH="$(TORCH)" BUILD=$(BIN)/python packaging/check_release.sh $(PYTHON)

benchmark-counts: $(VENV)/benchmark.stamp
	env -u OMP_WAIT_POLICY $(BIN)/python -m benchmarks.counts $(if $(DATA),--data $(DATA))

clean:
	rm -rf $(VENV) docs/_build docs/generated demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(VENV)/torch.stamp: | $(BIN)/python
	$(PIP) $(TORCH)
	@touch $@

$(VENV)/run.stamp: pyproject.toml $(VENV)/torch.stamp
	$(PIP) --editable ".[plot]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/torch.stamp
	$(PIP) --editable ".[all]" --group dev
	@touch $@ $(VENV)/run.stamp

$(VENV)/benchmark.stamp: pyproject.toml $(VENV)/dev.stamp
	$(PIP) --group benchmark
	@touch $@
