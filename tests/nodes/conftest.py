"""The pack as ComfyUI imports it: under a name made from its path, without the pack on `sys.path`."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "/some folder/custom_nodes/style_x_swap"


@pytest.fixture(scope="session")
def pack():
    """A function: name of a module below the pack -> the module."""
    spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    door = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = door
    spec.loader.exec_module(door)
    return lambda module: importlib.import_module(f"{NAME}.{module}")
