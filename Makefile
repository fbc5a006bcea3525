# Every word sets up what it needs by itself, once: a virtual environment in .venv, from requirements/*.txt.
# Needs Python 3.11 or newer with pip 22.3 or newer; another Python: make PYTHON=python3.12 test (after make clean).

PYTHON ?= python3
PY := .venv/bin/python
JOBS ?= 2
ARGS ?=
SEED ?= 1
# ARGS, ROWS and N reach the program in its environment, as all variables named on make's command line do.

.DEFAULT_GOAL := help
.PHONY: help demo test faults fuzz lint types bench bench-compare bench-scale bench-quality lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## the main job, as a story on the terminal
	@PYTHONPATH=src $(PY) -m demo $(ARGS)

test: .venv/.dev ## all tests, and full coverage of the storages (ARGS='tests/test_x.py -k word': those only)
	@data=$$(mktemp -d "$$PWD/.coverage-run.XXXXXX") || exit 1; \
	trap 'rm -rf "$$data"' EXIT; trap 'exit 130' INT TERM; \
	export COVERAGE_FILE="$$data/coverage"; \
	$(PY) -m coverage run -m pytest -n $(JOBS) $(ARGS) || exit; \
	if [ -n "$$ARGS" ]; then echo "Some tests only: coverage not judged."; exit; fi; \
	$(PY) -m coverage combine -q && \
	echo "Coverage of everything: $$($(PY) -m coverage report --format=total) %. Of the storages, which must be 100 %:" && \
	$(PY) -m coverage report --include='src/intentstore/storage/*' --fail-under=100; \
	status=$$?; mv "$$COVERAGE_FILE" .coverage; exit $$status

faults: .venv/.dev ## the fault table, long (SEED= another chance, ARGS= some rows); writes docs/durability.md
	@$(PY) -m tests.faults --long --seed $(SEED) --write-docs $(ARGS)

fuzz: .venv/.fuzz ## odd bytes for the readers of files, steered by coverage (ARGS=seconds, 60 when left out)
	@$(PY) -m tests.fuzz $(ARGS)

lint: .venv/.dev ## style, layout and floors
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports --no-logo --no-cache # its cache misses that a module has come or gone

types: .venv/.dev ## mypy --strict
	$(PY) -m mypy $(foreach dir,src tests bench demo examples docs/examples,$(if $(wildcard $(dir)/*.py $(dir)/*/*.py),$(dir)))

bench: .venv/.bench ## measurements (ROWS= N= choose their size; ARGS=--write-docs writes docs/performance.md)
	@$(PY) -m bench $(ARGS)

bench-compare: .venv/.bench ## the same rows at another revision, in turn with these (BASE= the revision, ROWS= N=)
	@$(PY) -m bench.compare $(ARGS)

bench-scale: .venv/.bench ## what 1,000 to 1,000,000 intents cost, longer (N= the most; ARGS=--write-docs)
	@$(PY) -m bench.scale $(ARGS)

bench-quality: .venv/.dev ## how good answers are, on real goals; writes docs/quality.md
	@$(PY) -m bench.quality --write-docs

clean: ## forget the environment and all caches
	rm -rf .venv .venv.lock .coverage .coverage.* .coverage-run.* .hypothesis .import_linter_cache .mypy_cache \
	    .pytest_cache .ruff_cache build dist

# --------------------------------------------------------------------------------------------------------------- set-up
# The stamps .run (to run), .dev (to develop), .fuzz and .bench are made under a lock, by a second make that looks at them anew: two
# words begun at once on a fresh clone share one set-up. The kernel drops the lock with its holder, however that ends.

define CHECK
import sys
if sys.version_info < (3, 11):
    sys.exit("intentstore needs Python 3.11 or newer; %s is %d.%d. Name another: make PYTHON=python3.12" % (
        (sys.executable,) + tuple(sys.version_info[:2])))
try:
    import pip
except ImportError:
    sys.exit("intentstore needs pip 22.3 or newer to set itself up; %s has none." % sys.executable)
if tuple(int(part) for part in pip.__version__.split(".")[:2]) < (22, 3):
    sys.exit("intentstore needs pip 22.3 or newer to set itself up; %s has %s. Upgrade it: %s -m pip install -U pip" % (
        sys.executable, pip.__version__, sys.executable))
endef

define LOCKED
import fcntl, os, sys
try:
    lock = os.open(".venv.lock", os.O_RDWR | os.O_CREAT, 0o644)
except OSError as error:
    sys.exit("Cannot set up here: %s" % error)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Waiting for another set-up of .venv to finish.", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
os.set_inheritable(lock, True)
os.execvp(sys.argv[1], sys.argv[1:])
endef

export CHECK LOCKED

# The machine's own pip, so that its settings hold; wheels only, by hash, and nothing that the lock does not name.
PIP := PIP_USER=0 $(PYTHON) -m pip --disable-pip-version-check --python $(PY) install -qq --no-deps --only-binary :all:

# A pip that fails tidies up; one that is killed leaves .begun, and what it half wrote is thrown away the next time.
BEGIN := touch .venv/.begun
TIDY := || { rm -f .venv/.begun; exit 1; }

ifndef SETUP_LOCKED

.venv/.run: requirements/run.txt
.venv/.dev: requirements/run.txt requirements/dev.txt requirements/semantic.txt pyproject.toml
.venv/.fuzz: requirements/fuzz.txt .venv/.dev
.venv/.bench: requirements/bench.txt .venv/.dev
.venv/.run .venv/.dev .venv/.fuzz .venv/.bench:
	@command -v "$(PYTHON)" >/dev/null || { echo "intentstore needs Python 3.11 or newer; there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK"
	@$(PYTHON) -c "$$LOCKED" $(MAKE) -s --no-print-directory SETUP_LOCKED=1 $@

else

ifneq ($(wildcard .venv/.begun),)
$(shell rm -rf .venv)
endif

.venv/.run: requirements/run.txt
	@echo "Setting up .venv: what it takes to run."
	@$(PYTHON) -m venv --without-pip .venv
	@$(BEGIN)
	@$(PIP) --require-hashes -r requirements/run.txt $(TIDY)
	@mv .venv/.begun $@

.venv/.dev: requirements/dev.txt requirements/semantic.txt pyproject.toml .venv/.run
	@echo "Setting up .venv: what it takes to test."
	@$(BEGIN)
	@$(PIP) --require-hashes -r requirements/dev.txt -r requirements/semantic.txt $(TIDY)
	@$(PIP) --no-build-isolation -e . $(TIDY)
	@mv .venv/.begun $@

.venv/.fuzz: requirements/fuzz.txt .venv/.dev
	@echo "Setting up .venv: what it takes to fuzz."
	@$(BEGIN)
	@$(PIP) --require-hashes -r requirements/fuzz.txt $(TIDY)
	@mv .venv/.begun $@

# A peer that cannot be had is a row that says so; the server from npm most of all.
.venv/.bench: requirements/bench.txt .venv/.dev
	@echo "Setting up .venv: the peers to measure against."
	@$(BEGIN)
	@$(PIP) --require-hashes -r requirements/bench.txt $(TIDY)
	@! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --ignore-scripts --prefix .venv/peers \
	    @modelcontextprotocol/server-memory@2026.8.31 || echo "npm gave no memory server: its rows are not run." >&2
	@mv .venv/.begun $@

endif

# ----------------------------------------------------------------------------------------------------------------- lock
# For developers: needs the network. uv stays in a folder of its own, thrown away afterwards; it writes no address into
# the files, and one file serves every platform.

LOCK = "$$dir/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
COMPILE = $(LOCK) --extra postgres pyproject.toml
# What the model's own package asks for besides is for downloading and training; neither is done here.
SEMANTIC = $(LOCK) --no-deps -c requirements/dev.txt -

lock: ## renew requirements/*.txt from pyproject.toml (UPGRADE=1: to the newest releases)
	@$(PYTHON) -c "$$CHECK"
	@dir=$$(mktemp -d) || exit 1; trap 'rm -rf "$$dir"' EXIT; trap 'exit 130' INT TERM; \
	$(PYTHON) -m venv --without-pip "$$dir" && \
	$(PYTHON) -m pip --disable-pip-version-check --python "$$dir/bin/python" install -qq --only-binary :all: uv && \
	$(COMPILE) -o requirements/run.txt && \
	$(COMPILE) --group dev -c requirements/run.txt -o requirements/dev.txt && \
	printf '%s\n' numpy safetensors tokenizers wordllama | $(SEMANTIC) -o requirements/semantic.txt && \
	$(LOCK) --group fuzz -o requirements/fuzz.txt && \
	$(COMPILE) --group bench -c requirements/dev.txt -o requirements/bench.txt && \
	if grep -nE 'https?:|file:|--(index|extra-index|find-links)' requirements/*.txt; then \
	    echo "An address got into the lock." >&2; exit 1; fi
