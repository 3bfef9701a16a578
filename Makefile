# Two commands: `make run` and `make test`. Both set up .venv when it is missing and reuse it after: run installs
# what the pages need, test adds the test tools (Ray, Dask, Optuna, a browser driver, ruff).
PYTHON ?= python3
# A smaller download without CUDA: make run TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
# Trained models of the notebooks and tests; a fresh clone starts from nothing.
export LFSSD_CACHE ?= $(CURDIR)/build/cache

# One file or notebook a worker, one thread each.
PARALLEL := -n logical --maxprocesses 8 --dist loadfile
test: export OMP_NUM_THREADS := 1
# Guards against a kernel that hangs; generous, for slow and busy machines.
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout 3600 --nbval-kernel-startup-timeout 600

.PHONY: run test torture recheck lab book bench study reproduce notebooks release otter clean

run: .venv/.run
	@echo "Starting Python and PyTorch; for the first time that can take a minute."
	$(BIN)/python scripts/notebooks.py run

# All of it to the end, so that one failure hides no other; the exit code tells.
test: .venv/.test
	@failed=; \
	$(BIN)/ruff check . || failed="$$failed ruff-check"; \
	$(BIN)/ruff format --check . || failed="$$failed ruff-format"; \
	$(BIN)/python -m pytest $(PARALLEL) tests || failed="$$failed pytest"; \
	$(BIN)/python -m pytest $(PARALLEL) $(NBVAL) notebooks || failed="$$failed nbval"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

# Is anything lost when it is killed? 50 kills at random moments, about a quarter of an hour on two busy cores.
torture: .venv/.test
	$(BIN)/python scripts/torture.py

# Do the claims of the pages hold for other training seeds and processors? About an hour on two cores, resumable.
recheck: .venv/.test
	$(BIN)/python scripts/recheck.py

lab: .venv/.run
	$(BIN)/jupyter lab notebooks

# The executed pages and the reference as a site, in build/book/html. With the address of your repository,
# make book REPO=https://github.com/ME/lfssd_nb (BRANCH=main), its pages open on Colab and Binder.
REPO ?=
BRANCH ?= main
book: .venv/.book
	$(BIN)/python book/build.py -q --branch $(BRANCH) $(if $(REPO),--repo $(REPO))

bench: .venv/.run
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_models.py
	$(BIN)/python scripts/bench_sweep.py

# The records behind notebooks 04 to 09 and 12, resumable (make study JOBS=16). Three and a half hours on two
# cores with AVX2, half of them tuning and comparison; check_study.py computes a random twentieth of every table anew.
study: .venv/.test
	$(BIN)/python scripts/study_plan.py
	$(BIN)/python scripts/study.py $(if $(JOBS),--jobs $(JOBS))
	$(BIN)/python scripts/study_audit.py $(if $(JOBS),--jobs $(JOBS))

# The published experiments on CIFAR and faces: a plan, then hours on a GPU; resumable. Without one:
# make reproduce PROFILE=small OPTIONS="--stages cifar100-class-resnet18". Notebook 11 reads the tables.
PROFILE ?= paper
reproduce: .venv/.run
	$(BIN)/lfssd-nb reproduce --profile $(PROFILE) $(OPTIONS) --out build/reproduce/$(PROFILE)
	mkdir -p notebooks/records/reproduction/my-$(PROFILE)
	cp build/reproduce/$(PROFILE)/*.csv notebooks/records/reproduction/my-$(PROFILE)/

# Writes the committed .ipynb anew from notebooks/text/*.md, outputs included.
notebooks: .venv/.test
	$(BIN)/python scripts/notebooks.py refresh

# The labs of a course for nbgrader (INSTRUCTORS.md): make release COURSE=/path/to/the/course
COURSE ?= build/labs
release: .venv/.labs
	$(BIN)/python scripts/labs.py $(COURSE)

# The same labs as sources for `otter assign`, in $(COURSE)/otter; Otter-Grader itself is not needed for that.
otter: .venv/.labs
	$(BIN)/python scripts/otter_labs.py $(COURSE)

.venv/.run: EXTRAS :=
.venv/.test: EXTRAS := [test]
.venv/.labs: EXTRAS := [labs]
.venv/.book: EXTRAS := [book]
.venv/.run .venv/.test .venv/.labs .venv/.book: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lfssd_nb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into .venv, once (PyTorch with CUDA is several GB; TORCH_INDEX chooses the small CPU build) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install torch torchvision --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install -e ".$(EXTRAS)"
	@touch $@

clean:
	rm -rf build
