"""The pack as ComfyUI imports it: under a name derived from its path, and without its folder on `sys.path`."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "/some folder/custom_nodes/style_x_swap"


@pytest.fixture(scope="session")
def pack():
    """Function that imports a module of the pack by its name within the pack."""
    spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    root = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = root
    spec.loader.exec_module(root)
    return lambda module: importlib.import_module(f"{NAME}.{module}")
