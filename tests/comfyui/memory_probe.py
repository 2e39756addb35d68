"""Script for ComfyUI's Python: a generator under ComfyUI's memory manager that runs out of memory on purpose.

Prints JSON: the number of faces in each attempt, the largest difference between the result in parts and in one piece,
the error for a single face, and the number of baked identities before and after ComfyUI unloads the generator.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import torch

NAME = "/base/custom_nodes/style_x_swap"


def main(comfyui: str, pack: str, base: str) -> None:
    """Run the probe.

    Args:
        comfyui: ComfyUI's folder.
        pack: Folder of this pack.
        base: Base folder for ComfyUI.
    """
    sys.argv = ["main.py", "--cpu", "--base-directory", base]
    sys.path.insert(0, comfyui)
    importlib.import_module("comfy.options").enable_args_parsing()
    load_pack(pack)
    torch.set_num_threads(1)
    memory = importlib.import_module("comfy.model_management")
    nodes = importlib.import_module(f"{NAME}.nodes.loaded_generator")
    core = {
        name: importlib.import_module(f"{NAME}.styleswap_core.{name}")
        for name in ("identities.identity", "checkpoints", "errors")
    }

    loaded = nodes.LoadedGenerator("demo", core["checkpoints"].DEMO_MODEL)
    torch.manual_seed(0)
    crops = torch.rand(5, 3, loaded.size, loaded.size) * 2 - 1
    people = [core["identities.identity"].Identity(torch.randn(512), loaded.recognizer) for _ in crops]
    own = torch.nn.functional.normalize(torch.randn(5, 512), dim=1)
    whole = loaded.swap_crops(crops, people, own, 0.7)
    managed = loaded.patcher in [entry.model for entry in memory.current_loaded_models]
    loaded.swap_crops(crops[:2], people[:2], None, 1.0)
    baked = [len(loaded.baked)]
    memory.unload_all_models()
    baked.append(len(loaded.baked))

    attempts, limit = [], 2
    swap_crops = nodes.StyleSwapNetwork.swap_crops

    def swap_crops_within_limit(network, part, *others):
        attempts.append(len(part))
        if len(part) > limit:
            raise memory.OOM_EXCEPTION("on purpose")
        return swap_crops(network, part, *others)

    nodes.StyleSwapNetwork.swap_crops = swap_crops_within_limit
    halved = loaded.swap_crops(crops, people, own, 0.7)
    difference = max(float((one - other).abs().max()) for one, other in zip(whole, halved, strict=True))
    limit = 0
    try:
        loaded.swap_crops(crops[:2], people[:2], None, 1.0)
        message = ""
    except core["errors"].StyleSwapError as error:
        message = str(error)
    result = {"managed": managed, "baked": baked, "attempts": attempts, "difference": difference, "message": message}
    print(json.dumps(result))


def load_pack(pack: str) -> None:
    """Import the pack under a name derived from a path, as ComfyUI does."""
    spec = importlib.util.spec_from_file_location(
        NAME, Path(pack) / "__init__.py", submodule_search_locations=[str(pack)]
    )
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])


if __name__ == "__main__":
    main(*sys.argv[1:4])
