"""`styleswap doctor`: what a bug report needs, and what is missing with how to get it."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
from pathlib import Path

from .. import __version__
from ..faces.packs import DEMO_PACK, LICENSE_NOTE
from ..io.assets import ASSETS

PACKAGES = (
    "torch",
    "numpy",
    "safetensors",
    "insightface",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python",
    "kornia",
    "Pillow",
    "tqdm",
    "onnx",
    "tensorboard",
)
REQUIRED = ("torch", "numpy", "safetensors", "insightface", "onnxruntime", "opencv-python", "kornia", "Pillow", "tqdm")
# Other builds of the same thing satisfy a requirement.
STAND_INS = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-silicon"),
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
}
PACK_FOLDERS = (Path("~/.insightface/models").expanduser(), Path("models/insightface/models"))
# Of ComfyUI's folder, where this package lies in custom_nodes/NAME.
_ABOVE_CUSTOM_NODES = ASSETS.parents[2:4]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the report; returns 0 also where something is missing, for saying so is the job."""
    report = examine()
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(_lines(report)))
    return 0


def examine() -> dict:
    """Everything that the report says, as plain values. Nothing is downloaded, written or changed."""
    report = {
        "styleswap": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "device": _device(),
        "onnx_providers": _onnx_providers(),
        "package_folder": str(ASSETS.parent),
        "assets": {
            path.relative_to(ASSETS).as_posix(): path.stat().st_size
            for path in sorted(ASSETS.rglob("*"))
            if path.is_file() and path.suffix in (".onnx", ".safetensors", ".json")
        },
        "comfyui": _comfyui(),
        "packs": {str(folder): _packs(folder) for folder in PACK_FOLDERS},
    }
    if report["comfyui"]:
        folder = Path(report["comfyui"]["folder"]) / "models" / "insightface" / "models"
        report["packs"][str(folder)] = _packs(folder)
    report["missing"] = _missing(report)
    return report


def _version(package: str) -> str | None:
    for name in (package, *STAND_INS.get(package, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _device() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"unknown: torch does not load ({error})"
    if torch.cuda.is_available():
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"cuda: {torch.cuda.get_device_name(0)}, {gib:.0f} GiB"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {torch.get_num_threads()} threads"


def _onnx_providers() -> list[str]:
    try:
        import onnxruntime
    except (ImportError, OSError):
        return []
    return onnxruntime.get_available_providers()


def _comfyui() -> dict | None:
    """The ComfyUI that the environment names in COMFYUI_PATH, or that this package is installed in; None without one."""
    custom_nodes, above = _ABOVE_CUSTOM_NODES
    named = os.environ.get("COMFYUI_PATH")
    folder = Path(named).expanduser() if named else above if custom_nodes.name == "custom_nodes" else None
    if folder is None or not (folder / "main.py").is_file():
        return None
    version = folder / "comfyui_version.py"
    match = re.search(r'__version__\s*=\s*"([^"]+)"', version.read_text(encoding="utf-8") if version.is_file() else "")
    models = folder / "models" / "styleswap"
    return {
        "folder": str(folder),
        "version": match.group(1) if match else "unknown",
        "models": sorted(path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()),
    }


def _packs(folder: Path) -> dict[str, list[str]]:
    """Name of each insightface pack -> its ONNX files, those in nested folders included."""
    if not folder.is_dir():
        return {}
    found = {
        pack.name: sorted(file.relative_to(pack).as_posix() for file in pack.rglob("*.onnx"))
        for pack in sorted(folder.iterdir())
        if pack.is_dir()
    }
    return {name: files for name, files in found.items() if files}


def _missing(report: dict) -> list[str]:
    lines = [f"{name}: pip install {name}" for name in REQUIRED if name not in report["packages"]]
    if "generator.safetensors" not in report["assets"]:
        lines.append(
            "demo generator (assets/generator.safetensors): install the package again, "
            "or train one as docs/MODEL_CARD.md says"
        )
    demo_pack = [name for name in report["assets"] if name.startswith(f"{DEMO_PACK.name}/") and name.endswith(".onnx")]
    if len(demo_pack) < 2:
        lines.append(f"demo detector and recognizer (assets/{DEMO_PACK.name}/*.onnx): install the package again")
    if report["packages"].get("torch") and report["device"].startswith("unknown"):
        lines.append("a torch that loads: install it again, as PyTorch's installation page says for this machine")
    if not any(report["packs"].values()):
        lines.append(
            "insightface packs, needed only for models made from photographs: styleswap swap --pack buffalo_l "
            f"--download ({LICENSE_NOTE})"
        )
    return lines


def _lines(report: dict) -> list[str]:
    lines = [f"{key}: {report[key]}" for key in ("styleswap", "python", "executable", "system", "device")]
    lines.append("packages: " + ", ".join(f"{name} {version}" for name, version in report["packages"].items()))
    lines.append("onnx providers: " + (", ".join(report["onnx_providers"]) or "none"))
    lines.append(f"assets in {report['package_folder']}/assets:")
    lines += [f"  {name}  {size / 1e6:.2f} MB" for name, size in report["assets"].items()] or ["  none"]
    if comfyui := report["comfyui"]:
        lines.append(f"ComfyUI {comfyui['version']} in {comfyui['folder']}")
        lines += ["  models/styleswap: " + (", ".join(comfyui["models"]) or "nothing")]
    else:
        lines.append("ComfyUI: not found; set COMFYUI_PATH to its folder to include it")
    for folder, packs in report["packs"].items():
        lines.append(f"insightface packs in {folder}:")
        lines += [f"  {name}: {', '.join(files)}" for name, files in packs.items()] or ["  none"]
    lines.append("missing:" if report["missing"] else "missing: nothing")
    return lines + [f"  {line}" for line in report["missing"]]
