# `make demo` and `make test` set up what they need by themselves. `make help` lists all targets.
PYTHON ?= python3
CORES ?= 2
VENV := .venv
comma := ,
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
export PYTHONPATH := $(CURDIR)/workflow$(if $(PYTHONPATH),:$(PYTHONPATH))
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
# Without .pyc files every job would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env dev demo test quick test-slurm test-container test-nnunet docs lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

env: $(READY) ## make the virtual environment .venv from requirements.txt

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed (set PYTHON=...)"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

dev: $(DEV) ## add to .venv what tests, style and optional engines need

$(DEV): requirements-dev.txt $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: $(READY) ## run the workflow on a simulated cohort with known truth, its statistics on a table of 145
	$(BIN)/python -m glymph.simulate demo/bids demo/truth --per-group 3 --seed 1 --raters rater1 rater2 --jobs $(CORES)
	$(BIN)/snakemake --cores $(CORES) --config bids_dir=demo/bids output_dir=demo/results
	$(BIN)/python benchmarks/demo_truth.py demo/results demo/truth
	$(BIN)/python -m glymph.simulate.table demo/study.tsv
	$(BIN)/snakemake --cores $(CORES) --config metrics_table=demo/study.tsv output_dir=demo/study 'alps={axes: native}'
	@echo; echo 'One subject:          demo/results/sub-NC01/sub-NC01_qc.html'
	@echo 'The nine, to review:  demo/results/report/qc.html'
	@echo 'Report of the nine:   demo/results/report/report.html'
	@echo 'Report of a table of 145 with the means of a published study: demo/study/report/report.html'

test: $(DEV) ## run all tests
	$(BIN)/python -m pytest -q -m "not slow" -n $(CORES) tests
	$(BIN)/python -m pytest -q -m slow -n $(CORES) --dist loadfile --durations 10 tests  # a file shares its cohort

LONG := train simulate report dwi/test_register.py dwi/test_gradient_check.py anat/test_mask_check.py \
	epvs/test_prepare.py stats/test_odd_cohorts.py workflow/test_dag.py workflow/test_intake.py workflow/test_fsl.py
quick: $(DEV) ## while you write: 1,400 tests in two minutes
	$(BIN)/python -m pytest -q -m "not slow" -n $(CORES) tests $(LONG:%=--ignore tests/%)

test-slurm: $(DEV) ## as root on Debian: start a SLURM on this machine and run the workflow through it
	GLYMPH_SLURM=1 $(BIN)/python -m pytest -q -rsP tests/slurm

test-container: $(DEV) ## as root on Debian with buildah and mmdebstrap: build the Dockerfile, run a subject in it
	GLYMPH_CONTAINER=1 $(BIN)/python -m pytest -q -rsP tests/container

# One command, or torchvision brings another torch; where there is a CPU build of it, pip takes that.
test-nnunet: $(DEV) ## install nnU-Net (in an environment of its own), train it and run the workflow with it
	$(PYTHON) -m venv .venv-nnunet
	.venv-nnunet/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 nnunetv2==2.8.1
	GLYMPH_NNUNET=$(CURDIR)/.venv-nnunet/bin $(BIN)/python -m pytest -q -rsP tests/epvs/test_nnunet.py

docs: ## build the documentation in site/ (in an environment of its own)
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check mkdocs-material==9.8.1
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

lint: $(DEV) ## check style: ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/python -m glymph.simulate demo/lint demo/linttruth --per-group 1 --light --seed 1
	$(BIN)/snakemake --lint --config bids_dir=demo/lint output_dir=demo/lintresults

format: $(DEV) ## apply ruff and snakefmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

HEAD = \# Exact versions that are tested, of what $(1); made by `make lock` from pyproject.toml. Install with: make $(2)
# What a run needs, in the versions that are tested: pip's own choice, held to those of .venv.
lock: $(DEV) ## write the installed versions into requirements-dev.txt, and those that a run needs into requirements.txt
	{ echo '$(call HEAD,tests$(comma) style and optional engines need too,dev)'; $(BIN)/pip freeze | sed 's/+cpu$$//'; } > requirements-dev.new
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.in
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check -r requirements.in -c requirements-dev.new
	{ echo '$(call HEAD,a run needs,env)'; .venv-lock/bin/pip freeze | sed 's/+cpu$$//'; } > requirements.new
	mv requirements.new requirements.txt
	mv requirements-dev.new requirements-dev.txt
	rm -rf requirements.in .venv-lock

clean: ## remove the demo, caches and the environment
	rm -rf demo site .venv-docs .venv-nnunet $(VENV) .snakemake .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
