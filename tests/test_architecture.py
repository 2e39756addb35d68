"""Structure of the source: allowed imports, lengths of files and functions, forbidden constructs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import styleswap_core

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "styleswap_core"
CORE_FILES = sorted(CORE.rglob("*.py"))
PACK_FILES = [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py"))]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
HOST_PROGRAM = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server"}

ROOM_TABLE = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """Release what was read, which the garbage collector would visit in all tests that follow."""
    yield
    for read in (_text, _tree, _syntax, _modules_imported, _names_bound):
        read.cache_clear()


def _read_rooms() -> dict[str, set[str]]:
    """Rooms and the rooms that each of them stands on, from the table in docs/architecture.md."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", ROOM_TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", below)) for room, below in rows}


ROOMS = _read_rooms()


def _reach(room: str) -> set[str]:
    """Rooms that a room may import: itself and everything below it."""
    reached = {room, "errors"}
    for below in ROOMS[room]:
        reached |= _reach(below)
    return reached


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Several tests look at each file.
@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path), filename=str(path))


@cache
def _syntax(path: Path) -> list[ast.AST]:
    """Nodes that tests look for, wherever they stand in a file."""
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler)
    return [node for node in ast.walk(_tree(path)) if isinstance(node, wanted)]


def _room(path: Path) -> str:
    """Room of a core file: `model` for model/layers.py, `losses` for losses.py."""
    relative = path.relative_to(CORE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def _modules_imported(path: Path) -> set[Path]:
    """Core files that a core file imports, inside functions too."""
    imported = set()
    for node in _syntax(path):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        package = path.parents[node.level - 1]
        assert package.is_relative_to(CORE), f"{_name(path)}:{node.lineno} imports from above the package"
        base = package.joinpath(*node.module.split(".")) if node.module else package
        for alias in node.names:
            candidates = (base / f"{alias.name}.py", base / alias.name / "__init__.py", base.with_suffix(".py"))
            imported.add(next((file for file in candidates if file.is_file()), base / "__init__.py"))
    return imported


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_imports_point_down(path):
    room = _room(path)
    if room == "__init__":
        return
    assert room in ROOMS, f"{_name(path)}: a new room needs a row in {_name(ROOM_TABLE)}"
    upward = {_room(file) for file in _modules_imported(path)} - _reach(room) - {"__init__"}
    assert not upward, f"{_name(path)} ({room}) imports {sorted(upward)}, which it does not stand on"


@pytest.mark.parametrize("path", [*CORE_FILES, *PACK_FILES], ids=_name)
def test_relative_imports_exist(path):
    """Nodes are imported in ComfyUI only, so no other test without ComfyUI sees a misspelled name."""
    for node in _syntax(path):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        package = path.parents[node.level - 1]
        module = package.joinpath(*node.module.split(".")) if node.module else package
        source = next((file for file in (module.with_suffix(".py"), module / "__init__.py") if file.is_file()), None)
        assert source, f"{_name(path)}:{node.lineno} imports {node.module}, which does not exist"
        missing = {alias.name for alias in node.names if not (module / f"{alias.name}.py").is_file()}
        missing -= _names_bound(source) | {file.name for file in module.glob("*/__init__.py")}
        assert not missing, f"{_name(path)}:{node.lineno} imports {sorted(missing)}, which {_name(source)} lacks"


@cache
def _names_bound(path: Path) -> set[str]:
    """Names at the top level of a module."""
    bound = set()
    for node in _tree(path).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        else:
            bound |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            bound |= {
                (part.asname or part.name).split(".")[0] for part in ast.walk(node) if isinstance(part, ast.alias)
            }
    return bound


def test_no_import_cycles():
    # The root package imports its public names lazily, so it is not part of the graph.
    root = CORE / "__init__.py"
    graph = {path: _modules_imported(path) - {path, root} for path in CORE_FILES if path != root}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(_name(path) for path in error.args[1]))


_CHEAP_START = """
import sys
started_with = {name.split(".")[0] for name in sys.modules}
import styleswap_core
from styleswap_core import cli
try:
    cli.main(["--help"])
except SystemExit:
    pass
usual = {"styleswap_core", *sys.stdlib_module_names, *started_with}
slow = {"importlib.metadata", "email", "http", "multiprocessing", "unittest"} & set(sys.modules)
print(sorted({name.split(".")[0] for name in sys.modules} - usual | slow), file=sys.stderr)
"""


def test_importing_the_package_and_help_are_cheap():
    """They import no other package, and none of Python's slow ones."""
    done = subprocess.run([sys.executable, "-c", _CHEAP_START], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stderr.strip() == "[]", f"{done.stderr.strip()} must be imported where they are used"
    assert "styleswap" in done.stdout


def test_public_names_exist():
    missing = [name for name in dir(styleswap_core) if not hasattr(styleswap_core, name)]
    assert not missing


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_core_imports_itself_relatively_and_never_comfyui(path):
    for node in _syntax(path):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            top = module.split(".")[0]
            assert top != "styleswap_core", f"{_name(path)}:{node.lineno} must import relatively"
            assert top not in HOST_PROGRAM, f"{_name(path)}:{node.lineno} imports {module}, which belongs to ComfyUI"


# Importable without ComfyUI: the entry point, the list of nodes, and modules with unit tests.
WITHOUT_COMFYUI = {
    "__init__.py",
    "nodes/__init__.py",
    "nodes/analysis.py",
    "nodes/swap_reports.py",
    "nodes/swap_values.py",
    "nodes/values.py",
}
# Packages that ComfyUI does not install; the pack must load without them.
NOT_BROUGHT = {"cv2", "insightface", "onnx", "onnxruntime"}


def _imports_at_the_top(path: Path) -> list[tuple[int, int, str]]:
    """(line, level, module) of each import statement at module level; several for `from . import a, b`."""
    found = []
    for node in _tree(path).body:
        if isinstance(node, ast.Import):
            found += [(node.lineno, 0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.level, node.module or ""))
            if node.level:
                above = f"{node.module}." if node.module else ""
                found += [(node.lineno, node.level, f"{above}{alias.name}") for alias in node.names]
    return found


@pytest.mark.parametrize("path", PACK_FILES, ids=_name)
def test_pack_imports(path):
    for line, level, module in _imports_at_the_top(path):
        top = module.split(".")[0]
        if level == 0:
            # As top-level names, `nodes` is ComfyUI's own module and `styleswap_core` does not exist.
            assert top not in {"nodes", "styleswap_core"} | NOT_BROUGHT, f"{_name(path)}:{line} imports {module}"
            assert _name(path) not in WITHOUT_COMFYUI or top not in HOST_PROGRAM, (
                f"{_name(path)}:{line} imports {module}"
            )
        else:
            assert not module.endswith("faces.analysis"), (
                f"{_name(path)}:{line}: the pack would not load without OpenCV"
            )
            for room in ("training", "demo_pack", "commands", "metrics"):
                assert f"styleswap_core.{room}" not in module, f"{_name(path)}:{line}: nodes must not import {room}"


def _loaded_with(*paths: Path) -> tuple[set[Path], dict[str, str]]:
    """What is loaded when files are imported.

    Returns:
        Files of the core and the pack, and the modules of other packages with the place of the import.
    """
    files: set[Path] = set()
    others: dict[str, str] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path in files:
            continue
        files.add(path)
        # Importing a module runs the `__init__.py` of the packages that it lies in.
        waiting += [folder / "__init__.py" for folder in path.parents if folder.is_relative_to(CORE)]
        for line, level, module in _imports_at_the_top(path):
            if level == 0:
                others.setdefault(module, f"{_name(path)}:{line}")
                continue
            base = path.parents[level - 1].joinpath(*module.split(".")) if module else path.parents[level - 1]
            waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return files, others


def test_nodes_load_without_the_packages_of_requirements_txt():
    """Module-level imports of the nodes, followed through the core, need none of the packages in requirements.txt."""
    files, others = _loaded_with(*(path for path in PACK_FILES if path.parent.name == "nodes"))
    assert {module: place for module, place in others.items() if module.split(".")[0] in NOT_BROUGHT} == {}
    assert CORE / "swappers" / "styleswap_network.py" in files


# What some runs need and most do not, by what must not wait for it.
SELDOM = {
    "pack": {
        "pipeline/swapper.py",
        "tracking/track.py",
        "video",
        "inversion",
        "metrics",
        "synthetic/world.py",
        "media/video_source.py",
        "kornia",
        "av",
    },
    "swap": {"video", "media", "inversion", "metrics", "training", "synthetic", "kornia", "av", "scipy", "onnx"},
}
# Imported when Swap Face in Video runs.
LATE_NODES = {"clip_run.py", "clip_progress.py", "clip_sources.py", "lossless_clip.py"}
STARTS = {
    "pack": [path for path in PACK_FILES if path.name not in LATE_NODES],
    "swap": [CORE / "commands" / "swap_command.py", CORE / "commands" / "file_swapper.py"],
}


@pytest.mark.parametrize("start", SELDOM)
def test_what_is_seldom_needed_is_imported_when_it_is(start):
    files, others = _loaded_with(*STARTS[start])
    core = [path.relative_to(CORE).as_posix() for path in files if path.is_relative_to(CORE)]
    loaded = {*core, *(path.split("/")[0] for path in core), *(module.split(".")[0] for module in others)}
    assert "swappers/styleswap_network.py" in loaded
    assert loaded & SELDOM[start] == set(), (
        "import it in the functions that use it, or docs/benchmarks/startup.md gets worse"
    )


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_files_and_functions_are_short(path):
    lines = _text(path).count("\n")
    assert lines <= MAX_FILE_LINES, f"{_name(path)} has {lines} lines"
    for node in _syntax(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{_name(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_no_broad_except(path):
    for node in _syntax(path):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, f"{_name(path)}:{node.lineno} bare except"
        names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
        broad = names & {"Exception", "BaseException"}
        # Cleaning up and re-raising hides nothing; `decoding` is the one boundary around decoders of other packages,
        # and `require` the one around their imports.
        reraises = any(isinstance(step, ast.Raise) and step.exc is None for step in node.body)
        boundary = path.name in ("errors.py", "import_failures.py")
        assert not broad or reraises or boundary, f"{_name(path)}:{node.lineno} catches {sorted(broad)}"


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_no_unfinished_code_no_sleep_and_no_utils(path):
    text = _text(path)
    marks = re.findall(r"\bTODO\b|\bFIXME\b|\bXXX\b|NotImplementedError|\bsleep\(", text)
    assert not marks, f"{_name(path)}: {marks}"
    assert path.name not in ("utils.py", "helpers.py", "misc.py"), f"{_name(path)}: name the subject"


def test_every_module_has_a_docstring():
    missing = [_name(path) for path in CORE_FILES + PACK_FILES if not ast.get_docstring(_tree(path))]
    assert not missing


def test_every_folder_of_the_core_is_a_package():
    folders = {path.parent for path in CORE_FILES}
    missing = [_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert not missing, "pip would not install these"


def test_room_table_has_no_dead_rows():
    assert set(ROOMS) == {_room(path) for path in CORE_FILES} - {"__init__"}


def test_file_names_are_unique_across_folders():
    """A file name says what is in the file without its folder; `__init__.py` and `__main__.py` aside."""
    by_name: dict[str, list[str]] = {}
    for path in CORE_FILES:
        if not path.name.startswith("__"):
            by_name.setdefault(path.name, []).append(_name(path))
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}
