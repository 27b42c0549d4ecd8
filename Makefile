# `make train` trains the demo, `make test` checks everything; both need python3 and make, and install the rest into .venv.

PYTHON ?= python3
VENV ?= .venv

# make train
KIMG ?= 60
TICK_KIMG ?= 5
IMAGE_TICKS ?= 2
NETWORK_TICKS ?= 4
TRAIN_FLAGS ?=

# make test
TESTS ?=
PYTEST_FLAGS ?= -n auto --maxprocesses=4 --dist=worksteal

# make test-browser
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome-stable google-chrome,$(shell command -v $(name))))

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

export TF_CPP_MIN_LOG_LEVEL ?= 2

# make gallery
GALLERY_NETWORK ?= $(lastword $(sort $(wildcard results/*/network-snapshot-*.pkl)))

.PHONY: help venv ops train gallery test test-browser chromium lint format clean
.DEFAULT_GOAL := help

help:
	@echo 'make train    train on handwritten digits, into results/ (KIMG=$(KIMG) thousand images; TRAIN_FLAGS=... adds options)'
	@echo 'make gallery  make the pictures of the README again (GALLERY_NETWORK=... names the network; else the newest in results/)'
	@echo 'make test     lint, format check, make ops, all tests (TESTS=tests/ops picks some, without the rest)'
	@echo 'make test-browser   the page of tf_stylegan.explore in a real Chromium (CHROMIUM=... names another one)'
	@echo 'make lint     lint and format check only'
	@echo 'make format   mend what lint and format can mend'
	@echo 'make ops      compile what can be compiled (g++; CUDA with nvcc); nothing needs it, it is only faster'
	@echo 'make venv     install into $(VENV) with $(PYTHON) (PYTHON=..., VENV=...)'
	@echo 'make clean    remove build leftovers and caches; results, datasets and $(VENV) stay'

venv: $(INSTALLED)

$(INSTALLED): setup.cfg setup.py
	@command -v $(PYTHON) >/dev/null || { echo 'No $(PYTHON) here: install Python 3.10 to 3.13, or name one: make venv PYTHON=/path/to/python3'; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { echo '$(PYTHON) is not one of Python 3.10 to 3.13, which TensorFlow 2.21 is made for: name one, as in make venv PYTHON=python3.11'; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu: sudo apt install python3-venv), then run make again'; exit 2; }
	@echo 'Installing into $(VENV): some 600 MB to fetch, 2.4 GB on disk; give it a few minutes.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[demo,dev]'
	@touch $@

# Made beside and moved, so that an interrupted conversion is never taken for a dataset.
datasets/digits: | $(INSTALLED)
	rm -rf datasets/.partial
	mkdir -p datasets/.partial
	$(BIN)/python tools/convert_tfrecords.py create_digits datasets/.partial/digits
	mv datasets/.partial/digits $@
	rmdir datasets/.partial

train: $(INSTALLED) datasets/digits
	$(BIN)/python -m tf_stylegan.run_training --data-dir=./datasets --dataset=digits --config=config-f --metrics=none \
	    --fmap-base=512 --fmap-max=64 --latent-size=64 --mapping-layers=4 \
	    --minibatch-size=32 --minibatch-gpu=32 --gamma=1 --ema-kimg=1 --total-kimg=$(KIMG) \
	    --tick-kimg=$(TICK_KIMG) --image-snapshot-ticks=$(IMAGE_TICKS) --network-snapshot-ticks=$(NETWORK_TICKS) $(TRAIN_FLAGS)

gallery: $(INSTALLED)
	@test -n '$(GALLERY_NETWORK)' || { echo 'No network in results/: run make train first, or name one: make gallery GALLERY_NETWORK=FILE'; exit 2; }
	$(BIN)/python tools/make_gallery.py '$(GALLERY_NETWORK)' docs/gallery

# Whatever the machine lacks is said and done without.
ops: $(INSTALLED)
	$(BIN)/python -m tf_stylegan.doctor --build

# With the compiled operations where there is a compiler, so that both implementations are tested.
test: $(if $(TESTS),,lint ops) $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(TESTS)

# Apart from `make test`: it needs a browser.
test-browser: chromium $(VENV)/.browser
	CHROMIUM='$(CHROMIUM)' $(BIN)/python -m pytest tests/browser

chromium:
	@command -v '$(CHROMIUM)' >/dev/null || { echo 'No $(or $(CHROMIUM),Chromium) here: install one (Debian, Ubuntu: sudo apt install chromium) or name one: make test-browser CHROMIUM=/path/to/chrome'; exit 2; }

$(VENV)/.browser: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[explore,browser]'
	@touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist *.egg-info tf_stylegan/ops/compiled_*.so .pytest_cache .ruff_cache .hypothesis
	find tf_stylegan tools tests -name __pycache__ -prune -exec rm -rf {} +
