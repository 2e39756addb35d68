"""The form of the source: what may import what, how long a file may be, what must not be in one."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "styleswap_core"
CORE_FILES = sorted(CORE.rglob("*.py"))
PACK_FILES = [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py"))]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
# A table of inputs and outputs, not a procedure.
MAX_SCHEMA_LINES = 120
HOST_PROGRAM = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server"}

ROOM_TABLE = ROOT / "docs" / "architecture.md"


def _read_rooms() -> dict[str, set[str]]:
    """Room -> rooms it stands on, from the table in docs/architecture.md."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", ROOM_TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", below)) for room, below in rows}


ROOMS = _read_rooms()


def _reach(room: str) -> set[str]:
    """The room itself and everything below it."""
    reached = {room, "errors"}
    for below in ROOMS[room]:
        reached |= _reach(below)
    return reached


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _part(path: Path) -> str:
    """First name below the package: `model` for model/layers.py, `swap` for swap.py."""
    relative = path.relative_to(CORE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _modules_imported(path: Path) -> set[Path]:
    """Core files that a core file imports, wherever in it the imports stand."""
    imported = set()
    for node in ast.walk(_tree(path)):
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
    room = _part(path)
    if room == "__init__":
        return
    assert room in ROOMS, f"{_name(path)}: a new room; give it a row in {_name(ROOM_TABLE)}"
    upward = {_part(file) for file in _modules_imported(path)} - _reach(room) - {"__init__"}
    assert not upward, f"{_name(path)} ({room}) imports {sorted(upward)}, which stands above or beside it"


def test_no_import_circles():
    # The root package imports its public names lazily, so it is not a node of the graph.
    root = CORE / "__init__.py"
    graph = {path: _modules_imported(path) - {path, root} for path in CORE_FILES if path != root}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(_name(path) for path in error.args[1]))


def test_importing_the_package_is_cheap():
    top = [node for node in _tree(CORE / "__init__.py").body if isinstance(node, ast.Import | ast.ImportFrom)]
    heavy = [ast.unparse(node) for node in top if isinstance(node, ast.ImportFrom) and node.level]
    assert not heavy, "names of the public API are imported when they are first used"


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_core_imports_itself_relatively_and_never_the_host_program(path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            top = module.split(".")[0]
            assert top != "styleswap_core", f"{_name(path)}:{node.lineno} must import relatively"
            assert top not in HOST_PROGRAM, f"{_name(path)}:{node.lineno} imports {module}; the core knows no host"


# Importable where there is no ComfyUI: the door, the list of nodes, and what has tests of its own.
WITHOUT_COMFYUI = {"__init__.py", "nodes/__init__.py", "nodes/analysis.py", "nodes/reports.py", "nodes/values.py"}
# What needs packages that ComfyUI does not bring; without them the pack must load all the same.
NOT_BROUGHT = {"cv2", "insightface", "onnxruntime"}


def _imports_at_the_top(path: Path) -> list[tuple[int, int, str]]:
    """(line, level, module) of each import statement outside of functions."""
    found = []
    for node in _tree(path).body:
        if isinstance(node, ast.Import):
            found += [(node.lineno, 0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.level, node.module or ""))
    return found


@pytest.mark.parametrize("path", PACK_FILES, ids=_name)
def test_pack_imports(path):
    for line, level, module in _imports_at_the_top(path):
        top = module.split(".")[0]
        if level == 0:
            # `nodes` and `styleswap_core` as top-level names would be ComfyUI's own, and not there at all.
            assert top not in {"nodes", "styleswap_core"} | NOT_BROUGHT, f"{_name(path)}:{line} imports {module}"
            assert _name(path) not in WITHOUT_COMFYUI or top not in HOST_PROGRAM, (
                f"{_name(path)}:{line} imports {module}"
            )
        else:
            assert not module.endswith("faces.analysis"), (
                f"{_name(path)}:{line}: without opencv the pack would not load"
            )
            for part in ("training", "commands", "metrics"):
                assert f"styleswap_core.{part}" not in module, f"{_name(path)}:{line}: nodes do not stand on {part}"


def test_nodes_load_only_what_comfyui_brings():
    """The core modules that nodes import, and what those import, need nothing of requirements.txt."""
    seen: set[Path] = set()
    waiting = [path for path in PACK_FILES if path.parent.name == "nodes"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for line, level, module in _imports_at_the_top(path):
            assert level or module.split(".")[0] not in NOT_BROUGHT, f"{_name(path)}:{line} imports {module}"
            if level:
                base = path.parents[level - 1].joinpath(*module.split(".")) if module else path.parents[level - 1]
                waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    assert CORE / "pipeline" / "swapper.py" in seen


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_files_and_functions_are_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{_name(path)} has {lines} lines"
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            limit = MAX_SCHEMA_LINES if node.name == "define_schema" else MAX_FUNCTION_LINES
            assert length <= limit, f"{_name(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_no_broad_except(path):
    for node in ast.walk(_tree(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, f"{_name(path)}:{node.lineno} bare except"
        names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
        broad = names & {"Exception", "BaseException"}
        # Cleaning up and passing the same exception on hides nothing.
        reraises = any(isinstance(step, ast.Raise) and step.exc is None for step in node.body)
        assert not broad or reraises, f"{_name(path)}:{node.lineno} catches {sorted(broad)}"


@pytest.mark.parametrize("path", CORE_FILES + PACK_FILES, ids=_name)
def test_nothing_unfinished_and_nothing_that_waits(path):
    text = path.read_text(encoding="utf-8")
    marks = re.findall(r"\bTODO\b|\bFIXME\b|\bXXX\b|NotImplementedError|\bsleep\(", text)
    assert not marks, f"{_name(path)}: {marks}"
    assert path.name not in ("utils.py", "helpers.py", "misc.py"), f"{_name(path)}: name the subject"


def test_public_modules_say_what_they_are():
    silent = [_name(path) for path in CORE_FILES + PACK_FILES if not ast.get_docstring(_tree(path))]
    assert not silent


def test_every_folder_of_the_core_is_a_package():
    folders = {path.parent for path in CORE_FILES}
    missing = [_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert not missing, "pip would leave these out"


def test_room_table_has_no_dead_rows():
    assert set(ROOMS) == {_part(path) for path in CORE_FILES} - {"__init__"}
