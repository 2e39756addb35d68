"""A start of ComfyUI that notes the seconds in which a pack loads; `startup.py` runs it with ComfyUI's own Python.

    PYTHON benchmarks/startup_comfyui.py RECORD.json BEGAN COMFYUI BASE

BEGAN is "processor" to measure the time of the processor. COMFYUI is its folder, BASE a folder with `custom_nodes`. The
seconds are those of its list "Import times for custom nodes", which it rounds to tenths. ComfyUI ends when its packs
are loaded.
"""

import importlib.machinery
import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

OPTIONS = ("--cpu", "--quick-test-for-ci", "--disable-api-nodes", "--database-url", "sqlite:///:memory:")


def watch_packs(record: Path, now: Callable[[], float]) -> None:
    """Time the loading of packs, as soon as ComfyUI has the module that loads them."""
    loader = importlib.machinery.SourceFileLoader
    execute = loader.exec_module

    def run(self: importlib.machinery.SourceFileLoader, module: ModuleType) -> None:
        execute(self, module)
        if module.__name__ == "nodes":
            loader.exec_module = execute
            _time_packs(module, record, now)

    loader.exec_module = run


def _time_packs(nodes: ModuleType, record: Path, now: Callable[[], float]) -> None:
    load = nodes.load_custom_node

    async def timed(path: str, *arguments: object, **options: object) -> bool:
        before, start = set(sys.modules), now()
        loaded = await load(path, *arguments, **options)
        seconds = now() - start
        if "custom_nodes" in Path(path).parts:
            found = {"seconds": seconds, "modules": len(set(sys.modules) - before), "loaded": loaded}
            record.write_text(json.dumps(found), encoding="utf-8")
        return loaded

    nodes.load_custom_node = timed


def main() -> None:
    """Start ComfyUI."""
    began = sys.argv[2]
    record, folder, base = (Path(word).resolve() for word in (sys.argv[1], *sys.argv[3:]))
    watch_packs(record, time.process_time if began == "processor" else time.perf_counter)
    os.chdir(folder)
    sys.path[0] = str(folder)
    sys.argv = ["main.py", *OPTIONS, "--base-directory", str(base)]
    runpy.run_path(str(folder / "main.py"), run_name="__main__")


if __name__ == "__main__":
    main()
