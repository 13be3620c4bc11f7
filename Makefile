# Everything runs in a virtual environment of its own; nothing but Python 3.10+ and make has to be there.
#   make demo    uploads sample files through a broker into a local S3, and reads them back (FILES="…" for your own)
#   make test    runs the tests, in JOBS processes (2); ARGS for pytest
#   make lint    ruff, mypy --strict
#   make soak    kills clients and breaks connections for SECONDS (600), and counts what was lost
#   make bench   measures against other uploaders (QUICK=1: within three minutes; WORKS="s3 gettoken": some of it)
#   make wheels  builds every distribution, installs them into an empty environment, and asks them for the providers

PYTHON  ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
             $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
VENV    := .venv
BIN     := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
BENCH   := .venv-bench
EXAMPLES := $(patsubst %/pyproject.toml,%,$(wildcard docs/examples/*/pyproject.toml))
READY   := $(VENV)/.ready

.PHONY: demo test soak lint bench wheels clean

$(READY): pyproject.toml $(PLUGINS:%=%/pyproject.toml) $(EXAMPLES:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "VVOS needs Python 3.10 or newer with its venv module; install it, or say make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=23'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[broker,postgres,dev]' $(foreach p,$(PLUGINS),-e './$(p)[broker,emulator]') $(foreach p,$(EXAMPLES),-e './$(p)[test]')
	@touch $@

demo: $(READY)
	$(BIN)/vvos demo --emulator s3 $(FILES)

test: $(READY)
	$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist worksteal $(ARGS)

soak: $(READY)
	$(BIN)/python -m tests.soak.table $(or $(SECONDS),600)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy vvos_core tests
	for p in $(PLUGINS) $(EXAMPLES); do MYPYPATH=$$p $(BIN)/mypy $$p || exit 1; done

$(BENCH)/.ready: pyproject.toml $(PLUGINS:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "VVOS needs Python 3.10 or newer with its venv module; install it, or say make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=23'
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[broker,bench]' $(foreach p,$(PLUGINS),-e './$(p)[broker]')
	@touch $@

bench: $(BENCH)/.ready
	# As pip does with what it installs, and has done with the peers; what is there in place is compiled at each start.
	$(BENCH)/bin/python -m compileall -q vvos_core $(PLUGINS)
	$(BENCH)/bin/python -m tests.bench $(if $(QUICK),--quick,$(if $(WORKS),,--plot docs/performance.svg)) $(WORKS)

wheels: $(READY)
	rm -rf dist build
	for d in . $(PLUGINS); do $(BIN)/python -m build --outdir dist $$d || exit 1; done
	$(BIN)/python -m venv --clear build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/empty/bin/vvos providers

clean:
	rm -rf $(VENV) $(BENCH) build dist .mypy_cache .ruff_cache .pytest_cache
