# The only door: everything that is done with this project starts here. `make` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Benchmarks start servers and programs as the tests do, and write figures into documents with what tests/ has.
client bench bench-search bench-duplicates find-everything alerts: export PYTHONPATH := .

.DEFAULT_GOAL := help
.PHONY: help install demo test check client simulate bench bench-search bench-duplicates find-everything alerts soak up down

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv and install the project with every extra

# Done again only when pyproject.toml changes: the project itself is installed in place.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 …")'
	@echo "Installing into $(VENV); the first time takes some minutes."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --editable '.[onnx,bench,bovw,evaluate,train,test]'
	@$(BIN)/pip install --quiet --editable '.[copies]' || echo 'Without a C++ compiler there are no copy codes (CATALOGUE_COPY_CODES).'
	@touch $@

demo: install ## Index a drawn catalogue and serve the page; IMAGES=DIR: your pictures; DEMO_SECONDS=N: stop by itself
	@$(BIN)/python deploy/demo.py $(if $(IMAGES),--images "$(IMAGES)") $(if $(DEMO_SECONDS),--seconds "$(DEMO_SECONDS)")

check: install ## Format, lint and types, in seconds
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Tests wait for servers more than they compute, so there are more processes of them than a small machine has cores; each
# has servers of its own (about 3 GiB), and a file stays whole.
test: check ## The same, and all tests in WORKERS=3 processes (ARGS=… for pytest); real servers need a Docker engine
	$(BIN)/pytest --numprocesses $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder $(ARGS)

client: install ## Make deploy/client anew from the searcher's routes, after a change of the API
	$(BIN)/python deploy/client/make_client.py

simulate: install ## Run SEEDS=N simulations of the worker under faults (FIRST=N), or replay one step by step: SEED=N [RECORDS=N]
	$(BIN)/python -m tests.simulator $(if $(SEED),--seed $(SEED)) $(if $(RECORDS),--records $(RECORDS)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) $(if $(WRITE),--write $(WRITE))

bench: install ## Measure speed, each against a peer or a limit of the machine in the same run (half an hour)
	$(BIN)/python deploy/bench/forward.py
	$(BIN)/python deploy/bench/end_to_end.py
	$(BIN)/python deploy/bench/end_to_end.py --http
	$(BIN)/python deploy/bench/end_to_end.py --network vgg16
	$(BIN)/python deploy/bench/freshness.py
	$(BIN)/python deploy/bench/freshness.py --embedded
	$(BIN)/python deploy/bench/query.py
	$(BIN)/python deploy/bench/watches.py
	$(BIN)/python deploy/bench/watches.py --embedded

bench-search: install ## Measure the search strategies (a quarter of an hour); ROWS=process|http|strategies, FULL=1 (an hour), WRITE=SEARCH.md
	$(BIN)/python deploy/bench/search.py $(if $(ROWS),--rows $(ROWS)) $(if $(IMAGES),--images $(IMAGES)) $(if $(FULL),--full) $(if $(WRITE),--write $(WRITE))

bench-duplicates: install ## Count the copies and variants that are found as duplicates (five minutes); WRITE=EVALUATION.md
	$(BIN)/python deploy/bench/duplicates.py $(if $(WRITE),--write $(WRITE))

find-everything: install ## Count the judgements that a simulated analyst needs to find everything (ten minutes); WRITE=1
	$(BIN)/python deploy/bench/find_everything.py $(if $(WRITE),--write)

alerts: install ## Kill a worker ten times beside 1,000 watches and 500 images a second, and count missing and doubled alerts
	$(BIN)/python deploy/bench/alerts.py
	$(BIN)/python deploy/bench/alerts.py --searchers 2
	$(BIN)/python deploy/bench/alerts.py --embedded

soak: install ## Break every part for MINUTES=30, then compare the index with a model; WRITE=FILE keeps the figures
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write $(WRITE))

up: .env ## Kafka, Elasticsearch, indexer, searcher and Prometheus in containers
	docker compose up --build --detach
	@echo "Page http://127.0.0.1:8080, Kafka 127.0.0.1:9092, Elasticsearch 127.0.0.1:9200, Prometheus 127.0.0.1:9090."
	@docker compose logs --no-log-prefix key
	@echo "Sign in with that key. Next: indexer produce --demo 300"

down: ## Stop the containers; their volumes stay
	docker compose down

.env:
	cp .env.example $@
