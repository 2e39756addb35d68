# make demo   set up .venv and swap a face: source, target, result and mask on one sheet
# make test   set up .venv and run all tests that need no ComfyUI
# make lint   ruff and mypy
# make docs   build the documentation into site/; a broken link is an error
# make test-comfyui  run the pack in a real ComfyUI and a real browser (COMFYUI_PATH; screenshots go to SCREENSHOTS);
#                    with -j2 in two ComfyUIs side by side
# make thumbnails | help-pictures | readme-pictures | golden   draw the pack's pictures anew in a real ComfyUI
# make venv   only set up
# make bench  measure the generator and whole frames against references, into docs/benchmarks (some 20 minutes)
# make assets train everything that ships in styleswap_core/assets again, from nothing (hours on a CPU)
# make clean  remove .venv and what the demo and the tests wrote

PYTHON ?= python3
VENV ?= .venv
# Words for `pip install`, used only where the environment has no torch yet. On Linux the default brings CUDA
# libraries of several gigabytes; the README says how to choose a CPU build instead.
TORCH ?= torch==2.13.0
DEMO_OUT ?= demo-output
PYTEST_ARGS ?= -q
# The tests' networks are tiny, and threads that wait for each other slow a busy machine down many times over.
TEST_THREADS ?= 1
# Processes that share the tests, which run in random order: pytest prints the seed, and PYTEST_ARGS="--randomly-seed=N" repeats an order.
TEST_WORKERS ?= 2
SCREENSHOTS ?= comfyui-screenshots

VENV_PYTHON = $(VENV)/bin/python
PIP = "$(VENV_PYTHON)" -m pip
# A stamp is written by the last line of its recipe, so a step that failed is done again by the next make.
# VENV may not hold spaces (make splits targets at them); the folder of the repository may.
STAMPS = $(VENV)/stamps

.DELETE_ON_ERROR:
.PHONY: demo test lint docs test-comfyui test-comfyui-templates test-comfyui-nodes venv clean assets bench thumbnails help-pictures readme-pictures golden

demo: $(STAMPS)/core
	OMP_WAIT_POLICY=PASSIVE "$(VENV)/bin/styleswap" demo --out "$(DEMO_OUT)"

test: $(STAMPS)/test
	OMP_NUM_THREADS=$(TEST_THREADS) "$(VENV_PYTHON)" -m pytest -m "not comfyui" -n $(TEST_WORKERS) $(PYTEST_ARGS)

lint: $(STAMPS)/lint
	"$(VENV)/bin/ruff" check
	"$(VENV)/bin/ruff" format --check
	"$(VENV)/bin/mypy"

docs: $(STAMPS)/docs
	"$(VENV)/bin/mkdocs" build --strict

# Without ComfyUI its tests are skipped; -rs prints how to get it. Those of the templates share what they ran.
TEMPLATE_TESTS = $(addprefix tests/comfyui/, test_browser.py test_templates.py)
COMFYUI_TESTS = OMP_NUM_THREADS=$(TEST_THREADS) COMFYUI_SCREENSHOTS="$(SCREENSHOTS)" "$(VENV_PYTHON)" -m pytest -rs $(PYTEST_ARGS)

test-comfyui: test-comfyui-nodes test-comfyui-templates

test-comfyui-templates: $(STAMPS)/browser
	$(COMFYUI_TESTS) $(TEMPLATE_TESTS)

test-comfyui-nodes: $(STAMPS)/browser
	$(COMFYUI_TESTS) tests/comfyui $(TEMPLATE_TESTS:%=--ignore=%)

thumbnails golden: $(STAMPS)/browser
	"$(VENV_PYTHON)" tests/comfyui/draw.py $@

help-pictures readme-pictures: $(STAMPS)/browser
	"$(VENV_PYTHON)" tests/comfyui/draw.py $(@:-pictures=)

# BENCH_ARGS: --threads N, --device cuda, --presets NAME ..., --rounds N, --minutes N; --quick only shows that everything works.
BENCH_OUT ?= docs/benchmarks
BENCH_ARGS ?=

bench: $(STAMPS)/test
	"$(VENV_PYTHON)" benchmarks/speed.py --out "$(BENCH_OUT)" $(BENCH_ARGS)

venv: $(STAMPS)/core

$(STAMPS)/venv:
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] else 'Python 3.10 or newer is needed, this is ' + sys.version.split()[0] + '; choose another: make PYTHON=python3.12')"
	$(PYTHON) -m venv "$(VENV)"
	mkdir -p "$(STAMPS)"
	touch "$@"

$(STAMPS)/torch: $(STAMPS)/venv
	"$(VENV_PYTHON)" -c "import torch" 2>/dev/null || $(PIP) install $(TORCH)
	touch "$@"

$(STAMPS)/core: $(STAMPS)/torch pyproject.toml
	$(PIP) install -e .
	touch "$@"

$(STAMPS)/test: $(STAMPS)/core
	$(PIP) install -e ".[train,test]"
	touch "$@"

# mypy reads the types of what the core imports, so lint needs the core's dependencies too.
$(STAMPS)/lint: $(STAMPS)/test
	$(PIP) install -e ".[lint]"
	touch "$@"

$(STAMPS)/docs: $(STAMPS)/core
	$(PIP) install -e ".[docs]"
	touch "$@"

# playwright is only the driver; the browser is the machine's own Chromium.
$(STAMPS)/browser: $(STAMPS)/test
	$(PIP) install -e ".[browser]"
	touch "$@"

# The recipe of every file in styleswap_core/assets. Each step may be stopped and run again; a finished file is kept.
DATA ?= runs/data
ASSETS = styleswap_core/assets
STYLESWAP = "$(VENV)/bin/styleswap"
COLUMNS = $(STYLESWAP) render columns

assets: $(ASSETS)/generator.safetensors $(ASSETS)/judge.onnx $(ASSETS)/regressors.safetensors $(ASSETS)/demo_pack/det_demo.onnx

include assets.mk

clean:
	rm -rf "$(VENV)" "$(DEMO_OUT)" "$(SCREENSHOTS)" site build styleswap.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find styleswap_core nodes tests -name __pycache__ -type d -prune -exec rm -rf {} +
