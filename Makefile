# Two commands for a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
STEPS ?=
# Two threads by default: on a busy machine more of them wait for each other.
THREADS ?= 2

.PHONY: help demo test lint types bench clean

help:
	@echo "make demo [STEPS=2400]   learn faces on this machine's processor, about 5 minutes (10 with STEPS=2400)"
	@echo "make test                lint, types and the whole test suite"
	@echo "make bench               speed of training, sampling and rendering on this machine"
	@echo "make clean               remove the environment and caches (runs/ stays)"

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(BIN)/.installed
	OMP_NUM_THREADS=$(THREADS) $(BIN)/inrkit train --modality image --out $(RUN) $(if $(STEPS),--steps $(STEPS))
	@echo
	@echo "The report:  $(RUN)/report.html   (open it in a browser)"
	@echo "Next, try:"
	@echo "  $(BIN)/inrkit sample $(RUN) -n 16 -o samples"
	@echo "  $(BIN)/inrkit render samples/0000.inr --size 512x512 -o large.png"
	@echo "  $(BIN)/inrkit evaluate $(RUN) -n 500"

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

bench: $(BIN)/.installed
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/rendering.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
