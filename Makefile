# Two commands for a fresh machine: `make demo` and `make test`. Both make their own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 5
STEPS ?=
RUN ?= runs/demo$(if $(STEPS),-$(STEPS),$(if $(filter-out 5,$(MINUTES)),-$(MINUTES)min))
# Threads that wait for a core slow down all the others: no more than there are free cores, and 4 at most.
THREADS ?= $(shell $(PYTHON) scripts/free_cores.py --most 4)

.PHONY: help demo test lint types docs picture bench clean

help:
	@echo "make demo [MINUTES=5]    train on synthetic faces for about five minutes, on this machine's processor"
	@echo "make test                lint, types and the whole test suite"
	@echo "make lint                ruff: rules and format"
	@echo "make types               mypy"
	@echo "make docs                write the generated pages of docs/ anew"
	@echo "make picture             train the demo and make docs/faces.png of it"
	@echo "make bench               speed of training, sampling and rendering on this machine"
	@echo "make clean               remove the environment and caches (runs/ stays)"

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(BIN)/.installed
	OMP_NUM_THREADS=$(THREADS) $(BIN)/inrkit train --modality image --out $(RUN) $(if $(STEPS),--steps $(STEPS),--minutes $(MINUTES))
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

picture: demo
	$(BIN)/python docs/picture.py $(RUN)

bench: $(BIN)/.installed
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/fields.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
