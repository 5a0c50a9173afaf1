# Two commands for a fresh machine: `make demo` and `make test`. Both make their own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 5
STEPS ?=
RUN ?= runs/demo$(if $(STEPS),-$(STEPS),$(if $(filter-out 5,$(MINUTES)),-$(MINUTES)min))
# Threads that wait for a core slow down all the others: no more than there are free cores, and 4 at most.
SCALE ?= 1
THREADS ?= $(shell $(PYTHON) scripts/free_cores.py --most 4)

# For `make gpu`: where its results go; and for `make gpu-wheels`, whose Python and which packages.
OUT ?= gpu
WHEELS_FOR ?= 3.12
WHEELS := 'attrs>=25.4' 'pluggy>=1.6' 'click>=8.2,<9' 'rich>=13.3.3' 'kornia>=0.9,<0.10' kornia-rs 'nerfacc>=0.5.3,<0.6' \
	'tomli-w>=1.0' pytest-timeout hypothesis sortedcontainers

.PHONY: help demo test lint types docs site dist picture bench soak gpu gpu-wheels clean

help:
	@echo "make demo [MINUTES=5]    train on synthetic faces for about five minutes, on this machine's processor"
	@echo "make test                lint, types and the whole test suite"
	@echo "make lint                ruff: rules and format"
	@echo "make types               mypy"
	@echo "make docs                write the generated pages of docs/ anew"
	@echo "make site                the documentation as a site, in build/site; open build/site/index.html"
	@echo "make dist                wheel and sdist in dist/, each tried in an environment of its own"
	@echo "make picture             train the demo and make docs/faces.png of it"
	@echo "make bench               measure this machine, and write the tables of docs/performance.md anew"
	@echo "make soak [SCALE=1]      kill, damage, fill up, lie to and interrupt the program, for hours: soak.json"
	@echo "make gpu                 figures, tests and a short run on a CUDA GPU, in nine minutes: one gpu.json"
	@echo "make gpu-wheels          packages for a machine that has a GPU and no network, into wheels/"
	@echo "make clean               remove the environment and caches (runs/ stays)"

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(BIN)/.installed
	$(BIN)/inrkit sample faces -n 16 --out runs/faces-that-come-with-it
	OMP_NUM_THREADS=$(THREADS) $(BIN)/inrkit train --preset faces --out $(RUN) $(if $(STEPS),--steps $(STEPS),--minutes $(MINUTES))
	@echo
	@echo "The report:  $(RUN)/report.html   (open it in a browser; preview sheets are in $(RUN)/samples)"
	@echo "Next, try:"
	@echo "  $(BIN)/inrkit sample $(RUN) -n 16"
	@echo "  $(BIN)/inrkit render $(RUN)/generated/0000.inr --size 512x512"
	@echo "  $(BIN)/inrkit evaluate $(RUN) -n 500"

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

docs: $(BIN)/.installed
	$(BIN)/python docs/generate.py

site: $(BIN)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[site]'
	$(BIN)/python docs/site/build.py

dist: $(BIN)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check build
	PYTHON=$(BIN)/python scripts/dist.sh

picture: demo
	$(BIN)/python docs/picture.py $(RUN)

bench: $(BIN)/.installed
	$(BIN)/python benchmarks/all.py --json docs/performance.json
	$(BIN)/python docs/performance.py

soak: $(BIN)/.installed
	$(BIN)/python -m soak --scale $(SCALE)

# With the Python that has PyTorch for the GPU; nothing is installed.
gpu:
	$(PYTHON) scripts/gpu.py --out $(OUT)

gpu-wheels:
	$(PYTHON) -m pip download --quiet --no-deps --only-binary :all: --python-version $(WHEELS_FOR) \
		--platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform any --dest wheels $(WHEELS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
