# Two commands: `make run` and `make test`. Both set up .venv when it is missing and reuse it after.
PYTHON ?= python3
# A smaller download without CUDA: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
# Trained models of the notebooks and tests; a fresh clone starts from nothing.
export LFSSD_CACHE ?= $(CURDIR)/build/cache

# One file or notebook a worker, one thread each: images this small gain nothing from more threads.
PARALLEL := -n logical --maxprocesses 8 --dist loadfile
run test notebooks: export OMP_NUM_THREADS := 1

.PHONY: run test lab bench study reproduce notebooks clean

run: .venv/.ready
	$(BIN)/python scripts/notebooks.py run
	$(BIN)/python scripts/headline.py

test: .venv/.ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(PARALLEL) tests
	$(BIN)/python -m pytest $(PARALLEL) --nbval-lax --nbval-current-env notebooks

lab: .venv/.ready
	$(BIN)/jupyter lab notebooks

bench: .venv/.ready
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_sweep.py

# The records behind notebooks 04 to 07 and 09: under two hours on two cores, resumable (make study JOBS=16).
study: .venv/.ready
	$(BIN)/python scripts/study.py $(if $(JOBS),--jobs $(JOBS))

# The published experiments on CIFAR and faces: a plan, then hours on a GPU; resumable. Without one:
# make reproduce PROFILE=small OPTIONS="--stages cifar100-class-resnet18". Notebook 13 reads the tables.
PROFILE ?= paper
reproduce: .venv/.ready
	$(BIN)/lfssd-nb reproduce --profile $(PROFILE) $(OPTIONS) --out build/reproduce/$(PROFILE)
	mkdir -p notebooks/records/reproduction/my-$(PROFILE)
	cp build/reproduce/$(PROFILE)/*.csv notebooks/records/reproduction/my-$(PROFILE)/

# Writes the committed .ipynb anew from notebooks/text/*.md, outputs included.
notebooks: .venv/.ready
	$(BIN)/python scripts/notebooks.py refresh

.venv/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lfssd_nb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install torch torchvision --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install -e ".[test]"
	touch $@

clean:
	rm -rf build
