"""Run by ComfyUI's python: a generator under ComfyUI's memory manager that is told there is too little memory.

Prints JSON: how many faces each attempt had, how far the result is from that of one piece, the error for one face, and
how many baked identities are kept before and after ComfyUI unloads the generator.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

COMFYUI, PACK, BASE = sys.argv[1:4]
NAME = "/base/custom_nodes/style_x_swap"

sys.argv = ["main.py", "--cpu", "--base-directory", BASE]
sys.path.insert(0, COMFYUI)
importlib.import_module("comfy.options").enable_args_parsing()
spec = importlib.util.spec_from_file_location(NAME, Path(PACK) / "__init__.py", submodule_search_locations=[PACK])
sys.modules[NAME] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[NAME])

import torch

torch.set_num_threads(1)
memory = importlib.import_module("comfy.model_management")
module = importlib.import_module(f"{NAME}.nodes.generator")
core = {
    name: importlib.import_module(f"{NAME}.styleswap_core.{name}") for name in ("identity", "checkpoints", "errors")
}

loaded = module.LoadedGenerator("demo", core["checkpoints"].DEMO_MODEL)
torch.manual_seed(0)
crops = torch.rand(5, 3, loaded.config.size, loaded.config.size) * 2 - 1
people = [core["identity"].Identity(torch.randn(512), loaded.recognizer) for _ in crops]
own = torch.nn.functional.normalize(torch.randn(5, 512), dim=1)
whole = loaded.swap_crops(crops, people, own, 0.7)
managed = loaded.patcher in [entry.model for entry in memory.current_loaded_models]
loaded.swap_crops(crops[:2], people[:2], None, 1.0)
baked = [len(loaded.baked)]
memory.unload_all_models()
baked.append(len(loaded.baked))

attempts, room = [], 2
real = module.StyleSwapNetwork.swap_crops


def needs_room(run, part, *rest):
    attempts.append(len(part))
    if len(part) > room:
        raise memory.OOM_EXCEPTION("told to")
    return real(run, part, *rest)


module.StyleSwapNetwork.swap_crops = needs_room
halved = loaded.swap_crops(crops, people, own, 0.7)
difference = max(float((one - other).abs().max()) for one, other in zip(whole, halved, strict=True))
room = 0
try:
    loaded.swap_crops(crops[:2], people[:2], None, 1.0)
    message = ""
except core["errors"].StyleSwapError as error:
    message = str(error)
print(
    json.dumps(
        {
            "managed": managed,
            "baked": baked,
            "attempts": attempts,
            "difference": difference,
            "message": message,
        }
    )
)
