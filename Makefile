# `make demo` shows Tocsin, `make test` tests it, `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
export NO_MKDOCS_2_WARNING := 1
# what is compiled is kept, also where an environment says otherwise: a test run starts a hundred processes
export PYTHONDONTWRITEBYTECODE :=
LOCKS := requirements/installer.txt pyproject.toml
KERNELS := $(shell grep -rl --include=*.py numba src)
EXAMPLES := $(shell find examples -path '*/src/*.py') $(wildcard examples/*/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help demo test install check test-services proof sim proof-selftest torture neighbours soak bench quality docs reference lock format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.kernels .venv/.examples ## install, simulate a fleet, detect; open the address it prints (DEMO_SECONDS=N ends by itself)
	@$(BIN)/tocsin demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

test: .venv/.dev .venv/.kernels .venv/.examples ## run every test that needs no server and no browser (ARGS="-k name" chooses)
	@$(BIN)/python -m pytest -m "not services" --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

install: .venv/.kernels ## make .venv with the `tocsin` command in it
	@echo "installed: $(BIN)/tocsin"

check: .venv/.dev ## style, types, import contracts, docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/docs

test-services: .venv/.dev .venv/.kernels .venv/.examples ## install and start real servers and a browser, run the tests that need them
	@scripts/test-services $(ARGS)

proof: .venv/.dev ## simulated faults, power cuts, hostile input and kills for SECONDS=600; last line is JSON
	@scripts/proof --seconds $(or $(SECONDS),600) $(if $(HISTORY),--history)

sim: .venv/.dev ## simulate the whole system by SEED=1 (ARGS="--seeds 0:100" for many); the same seed replays exactly
	@scripts/tocsin-sim $(or $(ARGS),$(or $(SEED),1))

proof-selftest: .venv/.dev ## plant bugs, all must be caught (ONLY=name,name; TREE=1 judges the tree as it is)
	@$(BIN)/python -m proof.planted --jobs $(or $(JOBS),2) $(if $(ONLY),--only $(ONLY)) $(if $(TREE),--tree)

torture: .venv/.dev ## kill -9 at KILLS=50 random moments while ingesting DATA=FILE, compare digests
	@$(BIN)/python scripts/torture.py $(if $(DATA),--data "$(DATA)") --kills $(or $(KILLS),50)

neighbours: .venv/.dev ## what hostile neighbours cost others in SECONDS=300; last line is JSON
	@$(BIN)/python -m proof.neighbours --seconds $(or $(SECONDS),300)

soak: .venv/.dev ## load with kills and full disks for SECONDS=600 (LOAD=10000 events/s, 0 = all it takes); last line is JSON
	@$(BIN)/python -m proof.soak --seconds $(or $(SECONDS),600) $(if $(LOAD),--load $(LOAD))

bench: .venv/.dev ## measure speed and memory (ONLY=name runs one, LONG=1 longer runs); last line is JSON
	@$(BIN)/python -m benchmarks.run $(if $(ONLY),--only $(ONLY)) $(if $(LONG),--long)

quality: .venv/.dev ## measure detection on labelled data sets in DATA=DIR; last line is JSON
	@$(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)")

docs: .venv/.dev ## build the documentation site into site/
	$(BIN)/mkdocs build --strict

reference: .venv/.dev ## write the generated pages of docs/reference anew
	$(BIN)/python -m tocsin.cli.reference > docs/reference/cli.md
	$(BIN)/python -m tocsin.api > docs/reference/api.md
	$(BIN)/python -m tocsin.config > docs/reference/configuration.md
	$(BIN)/python -m tocsin.observability > docs/reference/metrics.md
	$(BIN)/python -m tocsin.access > docs/reference/roles.md
	$(BIN)/python -m benchmarks.report > docs/reference/speed.md
	$(BIN)/python -m proof.reliability > docs/reliability.md
	$(BIN)/python -m proof.endpoints > docs/reference/endpoints.md
	$(BIN)/python scripts/generate_client.py

lock: .venv/.dev ## resolve requirements/*.txt again from pyproject.toml (UPGRADE=1 takes newer versions)
	@scripts/lock $(if $(UPGRADE),--upgrade)

format: .venv/.dev ## rewrite the code in the agreed style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove all that was built or installed, keep data
	rm -rf .venv site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks proof -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: requirements/runtime.txt $(LOCKS)
	@PYTHON=$(PYTHON) scripts/install runtime
	@touch $@

.venv/.dev: requirements/dev.txt requirements/runtime.txt $(LOCKS)
	@PYTHON=$(PYTHON) scripts/install dev
	@touch $@

.venv/.examples: requirements/examples.txt $(EXAMPLES) | .venv/.runtime
	@PYTHON=$(PYTHON) scripts/install examples
	@touch $@

.venv/.kernels: $(KERNELS) scripts/compile_kernels.py | .venv/.runtime
	@echo "compiling kernels, once"
	@$(BIN)/python scripts/compile_kernels.py
	@touch $@
