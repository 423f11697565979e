# Thin front of the command line `fitact` (see `make help`); everything lives in ./.venv and ./build.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
FITACT := $(VENV)/bin/fitact

# What a target passes on to its command, as --option 'value': make sim MODEL=vgg16 WORD=32 OUT="my results"
MODEL ?= alexnet
BENCH_MODELS ?= alexnet vgg16 resnet50
MACHINE := ROWS COLS WORD CONFIG
OWN := DATA MEAN STD SIZE
STUDY := MODEL $(OWN) WORD MAPS IMAGES RATES BOUNDS WEIGHTS SEED WORKERS OUT
sim_TAKES := MODEL $(OWN) $(MACHINE) IMAGES FAULTS SHAPE SEED SCHEME BATCH WORKERS OUT WAVES
train_TAKES := MODEL DATASET SEED EPOCHS
post-train_TAKES := MODEL SCHEME SEED EPOCHS GRANULARITY STRIKE OUT
campaign_TAKES := MODEL $(OWN) $(MACHINE) FAULTS MARGIN MINUTES TARGET SAMPLE CONFIDENCE STRUCTURES SCHEMES SHAPE IMAGES SEED WORKERS SCHEDULER OUT
validate_TAKES := MODEL $(OWN) $(MACHINE) INJECTIONS SCHEMES SAMPLE IMAGES SEED WORKERS OUT
resilience_TAKES := $(STUDY) SCHEMES
granularity_TAKES := $(STUDY) LEARNED
validate-memory_TAKES := MODEL $(OWN) $(MACHINE) SCHEMES MAPS RATE IMAGES SEED WORKERS
validate-networks_TAKES := N SEED FIRST ONLY RTL OUT
overhead_TAKES := $(MACHINE) LIBERTY OUT
rtl_TAKES := $(MACHINE)
mutate_TAKES := AREA NUMBER SEED CHANGED TOOL
soak_TAKES := MINUTES SEED
bench_TAKES := $(MACHINE) BENCH_MODELS

# Targets, and variables that are no option of a command; everything else on the command line of make is a mistake.
TARGETS := $(shell awk -F: '/^[a-z-]+:.*\#\# / {print $$1}' $(firstword $(MAKEFILE_LIST)))
STANDARD := PYTHON VENV SHELL CC CXX AR PERL FITACT_% COCOTB_% PIP_% OMP_% OPENBLAS_% TORCH%
GOALS := $(or $(MAKECMDGOALS),help)
TAKEN := $(sort $(foreach goal,$(GOALS),$($(goal)_TAKES)))
GIVEN := $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $(v))),$(v)))
nearest = $(shell $(PYTHON) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1, 0.7))' \
  '$(1)' $(2) 2>/dev/null)
meant = $(if $(1), (did you mean $(1)?))
ifneq ($(filter-out $(TARGETS) $(READY),$(GOALS)),)
  wrong := $(firstword $(filter-out $(TARGETS) $(READY),$(GOALS)))
  $(error unknown target '$(wrong)'$(if $(filter sim,$(GOALS)), (a network? make sim MODEL=$(wrong))): there are $(TARGETS))
endif
ifneq ($(filter-out $(STANDARD) $(TAKEN),$(GIVEN)),)
  wrong := $(firstword $(filter-out $(STANDARD) $(TAKEN),$(GIVEN)))
  $(error unknown variable '$(wrong)'$(call meant,$(call nearest,$(wrong),$(TAKEN))): make $(GOALS) takes \
    $(or $(foreach goal,$(GOALS),$($(goal)_TAKES)),no variables))
endif

quoted = '$(subst ','\'',$(1))'
lower = $(shell printf %s $(1) | tr A-Z a-z)
option = $(if $(findstring command line,$(origin $(1)))$($(1)),--$(call lower,$(1)) $(call quoted,$($(1))))
pass = $(foreach v,$(filter-out MODEL BENCH_MODELS WAVES LEARNED,$($(1)_TAKES)),$(call option,$(v)))
NETWORK = $(call quoted,$(MODEL))

.PHONY: $(TARGETS)

help:  ## list the targets
	@echo "FitAct testbed. Two commands do everything: 'make sim MODEL=alexnet' and 'make test'."
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "variables (make sim MODEL=vgg16 WORD=32), handed on as options of the command; \`fitact <command> --help\` says more:"
	@$(foreach goal,$(TARGETS),$(if $($(goal)_TAKES),printf '  %-16s%s\n' '$(goal)' '$($(goal)_TAKES)';))

# Packages are compiled as they are first imported, which is a fraction of them, unless Python may not write there.
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)

setup: $(READY)  ## create .venv with the pinned packages
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "error: Python 3.11 or newer is needed; install it or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@command -v g++ >/dev/null || command -v c++ >/dev/null \
	  || { echo "error: no C++ compiler; install one (Debian, Ubuntu: apt install g++)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "error: python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "installing the pinned packages into $(VENV) (a few minutes, once)"
	@$(PIP_INSTALL) -r requirements.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

sim: $(READY)  ## run MODEL through the RTL: bit-exact check, classification, upsets per protection scheme
	@$(FITACT) sim $(NETWORK) $(call pass,sim) $(if $(filter 1,$(WAVES)),--waves)

train: $(READY)  ## train MODEL on DATASET (cifar10, cifar100) and learn its bounds
	@$(FITACT) train $(NETWORK) $(call pass,train)

post-train: $(READY)  ## learn the bounds of SCHEME for MODEL anew from the stored weights (needs CIFAR-10)
	@$(FITACT) post-train $(NETWORK) $(call pass,post-train)

resilience: $(READY)  ## accuracy against bit error rate in parameter memory, every scheme (needs CIFAR-10)
	@$(FITACT) resilience $(NETWORK) $(call pass,resilience)

granularity: $(READY)  ## accuracy against bytes of bounds: layer, channel, patch, neuron; words, 4-bit codes (needs CIFAR-10)
	@$(FITACT) granularity $(NETWORK) $(call pass,granularity) $(foreach folder,$(LEARNED),--learned $(folder))

validate-memory: $(READY)  ## bit errors in the memory image through the whole RTL: logits as the golden model's
	@$(FITACT) validate-memory $(NETWORK) $(call pass,validate-memory)

validate-networks: $(READY)  ## N random PyTorch networks against an independent reference: exact, or refused by name (N=1000)
	@$(FITACT) validate-networks $(call pass,validate-networks)

campaign: $(READY)  ## thousands of RTL-exact upsets through the native engine; stop at any time, repeat to continue
	@$(FITACT) campaign run $(NETWORK) $(call pass,campaign)

validate: $(READY)  ## the same upsets through the engine and as plain RTL runs, every result equal (AlexNet: 2000)
	@$(FITACT) campaign validate $(NETWORK) $(call pass,validate)

overhead: $(READY)  ## area, timing, memory, latency and energy of every scheme (LIBERTY= for a real library)
	@$(FITACT) overhead $(call pass,overhead)

rtl: $(READY)  ## generate the Verilog (default machine: rtl/generated; others: build/)
	@$(FITACT) rtl $(call pass,rtl)

CXX_SOURCES := $(wildcard $(foreach kind,cpp h,sim/*/*.$(kind) golden/exact/*.$(kind)))

lint: $(READY)  ## ruff, mypy, clang-format and Verilator lint
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy golden fitact_hw sim tests examples
	@$(VENV)/bin/clang-format --dry-run --Werror $(CXX_SOURCES)
	@$(FITACT) lint

check: lint  ## lint, types, and the tests that need no simulator build: about ten minutes
	@$(VENV)/bin/pytest -q -m "not rtl and not slow and not e2e" -n auto --maxprocesses 8 --dist loadfile --max-worker-restart 0

test: lint  ## everything: lint, types, unit, cocotb and end-to-end tests; a process per core
	@$(VENV)/bin/pytest -n auto --maxprocesses 8 --dist loadfile --max-worker-restart 0

mutate: $(READY)  ## plant small bugs in a copy of the project: the tests must find them (AREA=cells NUMBER=10 CHANGED=1 TOOL=mutmut)
	@if [ '$(TOOL)' = mutmut ]; then $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --target build/mutmut --upgrade -r requirements-mutation.txt; fi
	@$(VENV)/bin/python -m tests.mutation $(call pass,mutate)

coverage: $(READY)  ## line and toggle coverage of rtl/ over the tests of its cells; what nothing passes is named
	@$(VENV)/bin/python -m tests.coverage

soak: $(READY)  ## random machines, networks, stalls and upsets: engine, cocotb and golden model must agree (MINUTES=60)
	@$(VENV)/bin/python -m tests.soak $(call pass,soak)

bench: $(READY)  ## cycles/s against a bare array, injections/s against plain RTL and software, evaluations/s under faults (BENCH_MODELS=)
	@$(FITACT) bench $(call pass,bench)
	@for model in $(BENCH_MODELS); do $(FITACT) campaign bench $$model $(call pass,bench) || exit 1; done
	@for model in $(BENCH_MODELS); do $(FITACT) resilience-bench $$model --word 8,32 || exit 1; done

doctor: $(READY)  ## check the tools and say what to install
	@$(FITACT) doctor

redraw: $(READY)  ## draw the charts of docs/results again from docs/results/data
	@$(FITACT) redraw

docs: $(READY)  ## regenerate docs/ pages and rtl/generated from their definitions
	@$(FITACT) rtl --default && $(FITACT) docs

docs-site: $(READY)  ## build the site of docs/ into build/site (installs mkdocs-material)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet && echo "open build/site/index.html"

clean:  ## remove build/
	@rm -rf build

distclean: clean  ## remove build/ and .venv
	@rm -rf $(VENV)
