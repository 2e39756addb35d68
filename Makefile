# make demo   set up .venv and swap a face: source, target, result and mask on one sheet
# make test   set up .venv and run all tests that do not need ComfyUI
# make fuzz   corrupt files of every kind that is read for MINUTES (1), and write the counts into docs/reliability.md
# make lint   ruff, mypy and the check of the ComfyUI registry
# make docs   build the documentation into site/; a broken link is an error
# make test-comfyui  test the pack in a real ComfyUI and a real browser (COMFYUI_PATH; screenshots go to SCREENSHOTS);
#                    with -j2 in two ComfyUIs in parallel
# make test-comfyui-versions  the tests of the templates in the lowest and newer versions of ComfyUI, canvas and Nodes 2.0
#                    (COMFYUI_PATH, COMFYUI_NEWER, COMFYUI_NEWEST_FRONTEND); VERSIONS_ARGS=--write updates the docs' table
# make thumbnails | help-pictures | readme-pictures | clicks-pictures | golden   redraw the pack's pictures in a real ComfyUI
# make venv   set up .venv only
# make bench  measure the generator and whole frames against references, into docs/benchmarks (about 20 minutes)
# make gpu    correctness, speed and a new demo model on one GPU, in nine minutes, into gpu-results; nothing is installed
#             (ARGS=--quick only checks, on a CPU, that it runs)
# make assets retrain everything in styleswap_core/assets from scratch (hours on a CPU)
# make clean  remove .venv and everything that the targets above wrote outside of the repository's own files

PYTHON ?= python3
VENV ?= .venv
# Arguments of `pip install`, used only if the environment has no torch yet. On Linux the default brings CUDA libraries
# of several gigabytes; the documentation shows how to choose a CPU build instead.
TORCH ?= torch==2.13.0
DEMO_OUT ?= demo-output
PYTEST_ARGS ?= -q
# Threads per test process. The networks of the tests are tiny; more threads only wait for each other.
TEST_THREADS ?= 1
# Test processes. Tests run in random order: pytest prints the seed, and PYTEST_ARGS="--randomly-seed=N" repeats an order.
TEST_WORKERS ?= 2
# Arguments of tests/comfyui/versions.py.
VERSIONS_ARGS ?=
# Duration of `make fuzz`.
MINUTES ?= 1
SCREENSHOTS ?= comfyui-screenshots

VENV_PYTHON = $(VENV)/bin/python
PIP = "$(VENV_PYTHON)" -m pip
# The last line of a recipe writes its stamp, so a step that failed is repeated by the next make.
# VENV must not contain spaces (make splits targets at them); the path of the repository may.
STAMPS = $(VENV)/stamps

.DELETE_ON_ERROR:
.PHONY: demo test fuzz lint docs test-comfyui test-comfyui-templates test-comfyui-nodes test-comfyui-versions venv clean assets bench gpu generator-gpu thumbnails help-pictures readme-pictures clicks-pictures golden

demo: $(STAMPS)/core
	OMP_WAIT_POLICY=PASSIVE "$(VENV)/bin/styleswap" demo --out "$(DEMO_OUT)"

# Compiled modules are kept, whatever the environment says: tests start many processes that import them.
test: $(STAMPS)/test
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=$(TEST_THREADS) "$(VENV_PYTHON)" -m pytest -m "not comfyui" -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

fuzz: $(STAMPS)/test
	OMP_NUM_THREADS=$(TEST_THREADS) "$(VENV_PYTHON)" tests/fuzz/fuzz.py --minutes $(MINUTES) --write

# comfy-cli keeps its settings in the home folder and asks about telemetry once; neither must happen here.
lint: $(STAMPS)/lint $(STAMPS)/comfy-cli
	"$(VENV)/bin/ruff" check
	"$(VENV)/bin/ruff" format --check
	MYPY="$(VENV)/bin/mypy" .ci/mypy
	HOME="$(abspath $(VENV))" DO_NOT_TRACK=1 "$(VENV)/comfy-cli/bin/comfy" --skip-prompt --no-enable-telemetry node validate </dev/null

docs: $(STAMPS)/docs
	"$(VENV)/bin/mkdocs" build --strict

# Without ComfyUI these tests are skipped, and -rs prints how to get it. Not in random order: they share running servers,
# and the tests of the templates reuse each other's results from ComfyUI's cache.
TEMPLATE_TESTS = $(addprefix tests/comfyui/, test_browser.py test_templates.py)
COMFYUI_TESTS = OMP_NUM_THREADS=$(TEST_THREADS) COMFYUI_SCREENSHOTS="$(SCREENSHOTS)" "$(VENV_PYTHON)" -m pytest -rs -p no:randomly $(PYTEST_ARGS)

test-comfyui: test-comfyui-nodes test-comfyui-templates

test-comfyui-templates: $(STAMPS)/browser
	$(COMFYUI_TESTS) $(TEMPLATE_TESTS)

test-comfyui-nodes: $(STAMPS)/browser
	$(COMFYUI_TESTS) tests/comfyui $(TEMPLATE_TESTS:%=--ignore=%)

test-comfyui-versions: $(STAMPS)/browser
	OMP_NUM_THREADS=$(TEST_THREADS) COMFYUI_SCREENSHOTS="$(SCREENSHOTS)" "$(VENV_PYTHON)" tests/comfyui/versions.py $(VERSIONS_ARGS) $(PYTEST_ARGS)

thumbnails golden: $(STAMPS)/browser
	"$(VENV_PYTHON)" tests/comfyui/draw.py $@

help-pictures readme-pictures clicks-pictures: $(STAMPS)/browser
	"$(VENV_PYTHON)" tests/comfyui/draw.py $(@:-pictures=)

# Environment variables limit the instruction sets that are used, see benchmarks/machine.py; benchmarks/speed_beside.py
# writes one page from the results of several machines, and benchmarks/startup.py measures how long everything takes to start.
# BENCH_ARGS: --threads N, --device cuda, --presets NAME ..., --rounds N, --minutes N; --quick only checks that it runs.
BENCH_OUT ?= docs/benchmarks
BENCH_ARGS ?=

bench: $(STAMPS)/test
	"$(VENV_PYTHON)" benchmarks/speed.py --out "$(BENCH_OUT)" $(BENCH_ARGS)

# Nothing is installed or fetched: the environment is used as it is, or $(PYTHON) if there is none.
GPU_OUT ?= gpu-results
ARGS ?=
GPU_RUN = "$(or $(wildcard $(VENV_PYTHON)),$(PYTHON))" benchmarks/gpu/gpu_run.py

gpu:
	$(GPU_RUN) --out "$(GPU_OUT)" $(ARGS)

venv: $(STAMPS)/core

$(STAMPS)/venv:
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info[:2] >= (3, 10) else 'expected Python 3.10 or newer, got ' + sys.version.split()[0] + '; choose another: make PYTHON=python3.12')"
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
	$(PIP) install -e ".[c2pa,heic,train,test]"
	touch "$@"

# mypy reads the types of the packages that the core imports.
$(STAMPS)/lint: $(STAMPS)/test
	$(PIP) install -e ".[lint]"
	touch "$@"

# comfy-cli has an environment of its own: it depends on some fifty packages.
$(STAMPS)/comfy-cli: $(STAMPS)/venv
	"$(VENV_PYTHON)" -m venv "$(VENV)/comfy-cli"
	"$(VENV)/comfy-cli/bin/python" -m pip install comfy-cli
	touch "$@"

$(STAMPS)/docs: $(STAMPS)/core
	$(PIP) install -e ".[docs]"
	touch "$@"

$(STAMPS)/browser: $(STAMPS)/test
	$(PIP) install -e ".[browser]"
	touch "$@"

# The recipe of every file in styleswap_core/assets. Each step can be interrupted and run again; finished files are kept.
DATA ?= runs/data
ASSETS = styleswap_core/assets
STYLESWAP = "$(VENV)/bin/styleswap"

assets: $(ASSETS)/generator.safetensors $(ASSETS)/judge.onnx $(ASSETS)/regressors.safetensors $(ASSETS)/demo_pack/det_demo.onnx

include assets.mk

clean:
	rm -rf "$(VENV)" "$(DEMO_OUT)" "$(SCREENSHOTS)" "$(GPU_OUT)" site build styleswap.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find styleswap_core nodes tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
