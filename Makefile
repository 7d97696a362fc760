# make demo   sets everything up and plays the story, leaving the laboratory up
# make test   sets everything up and runs every test
# make check  the quick loop: lint, types, imports, unit tests
# make ca     runs the tests on a real Dogtag CA, in a pair of hosts; its trees are made the first time
# make bench  prints our figures beside those of our peers
# make fuzz   many more examples for everything that reads hostile input
# make load   four clients for a minute: nothing fails, nothing grows, nothing is left behind
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:

CACHE ?= /var/cache/ipa-tpi
VENV := $(CACHE)/venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/acls:$(CURDIR)/upgrade:$(CURDIR)/validator
export PYTHONDONTWRITEBYTECODE := 1

SOURCES := ipa_tpi acls upgrade validator lab tests bench
UNIT_WORKERS ?= 4
REALM_WORKERS ?= 2

.PHONY: help setup check lint types imports trace unit fuzz test realm box ca demo bench bench-ca load model kill-matrix mutation down lock clean coverage
help:
	@sed -n '1,7s/^# //p' Makefile

setup:
	@lab/setup.sh "$(CACHE)"

check: setup lint types imports trace unit

lint:
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

trace:
	$(PYTHON) -m lab.traceability --check

unit:
	$(PYTHON) -m pytest -q -n $(UNIT_WORKERS) --dist worksteal tests/unit --cov --cov-report=
	$(BIN)/coverage report --include='ipa_tpi/decide/*,ipa_tpi/wire.py,validator/*' --fail-under=100 --skip-covered
	# A line that only another thread's turn reaches may be missed once.
	$(BIN)/coverage report --include='ipa_tpi/executor/*' --fail-under=99.5 --precision=1 --skip-covered

# FUZZ_EXAMPLES of everything that is hostile, for each target; a thousand take about two minutes.
FUZZ_EXAMPLES ?= 2000
fuzz: setup
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(PYTHON) -m pytest -q -n $(UNIT_WORKERS) --timeout 3600 tests/unit/test_certval_*.py tests/unit/test_decide_csr.py

realm: setup
	$(PYTHON) -m pytest -q -n $(REALM_WORKERS) tests/realm

box: setup
	lab/test-boxes.sh

ca: setup
	lab/test-ca.sh tests/ca

test: check realm box ca

demo: setup
	lab/demo.sh

# Prints one table, ours beside its peers; takes about two and a half minutes.
bench: setup
	lab/bench.sh

# The certificate validator beside what any start costs, and enrolments at the real CA with and without it; two minutes.
bench-ca: setup
	lab/bench.sh bench/certval.py
	lab/bench-ca.sh

# Takes about a minute and a half.
load: setup
	lab/bench.sh bench/load.py

# Compares the decision core with the slow model in so many worlds for each property; 20000 take about ten minutes.
EXAMPLES ?= 20000
model: setup
	EXAMPLES=$(EXAMPLES) $(PYTHON) -m pytest -q --timeout=0 -n $(UNIT_WORKERS) tests/unit/test_against_model.py

# Kills executor, web service and directory at every point, ROUNDS times each; 20 rounds take about an hour.
ROUNDS ?= 20
kill-matrix: setup
	lab/kill-matrix.sh $(ROUNDS)

# Changes ipa_tpi/decide in every small way and counts what the unit tests notice; all of it takes about half an hour.
# MODULES=quorum,proof for some of it; RESUME=1 where it was cut, or where only tests were added.
MODULES ?=
RESUME ?=
mutation: setup
	lab/mutation.sh "$(CACHE)" "$(MODULES)" "$(RESUME)"

down:
	$(PYTHON) -m lab.box down --name demo

# Only when a dependency changes: writes requirements/*.lock with the hash of every file.
lock:
	lab/lock.sh

clean:
	rm -rf dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
