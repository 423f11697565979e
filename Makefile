# Thin front of the command line `fitact` (see `make help`); everything lives in ./.venv and ./build.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
FITACT := $(VENV)/bin/fitact

# Options of `make sim`, passed on when they are given: make sim MODEL=alexnet WORD=32 FAULTS=100
MODEL ?= alexnet
BENCH_MODELS ?= alexnet vgg16 resnet50
option = $(if $($(1)),--$(2) $($(1)))
MACHINE = $(call option,ROWS,rows) $(call option,COLS,cols) $(call option,WORD,word) $(call option,CONFIG,config)
STUDY = $(call option,WORD,word) $(call option,MAPS,maps) $(call option,IMAGES,images) $(call option,RATES,rates) \
  $(call option,BOUNDS,bounds) $(call option,WEIGHTS,weights) $(call option,SEED,seed) $(call option,WORKERS,workers) \
  $(call option,OUT,out)

.PHONY: help setup sim train post-train campaign validate resilience granularity validate-memory overhead rtl lint test bench doctor docs docs-site clean distclean

help:  ## list the targets
	@echo "FitAct testbed. Two commands do everything: 'make sim MODEL=alexnet' and 'make test'."
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  options of sim: MODEL= IMAGES= FAULTS= SHAPE= SEED= ROWS= COLS= WORD=8|16|32 CONFIG= SCHEME= WAVES=1 OUT="

setup: $(READY)  ## create .venv with the pinned packages
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "error: Python 3.11 or newer is needed; install it or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@command -v g++ >/dev/null || command -v c++ >/dev/null \
	  || { echo "error: no C++ compiler; install one (Debian, Ubuntu: apt install g++)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "error: python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "installing the pinned packages into $(VENV) (a few minutes, once)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-data.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

sim: $(READY)  ## run MODEL through the RTL: bit-exact check, classification, upsets per protection scheme
	@$(FITACT) sim $(MODEL) $(MACHINE) $(call option,IMAGES,images) $(call option,FAULTS,faults) $(call option,SHAPE,shape) \
	  $(call option,SEED,seed) $(call option,SCHEME,scheme) $(call option,OUT,out) $(if $(filter 1,$(WAVES)),--waves)

train: $(READY)  ## train MODEL and learn its bounds (needs CIFAR-10: see README)
	@$(FITACT) train $(MODEL) $(call option,SEED,seed) $(call option,EPOCHS,epochs)

post-train: $(READY)  ## learn the bounds of SCHEME for MODEL anew from the stored weights (needs CIFAR-10)
	@$(FITACT) post-train $(MODEL) $(call option,SCHEME,scheme) $(call option,SEED,seed) $(call option,EPOCHS,epochs) \
	  $(call option,GRANULARITY,granularity) $(call option,OUT,out)

resilience: $(READY)  ## accuracy against bit error rate in parameter memory, every scheme (needs CIFAR-10)
	@$(FITACT) resilience $(MODEL) $(STUDY) $(call option,SCHEMES,schemes)

granularity: $(READY)  ## accuracy against bytes of bounds: layer, channel, patch, neuron; words, 4-bit codes (needs CIFAR-10)
	@$(FITACT) granularity $(MODEL) $(STUDY) $(foreach folder,$(LEARNED),--learned $(folder))

validate-memory: $(READY)  ## bit errors in the memory image through the whole RTL: logits as the golden model's
	@$(FITACT) validate-memory $(MODEL) $(MACHINE) $(call option,SCHEMES,schemes) $(call option,MAPS,maps) \
	  $(call option,RATE,rate) $(call option,IMAGES,images) $(call option,SEED,seed) $(call option,WORKERS,workers)

campaign: $(READY)  ## thousands of RTL-exact upsets through the native engine; stop at any time, repeat to continue
	@$(FITACT) campaign run $(MODEL) $(MACHINE) $(call option,FAULTS,faults) $(call option,IMAGES,images) \
	  $(call option,SEED,seed) $(call option,SHAPE,shape) $(call option,MARGIN,margin) \
	  $(call option,CONFIDENCE,confidence) $(call option,WORKERS,workers) $(call option,SCHEDULER,scheduler) \
	  $(call option,OUT,out)

validate: $(READY)  ## the same upsets through the engine and as plain RTL runs, every result equal (AlexNet: 2000)
	@$(FITACT) campaign validate $(MODEL) $(MACHINE) $(call option,INJECTIONS,injections) $(call option,SEED,seed) \
	  $(call option,OUT,out)

overhead: $(READY)  ## area, timing, memory, latency and energy of every scheme (LIBERTY= for a real library)
	@$(FITACT) overhead $(MACHINE) $(call option,LIBERTY,liberty) $(call option,OUT,out)

rtl: $(READY)  ## generate the Verilog (default machine: rtl/generated; others: build/)
	@$(FITACT) rtl $(MACHINE)

lint: $(READY)  ## ruff, mypy and Verilator lint
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy golden fitact_hw sim tests
	@$(FITACT) lint

test: lint  ## everything: lint, types, unit, cocotb and end-to-end tests; a process per core
	@$(VENV)/bin/pytest -n auto --maxprocesses 8 --dist loadfile --max-worker-restart 0

bench: $(READY)  ## cycles/s against a bare array, injections/s against plain RTL and software, evaluations/s under faults (BENCH_MODELS=)
	@$(FITACT) bench $(MACHINE)
	@for model in $(BENCH_MODELS); do $(FITACT) campaign bench $$model $(MACHINE) || exit 1; done
	@for model in $(BENCH_MODELS); do $(FITACT) resilience-bench $$model --word 8,32 || exit 1; done

doctor: $(READY)  ## check the tools and say what to install
	@$(FITACT) doctor

docs: $(READY)  ## regenerate docs/ pages and rtl/generated from their definitions
	@$(FITACT) rtl --default && $(FITACT) docs

docs-site: $(READY)  ## build the site of docs/ into build/site (installs mkdocs-material)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet && echo "open build/site/index.html"

clean:  ## remove build/
	@rm -rf build

distclean: clean  ## remove build/ and .venv
	@rm -rf $(VENV)
