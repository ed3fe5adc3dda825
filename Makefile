# Every target sets up what it needs in .venv, from locked versions, and says so.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: help demo run test test-long crash browser soak service container lint format bench build lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(READY): requirements-dev.lock pyproject.toml
	@echo "Setting up $(VENV): Python packages in the versions of requirements-dev.lock (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "artifact-sync needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is incomplete (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## Mirror a simulated GitLab for a minute, and leave ./mirror to look at
	@$(BIN)/artifact-sync demo --into mirror $(ARGS)

run: $(READY) ## Run the daemon with ./artifact-sync.yaml (CONFIG=... for another)
	@$(BIN)/artifact-sync run $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

test: lint ## Lint, types, import contracts, and all tests but the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not long" $(ARGS)

test-long: $(READY) ## The tests that take minutes
	@$(BIN)/python -m pytest -m long $(ARGS)

crash: $(READY) ## Kill, fail, cut off and starve the daemon at every turn; ONLY=T1,T3 for a part (needs root)
	@$(BIN)/python -m tests.crash.lab $(if $(ONLY),--only $(ONLY)) $(if $(FAULTS),--faults $(FAULTS)) $(ARGS)

soak: $(READY) ## Half an hour beside a living GitLab that fails in every way; write tests/soak/RESULTS.md
	@$(BIN)/python -m tests.soak.run $(ARGS)

service: $(READY) ## The daemon's system calls beside the systemd unit's filter; write systemd/RESULTS.md
	@$(BIN)/python -m tests.service.lab $(ARGS)

browser: $(READY) ## The dashboard in a real browser; IMAGES=docs/img makes the pictures of docs/dashboard.md anew
	@tests/browser/run $(if $(IMAGES),--images $(IMAGES)) $(ARGS)

container: $(READY) ## Build the image, and run it as docs/container.md says; write tests/container/RESULTS.md (needs root)
	@BIN=$(CURDIR)/$(BIN) tests/container/run $(ARGS)

lint: $(READY) ## ruff, mypy, import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted; run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## Format and apply safe fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## Measure, also beside curl, aria2c, wget and python-gitlab; write bench/RESULTS.md
	@$(BIN)/python -m bench.run $(ARGS)

build: $(READY) ## Wheel and sdist in dist/
	@$(BIN)/python -m build --no-isolation --outdir dist .

lock: $(READY) ## Resolve the newest allowed versions anew
	@$(BIN)/python -m pip install -qq uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra tracing --group dev pyproject.toml -o requirements-dev.lock

clean: ## Remove what the targets made, but not ./mirror
	@rm -rf $(VENV) .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
