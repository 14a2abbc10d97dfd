# `make` lists the targets; each line with two hashes is its help.

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.DEFAULT_GOAL := help
.PHONY: screenshots help setup demo test test-fast test-long campaign shake soak lint bench docs firmware

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup: ## make .venv and install what the system lacks; does nothing when all is there
	@sh Makefile.d/setup.sh

demo: setup ## run a whole simulated session of a minute and a half, with screen, board and report
	$(BIN)/bci run configs/demo.toml --headless

test: setup ## run the tests, in random order (some 11 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not long and not timed" --numprocesses 4
	$(BIN)/python -m pytest -m "timed and not long" $$(grep -rl --include=*.py mark.timed tests)

test-fast: setup ## run the quick tests of single modules
	$(BIN)/python -m pytest tests/unit -m "not long and not timed and not slow" --numprocesses 3

shake: setup ## run FILES="tests/…" ten times beside busy loops, stopped now and then
	$(BIN)/python Makefile.d/shake.py $(FILES)

test-long: setup ## run the tests that take long: cohorts, soaks, many repeats
	$(BIN)/python -m pytest -m long --timeout 3600 --hypothesis-profile=explore

soak: setup ## run sessions for hours (24 h at speed, 1 h in real time): does anything grow or slow down?
	$(BIN)/python tests/soak.py

campaign: setup ## disturb sessions and damage files, again and again: campaign/table.md; goes on if interrupted
	cd tests && $(CURDIR)/$(BIN)/python -m campaign

lint: setup ## check style, types and the layers between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python Makefile.d/as_installed.py
	$(BIN)/mypy
	$(BIN)/mypy --platform win32
	$(BIN)/mypy --platform darwin
	cd .venv/as_installed && $(CURDIR)/$(BIN)/lint-imports --config $(CURDIR)/pyproject.toml

bench: setup ## measure latency and throughput against the figures in the README
	$(BIN)/bci bench loop
	$(BIN)/bci bench stream
	$(BIN)/bci bench board
	$(BIN)/bci bench window

screenshots: setup ## run a session and take a picture of every page of the window, for docs/images
	$(BIN)/python -m bci.gui.screenshots docs/images

firmware: setup ## compile the board's firmware and the bench that runs it in simavr
	@$(MAKE) --no-print-directory -C hardware/board/chip_bench
	@$(MAKE) --no-print-directory -C hardware/board/firmware all size

docs: setup ## write the settings to docs/settings.md and, for editors, to configs/schema
	$(BIN)/python -m bci.config.schema
	$(BIN)/python -m bci.config.reference
