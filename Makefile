# Every command installs what it needs. `make run` and `make test` are the two to know.

SHELL := /bin/bash
BIN := .venv/bin
INSTALL_INPUTS := pyproject.toml tools/install.sh
NODE_INPUT := e2e/node/package.json
LUA := apisix runtime/lite
SHELL_SCRIPTS := tools/install.sh .ci/run containerapp/*.sh
PYTHON := renderer runtime containerapp e2e tests tools

.PHONY: help install run demo test soak check format docs pin clean

help: ## show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed-dev ## install everything that the other commands need

.venv/.installed-run: $(INSTALL_INPUTS)
	@tools/install.sh run

.venv/.installed-dev: $(INSTALL_INPUTS) $(NODE_INPUT)
	@tools/install.sh dev

run: .venv/.installed-run ## two mock Azure OpenAI backends and the gateway, on this machine
	@$(BIN)/python -m runtime.playground

demo: .venv/.installed-dev ## the same, driven by the official openai SDK; prints what happened
	@$(BIN)/python -m runtime.demo

test: .venv/.installed-dev ## every test that ends within minutes
	@$(BIN)/pytest -m "not soak"

soak: .venv/.installed-dev ## the long ones
	@$(BIN)/pytest -m soak --timeout 3600 e2e

check: .venv/.installed-dev ## format, lint, types
	$(BIN)/ruff format --check $(PYTHON)
	$(BIN)/ruff check $(PYTHON)
	$(BIN)/mypy
	luacheck --quiet $(LUA)
	shellcheck $(SHELL_SCRIPTS)
	$(BIN)/python tools/pin.py --check
	$(BIN)/python tools/gen_configuration_docs.py --check

format: .venv/.installed-dev ## apply the formatter
	$(BIN)/ruff format $(PYTHON)
	$(BIN)/ruff check --fix $(PYTHON)

docs: .venv/.installed-dev ## write the generated reference
	$(BIN)/python tools/gen_configuration_docs.py

pin: .venv/.installed-dev ## renew the pinned versions in pyproject.toml
	$(BIN)/python tools/pin.py

clean: ## remove what install and run made
	rm -rf .venv .gateway e2e/node/node_modules
