# make demo   see DiffusionMTL train, be tested and draw, from nothing (CPU is enough)
# make test   the whole test suite in its own environment; make test-fast what takes minutes
# make lint   style, spelling, types
#
# PYTHON=python3.12 picks the interpreter, VENV=dir the environment's place, TORCH='torch==2.13.0'
# the torch to install (any requirement or options that pip takes).
# JOBS=N is how many tests run at once: one more than two cores, since some wait for others.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
RUN := $(BIN)/python
JOBS ?= 3
# Bytecode is kept, whatever the shell says: tests start programs, which would compile all again.
export PYTHONDONTWRITEBYTECODE :=

ROOT := $(or $(MTPSL_DATA),data)/synthetic/PASCALContext
MAPPING := $(ROOT)/label_mappings/onelabel.json
TRAIN := 800
VAL := 80
CONFIG := configs/synthetic/demo.py
WORK := work_dirs/demo

.PHONY: env demo test test-fast lint clean
.DELETE_ON_ERROR:

env: $(VENV)/.installed

# All that the tests need. Where a system has no OpenGL library, OpenCV's build without windows takes
# the place of the other.
$(VENV)/.installed: setup.py $(wildcard requirements/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.10 or later is needed:" \
	  "make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing into $(VENV): PyTorch, the OpenMMLab packages, MTPSL. A few minutes ..."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet $(TORCH) -r requirements/mminstall.txt -r requirements/runtime.txt
	$(RUN) -m pip install --quiet -r requirements/tests.txt
	$(RUN) -c 'import cv2' 2>/dev/null || { $(RUN) -m pip uninstall --quiet --yes opencv-python \
	  && $(RUN) -m pip install --quiet opencv-python-headless; }
	$(RUN) -m pip install --quiet --no-deps --editable .
	touch $@

# Each step is done again only where what it stands on is newer; training goes on where it stopped.
demo: $(WORK)/metrics.json
	@printf '\n%s\n\n' "DiffusionMTL on synthetic scenes, one label an image ($(CONFIG)):"
	@cat $(WORK)/metrics.md
	@printf '%s\n' '' "metrics:    $(WORK)/metrics.json" "panels:     $(WORK)/panels/" \
	  "checkpoint: $$(cat $(WORK)/last_checkpoint)" "data:       $(ROOT)/"

$(ROOT)/synthetic.json: | env
	$(RUN) tools/dataset_converters/make_synthetic.py $(ROOT) --train $(TRAIN) --val $(VAL)

$(MAPPING): $(ROOT)/synthetic.json
	$(RUN) tools/dataset_converters/label_mapping.py generate --setting onelabel --force \
	  --ids $(ROOT)/ImageSets/Context/train.txt --out $@ \
	  --tasks semseg parsing saliency normal boundary

$(WORK)/trained: $(MAPPING) $(wildcard configs/synthetic/*.py configs/_base_/*.py configs/_base_/*/*.py)
	@if [ -f $@ ]; then old=$(WORK).$$(date +%Y%m%d_%H%M%S); mv $(WORK) $$old; \
	  echo "the data or the config changed since the last demo, which is in $$old now"; fi
	$(RUN) tools/train.py $(CONFIG) --work-dir $(WORK) --resume
	touch $@

$(WORK)/metrics.json: $(WORK)/trained
	$(RUN) tools/test.py $(CONFIG) $$(cat $(WORK)/last_checkpoint) --work-dir $(WORK) \
	  --show-dir $(WORK)/panels --show-num 12

test: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder tests

# What takes no program of its own: a few minutes.
test-fast: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m 'not slow' tests

# The hooks of .pre-commit-config.yaml that look for more than blanks, on everything.
lint: env
	$(RUN) -m ruff check .
	$(BIN)/codespell .
	$(RUN) -m mypy
	for script in tools/*.sh; do bash -n $$script || exit 1; done

clean:
	rm -rf $(VENV) $(WORK) $(ROOT)
