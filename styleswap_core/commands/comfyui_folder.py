"""The ComfyUI on this machine that commands look into."""

import os
from pathlib import Path

from ..io.assets import ASSETS

# Inside ComfyUI, this package is at custom_nodes/NAME/styleswap_core.
_CUSTOM_NODES, _COMFYUI = ASSETS.parents[2:4]


def comfyui_folder() -> Path | None:
    """Folder of the ComfyUI at COMFYUI_PATH, or of the one that this package is installed in; None if there is none."""
    folder: Path | None = None
    if path := os.environ.get("COMFYUI_PATH"):
        folder = Path(os.path.expanduser(path))
    elif _CUSTOM_NODES.name == "custom_nodes":
        folder = _COMFYUI
    return folder if folder is not None and (folder / "main.py").is_file() else None
