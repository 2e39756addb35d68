"""Metadata for pip and ComfyUI, and the contents of the packages."""

import ast
import asyncio
import importlib
import importlib.util
import inspect
import itertools
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import styleswap_core
from styleswap_core.io.assets import ASSETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
MAX_ASSET_BYTES = 40 * 1000 * 1000


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _requirement_names(lines):
    lines = [line.split("#")[0].strip() for line in lines]
    return {re.split(r"[\s<>=!~;\[]", line)[0].lower() for line in lines if line}


def test_version_is_the_same_everywhere(pyproject):
    version = styleswap_core.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert pyproject["project"]["version"] == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None and newest[1] == version


def test_metadata_for_the_registries(pyproject):
    project = pyproject["project"]
    assert "comfyui" not in project["name"].lower()
    assert project["requires-python"] == ">=3.10"
    assert (ROOT / project["license"]["file"]).read_text().startswith("MIT License")
    comfy = pyproject["tool"]["comfy"]
    assert {"PublisherId", "DisplayName", "requires-comfyui"} <= set(comfy)
    assert (ROOT / comfy["Icon"]).is_file() and all((ROOT / folder).is_dir() for folder in comfy["includes"])


def test_no_dependency_is_pinned(pyproject):
    project = pyproject["project"]
    for line in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        assert not re.search(r"==|~=|<(?!=?\s*'3)", line.split(";")[0]), line


def test_requirements_are_a_subset_of_the_dependencies(pyproject):
    needed_in_comfyui = _requirement_names((ROOT / "requirements.txt").read_text().splitlines())
    assert needed_in_comfyui
    assert needed_in_comfyui <= _requirement_names(pyproject["project"]["dependencies"])


def test_command_names_a_function(pyproject):
    module_name, function = pyproject["project"]["scripts"]["styleswap"].split(":")
    module = importlib.import_module(module_name)
    assert callable(getattr(module, function))


def test_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "styleswap_core", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"styleswap {styleswap_core.__version__}"


def test_imported_packages_are_declared(pyproject):
    """Every third-party package that the core imports is a dependency or belongs to an extra of the package."""
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    lines = itertools.chain(project["dependencies"], *(extras[name] for name in ("train", "heic", "c2pa", "ray")))
    modules = {
        "c2pa-python": "c2pa",
        "opencv-python": "cv2",
        "pillow": "PIL",
        "pillow-heif": "pillow_heif",
        "protobuf": "google",
    }
    declared = {modules.get(name, name) for name in _requirement_names(lines)}
    imported = {}
    for path in (ROOT / "styleswap_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            imported |= {name.split(".")[0]: path.relative_to(ROOT).as_posix() for name in names}
    foreign = {name: path for name, path in imported.items() if name not in sys.stdlib_module_names}
    assert {name: path for name, path in foreign.items() if name not in declared} == {}


def test_assets_are_present_and_small():
    files = [path for path in ASSETS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert any(path.suffix == ".onnx" for path in files), "the demo pack is missing"
    assert (ASSETS / "generator.safetensors").is_file(), "the demo generator is missing"
    assert sum(path.stat().st_size for path in files) <= MAX_ASSET_BYTES


def _build_wheel(tmp_path):
    """Wheel and source tree; built from a copy, so that no build folder is left in the repository."""
    source = tmp_path / "source tree"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py"):
        shutil.copy2(ROOT / name, source / name)
    for name in ("styleswap_core", "nodes", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=source, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / done.stdout.split()[-1], source


def test_wheel_contains_the_whole_core_and_nothing_else(tmp_path):
    wheel_path, source = _build_wheel(tmp_path)
    with zipfile.ZipFile(wheel_path) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    core = source / "styleswap_core"
    expected = {
        path.relative_to(source).as_posix()
        for path in core.rglob("*")
        if path.is_file() and (path.suffix == ".py" or core / "assets" in path.parents)
    }
    assert packed == expected


def test_pack_imports_under_any_name_without_comfyui(monkeypatch):
    """ComfyUI imports the folder under a name derived from its path; other tools import it without ComfyUI."""
    name = "/somewhere/custom nodes/style_x_swap"
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    pack = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, pack)
    paths = list(sys.path)
    spec.loader.exec_module(pack)
    nodes = importlib.import_module(f"{name}.nodes")
    assert inspect.iscoroutinefunction(pack.comfy_entrypoint)
    assert not hasattr(pack, "NODE_CLASS_MAPPINGS"), "ComfyUI would ignore the entry point"
    assert sys.path == paths
    if importlib.util.find_spec("comfy_api") is None:
        for call in (nodes.node_classes, lambda: asyncio.run(pack.comfy_entrypoint())):
            with pytest.raises(ImportError, match="comfy"):
                call()
    for module in [key for key in sys.modules if key.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, module)
