# `make run` and `make test` need a Python from 3.11 to 3.14 and nothing else; they make a virtual environment first.
#
#   PYTHON=python3.12   the interpreter (default: the newest that .ci/find-python finds)
#   DJANGO=5.2.*        the Django (default: the newest that requirements.txt allows)
#   VENV=.venv          where it goes
#   LINT=no             `make test` without lint, format check and types
#   WORKERS=2           test processes side by side
#   PYTEST=...          arguments for pytest, such as PYTEST="tests/test_up.py -x"
#   LIVE=...            arguments for `make bench-live`, such as LIVE="--alone --quick"
#   TASKS=...           arguments for `make bench-tasks`, such as TASKS="--only celery,huey --quick"
#   STRESS=...          arguments for `make stress`, such as STRESS="--steps 200 --clients 400 --seed 7"
#   ROUNDS=31 SEED=1    of `make chaos`: faults in each case, about 1,250 in all (an hour); CHAOS="--database postgresql
#                       --server redis --only TEXT --variant NAME --json FILE"
#   ROUNDS=20 SEED=1 SEEDS=5  of `make kills`: kills for each seed, the first seed, how many of them;
#                       KILLS="--tasks 6000 --kinds pause,redis,deploy,link,old" for other faults than kill -9
#
# A recipe that fails makes `make` exit with 2, whatever its own code was: `make` prints that one as "Error 3".

VENV ?= .venv
PYTHON ?=
DJANGO ?=
WORKERS ?= 2
PYTEST ?=
LINT ?=
ROUNDS ?= 31
SEED ?= 1
SEEDS ?= 5
CHAOS ?=
KILLS ?=
LIVE ?=
TASKS ?=
PEERS ?= .venv-peers
STRESS ?=
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint format pytest bench bench-live bench-page bench-tasks chaos kills stress outside clean install install-dev

help: ## what there is to make
	@sed -n "s/^\([a-z-]*\):.*## /\1|/p" Makefile | awk -F"|" "{ printf \"make %-11s %s\\n\", \$$1, \$$2 }"

run: install ## the whole site in this terminal; PORT=8080 make run
	@exec $(BIN)/python manage.py up

test: $(if $(filter no,$(LINT)),,lint) pytest ## all that CI runs: lint, format, types, tests

lint: install-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pytest: install-dev ## the tests alone
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

bench: install-dev ## measure, and fail when a figure misses its bound
	$(BIN)/python -m benchmarks

bench-live: install-dev ## measure 1,000 to 5,000 open streams, beside nchan and django-eventstream
	$(BIN)/python -m benchmarks.live $(LIVE)

bench-page: install-dev ## measure how the live page scrolls with 10,000 messages, and at 500 a second
	$(BIN)/python -m benchmarks.page

bench-tasks: install-dev ## measure tasks that do nothing, beside Celery, Dramatiq, huey and taskiq
	@.ci/install "$(PEERS)" benchmarks/tasks/requirements.txt "$(PYTHON)" || echo "Goes on without the others." >&2
	$(BIN)/python -m benchmarks.tasks --peers $(PEERS)/bin/python $(TASKS)

chaos: install-dev ## inject faults into real processes, and fail when a promise is broken
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED) $(CHAOS)

outside: install-dev ## other projects' tests of Django Tasks against our backend; fetches them
	$(BIN)/python -m tests.outside

kills: install-dev ## kill workers in the middle of their tasks, and fail when one is lost or runs twice for nothing
	$(BIN)/python -m tests.kills --rounds $(if $(filter file,$(origin ROUNDS)),20,$(ROUNDS)) --seed $(SEED) --seeds $(SEEDS) $(KILLS)

stress: install-dev ## live streams under storms, restarts and wipes, and fail when a client saw what it should not
	$(BIN)/python -m tests.stress $(STRESS)

clean: ## remove what was made, but not the data in var/
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@.ci/install "$(VENV)" requirements.txt "$(PYTHON)" "$(DJANGO)"

install-dev:
	@.ci/install "$(VENV)" requirements-dev.txt "$(PYTHON)" "$(DJANGO)"
