"""Files in place of those that the templates for photographs need, none of which can be had here.

The demo generator takes the part of every network, exported in HyperSwap's form or as a model of one's own, the demo
pack that of every pack, and rendered people that of the photographs.
"""

import shutil
from pathlib import Path

from workflow_files import load_prompt, nodes_of

from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.synthetic.scene import SyntheticScene

# Large enough that the network is run in phases.
SIZE = 512
# Template -> source person, target person, setting of the source, setting of the target.
SCENES = {"10_photographs": (25, 26, 25, 26), "11_photographs_free": (101, 122, 9, 5)}


def write_files(base: Path) -> None:
    """Write the files into a base folder of ComfyUI."""
    models = base / "models"
    for name in ("hyperswap", "styleswap", "insightface/models"):
        (models / name).mkdir(parents=True, exist_ok=True)
    export_guest(
        models / "hyperswap" / "hyperswap_1a_256.onnx", load_generator(DEMO_MODEL)[0], "hyperswap", template_ok=True
    )
    shutil.copy(DEMO_MODEL, models / "styleswap" / "my_model.safetensors")
    shutil.copytree(DEMO_PACK, models / "insightface" / "models" / "buffalo_l")
    (base / "input").mkdir(exist_ok=True)
    for template, numbers in SCENES.items():
        scene = SyntheticScene(*numbers, size=SIZE)
        for name, picture in (("source", next(scene.source_photos())), ("target", scene.target_frame(0)[0])):
            save_image(base / "input" / f"{template}_{name}.png", to_uint8(picture[None])[0])


def with_files(template: str) -> dict:
    """The prompt of a template for photographs with these files."""
    changed = load_prompt(template)
    for key in nodes_of(changed, "LoadImage"):
        changed[key]["inputs"]["image"] = f"{template}_{changed[key]['_meta']['title'].lower()}.png"
    for key in nodes_of(changed, "StyleSwap_LoadFaceAnalysis"):
        # OpenCV's networks find no rendered faces.
        if changed[key]["inputs"]["pack"] == "opencv_zoo":
            changed[key]["inputs"]["pack"] = "demo (built in)"
    return changed
