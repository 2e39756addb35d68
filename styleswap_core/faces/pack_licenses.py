"""Which license a face analysis pack has, as far as its name and its files tell."""

from pathlib import Path

from ..io.assets import ASSETS
from .opencv_zoo import SFACE, YUNET, ZOO_LICENSE, ZOO_NAMES

PUBLISHED = ("antelopev2", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc")
"""Names of the packs that insightface publishes and can download."""

INSIGHTFACE_TERMS = (
    "insightface's pretrained packs, buffalo_l among them, are licensed for non-commercial research only"
)

DEMO_LICENSE = "MIT, trained only on rendered images"
"""License of the demo pack, and of the demo model."""

UNKNOWN = "unknown; ask the author of the pack"
_NON_COMMERCIAL = "non-commercial research only, as of all packs that insightface publishes"

# Files of insightface's published packs, by which they are told under any folder name.
_PUBLISHED_FILES = {
    "1k3d68.onnx",
    "2d106det.onnx",
    "det_10g.onnx",
    "det_2.5g.onnx",
    "det_500m.onnx",
    "genderage.onnx",
    "glintr100.onnx",
    "scrfd_10g_bnkps.onnx",
    "w600k_mbf.onnx",
    "w600k_r50.onnx",
}


def license_note(folder: Path) -> str:
    """License of the pack in a folder, such as "MIT", with what users should know about it."""
    if folder.resolve().is_relative_to(ASSETS.resolve()):
        return DEMO_LICENSE
    if folder.name in PUBLISHED or any((folder / name).is_file() for name in _PUBLISHED_FILES):
        return _NON_COMMERCIAL
    networks = {path.name for path in folder.glob("*.onnx")}
    return ZOO_LICENSE if networks and networks <= {YUNET.name, SFACE.name} else UNKNOWN


def license_of_name(name: str) -> str:
    """License of the pack that a download by this name fetches; empty if there is no such download."""
    if name in ZOO_NAMES:
        return ZOO_LICENSE
    return _NON_COMMERCIAL if name in PUBLISHED else ""
