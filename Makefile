# Every task of the project; `make help` lists them. Needs Python 3.11 or newer and make, nothing else.

BIN := .venv/bin
STAMP := .venv/.stamp
BENCH := .venv/bench
UV := uv==0.13.9
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
LOCKED := $(PIP_INSTALL) --require-hashes --only-binary :all:
# The first interpreter that runs and is new enough; `make setup PYTHON=/path/to/python` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow shapes lint format check bench lock clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv from the locks; quick when nothing changed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "isotone needs Python 3.11 or newer; none was found. Name one: make setup PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(STAMP): pyproject.toml $(filter-out requirements/bench.lock,$(wildcard requirements/*.lock)) | $(BIN)/python
	$(LOCKED) -r requirements/dev.lock
	$(LOCKED) -r requirements/torch-cpu.lock 2>/dev/null || echo "no CPU-only wheel of torch at hand: taking the default build"
	$(LOCKED) -r requirements/torch.lock
	if $(BIN)/python requirements/locks.py wants-cuda; then $(LOCKED) -r requirements/cuda.lock; fi
	$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## train both methods on rotated digits, print the table, write the report
	$(BIN)/isotone demo

test: $(STAMP) ## the fast tests and every example of the documentation
	$(BIN)/python -m pytest

shapes: $(STAMP) ## the fast tests again, with every tensor's shape checked against its annotation
	$(BIN)/python -m pytest --jaxtyping-packages=isotone,beartype.beartype

slow: $(STAMP) ## the tests that take longer: killed and resumed runs, two processes, real data
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: $(STAMP) ## format, lint and types, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(STAMP) ## write the format and the repairs that are safe
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test ## all that CI does

# In a folder of its own, which no other task sees: these libraries miss some of what they ask for.
$(BENCH): requirements/bench.lock | $(STAMP)
	rm -rf $@
	$(LOCKED) --target $@ -r $<
	@touch $@

bench: $(STAMP) $(BENCH) ## the losses against other libraries: time, memory, error; SIZES="256 512" for a short run
	PYTHONPATH=$(BENCH) $(BIN)/python bench/losses.py $(if $(SIZES),--sizes $(SIZES)); missed=$$?; \
		$(BIN)/python bench/performance.py && exit $$missed

lock: $(STAMP) ## resolve pyproject.toml again; `make lock UPGRADE=--upgrade` takes the newest versions
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	cat requirements/dev.lock requirements/bench.lock requirements/torch.lock requirements/cuda.lock > .venv/all.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --group bench \
		--constraint requirements/constraints.txt --excludes requirements/excludes.txt \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		$(UPGRADE) --output-file .venv/all.lock
	$(BIN)/python requirements/locks.py split .venv/all.lock

clean: ## remove .venv and every cache; runs and demo stay
	rm -rf .venv dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
