# make demo   see DiffusionMTL train, be tested and draw, from nothing (CPU is enough)
# make test   the whole test suite in its own environment
# make lint   style
#
# PYTHON=python3.12 picks the interpreter, VENV=dir the environment's place, TORCH='torch==2.13.0'
# the torch to install (any requirement or options that pip takes).

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
RUN := $(BIN)/python
JOBS ?= 2

DATA := data/synthetic
ROOT := $(DATA)/PASCALContext
CONFIG := configs/synthetic/diffusionmtl_onelabel.py
WORK := work_dirs/demo

.PHONY: env demo test lint clean
.DELETE_ON_ERROR:

env: $(VENV)/.installed

# Where a system has no OpenGL library, OpenCV's build without windows takes the place of the other.
$(VENV)/.installed: setup.py $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet $(TORCH) -r requirements/mminstall.txt -r requirements/runtime.txt
	$(RUN) -m pip install --quiet -r requirements/tests.txt
	$(RUN) -c 'import cv2' 2>/dev/null || { $(RUN) -m pip uninstall --quiet --yes opencv-python \
	  && $(RUN) -m pip install --quiet opencv-python-headless; }
	$(RUN) -m pip install --quiet --no-deps --editable .
	touch $@

demo: env
	@VENV=$(VENV) bash tools/demo.sh

test: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist worksteal tests

lint: env
	$(RUN) -m ruff check .
	bash -n tools/*.sh

clean:
	rm -rf $(VENV) work_dirs/demo $(DATA)
