# `make` alone says what there is. Every target sets up .venv by itself when it is missing or old.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
# Of what pip tells: a line for each package as it comes. What goes wrong is shown whole, as an error.
SHOW := awk '/^Collecting/ { print "  " $$2 } /^Installing/ { print "  unpacking all of them" } { fflush() }'
SHELL := bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help run test test-all check lint faults model soak failover bench-placement bench-engine bench-frontier bench-crew bench-startup bench-deploy bench-dashboard mutants proto docs clean

MINUTES ?= 10
STEPS ?= 50000
ROUNDS ?= 20

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: $(VENV)/.run ## Crawl the bundled bookshop on a real local cluster, and print what came of it
	@$(BIN)/crawler demo

test: lint ## Linters, types and the suite: what to run before a commit
	@$(BIN)/python -m tests -q

test-all: lint ## The whole suite, deeper, and then the faults: half an hour
	@TESTS_DEPTH=deep $(BIN)/python -m tests -q -m "not faults"
	@$(MAKE) --no-print-directory faults

check: lint ## Linters and types alone
	@$(BIN)/mypy

lint: $(VENV)/.test
	@echo "linters"
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .

faults: $(VENV)/.test ## Every kind of fault, one at a time, and what needs a machine of its own
	@$(BIN)/python -m pytest -q -m "" tests/faults
	@$(BIN)/python -m pytest -q -m faults tests --ignore=tests/faults
	@MODEL_STEPS=10000 $(BIN)/python -m pytest -q tests/model -k long

model: $(VENV)/.test ## The cluster as a model, deeply: make model [STEPS=50000] [SEED=n]
	@MODEL_STEPS=$(STEPS) MODEL_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/model -k long

soak: $(VENV)/.test ## Faults at random: make soak [MINUTES=10] [SEED=n]
	@$(BIN)/python -m tests.faults.soak $(MINUTES) $(SEED)

failover: $(VENV)/.test ## How long a failover takes, each kind 20 times: make failover [ROUNDS=n]
	@$(BIN)/python -m bench.failover $(ROUNDS)

bench-placement: $(VENV)/.test ## How fast tasks are placed: make bench-placement [ROWS="death posting"]
	@$(BIN)/python -m bench.placement $(ROWS)

bench-engine: $(VENV)/.test ## How fast the crawl engine is, beside Scrapy: make bench-engine [ROWS="speed hosts"]
	@$(BIN)/python -m bench.engine $(ROWS)

bench-frontier: $(VENV)/.test ## What it costs that a crawl can go on, and what a kill costs: make bench-frontier [ROWS="speed killed"]
	@$(BIN)/python -m bench.frontier $(ROWS)

bench-crew: $(VENV)/.test ## What crawl processes bring and cost, and what ends with what: make bench-crew [ROWS="starts memory"]
	@$(BIN)/python -m bench.crew $(ROWS)

bench-startup: $(VENV)/.test ## What a command costs before it says anything
	@$(BIN)/python -m bench.startup

bench-deploy: $(VENV)/.test ## How long it takes until a deployed spider runs
	@$(BIN)/python -m bench.deploying

bench-dashboard: $(VENV)/.test ## What the web page costs the leader: make bench-dashboard [ROWS="pages watching silent"]
	@$(BIN)/python -m bench.dashboard $(ROWS)

mutants: $(VENV)/.test ## Put known faults back, one at a time: for each, a test must fail
	@$(BIN)/python -m tests.mutants

proto: $(VENV)/.test ## Generate crawler/proto/*_pb2* from crawler.proto
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \
		crawler/proto/crawler.proto

docs: $(VENV)/.test ## The documentation as a site, in build/docs; every link is checked
	@said=$$(NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build 2>&1) || { echo "$$said"; exit 1; }
	@echo "open build/docs/index.html, or: $(BIN)/python -m http.server -d build/docs (which can search, too)"

clean: ## Remove the virtual environment and what tools left behind
	@rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python's venv module is needed; on Debian: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.run: $(VENV)/.venv requirements.txt requirements-local.txt constraints.txt setup.py
	@echo "installing what is needed to run: some fifty packages, a minute or two, once"
	@$(PIP) -r requirements.txt -r requirements-local.txt | $(SHOW)
	@$(PIP) --quiet --no-deps -e .
	@touch $@

# httpbin asks for a greenlet older than ours. It runs without any, and gets a folder of its own.
$(VENV)/.test: $(VENV)/.run requirements-dev.txt requirements-sql.txt requirements-parquet.txt \
		requirements-cloud.txt requirements-redis.txt requirements-oidc.txt requirements-deploy.txt \
		requirements-tracing.txt requirements-docs.txt requirements-httpbin.txt
	@echo "installing what is needed to test: some fifty more, a minute, once"
	@$(PIP) -r requirements-dev.txt | $(SHOW)
	@$(PIP) --quiet --no-deps --upgrade --target $(VENV)/httpbin -r requirements-httpbin.txt || \
		echo "no httpbin: the tests that ask it are skipped"
	@touch $@
