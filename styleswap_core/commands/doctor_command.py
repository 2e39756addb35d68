"""`styleswap doctor`: prints the information that a bug report needs, and what is broken or missing."""

import argparse
import json
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from .. import __version__
from ..faces.opencv_zoo import SFACE, YUNET, ZOO_LICENSE, ZOO_NAMES
from ..faces.pack_folders import DEFAULT_ROOTS, DEMO_PACK, ZOO_ROOTS
from ..faces.pack_licenses import INSIGHTFACE_TERMS
from ..installation.known_traps import known_traps
from ..installation.needed_packages import NEEDED, builds_of, version_of
from ..installation.part_trials import Trial, run_module, try_packages
from ..io.assets import ASSETS
from .arguments import add_json_argument
from .comfyui_folder import comfyui_folder
from .console import print_lines

REQUIRED = tuple(one.package for one in NEEDED)
OPTIONAL = ("onnxruntime-gpu", "accelerate", "c2pa-python", "tensorboard")
PACK_FOLDERS = tuple(dict.fromkeys(root / "models" for root in (*DEFAULT_ROOTS, ZOO_ROOTS[0])))
ZOO = ZOO_NAMES[0]


class ComfyUI(TypedDict):
    """A ComfyUI installation, and the files in its folder models/styleswap."""

    folder: str
    version: str
    models: list[str]


class SwappingNetworkFile(TypedDict):
    """A swapping network, as `styleswap models` lists it."""

    file: str
    family: str
    size: int
    license: str


class DoctorReport(TypedDict):
    """Report of the command.

    `packages` maps names to versions, `assets` names to sizes in bytes, `packs` folders to the packs in them with their
    files; `broken` contains a sentence for each package that is there and does not load, with the first cause and what
    to do; `warnings` one for each trap that this installation is in; `missing` one instruction for each missing part.
    """

    styleswap: str
    python: str
    executable: str
    system: str
    packages: dict[str, str]
    device: str
    onnx_providers: list[str]
    package_folder: str
    assets: dict[str, int]
    comfyui: ComfyUI | None
    swapping_networks: list[SwappingNetworkFile]
    packs: dict[str, dict[str, list[str]]]
    broken: list[str]
    warnings: list[str]
    missing: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `styleswap doctor`."""
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report; returns 0 even if something is missing, since the report itself succeeded."""
    report = examine()
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print_lines(*_lines(report))
    return 0


def examine() -> DoctorReport:
    """Collect the report. Nothing is downloaded, written or changed, and no package is imported in this process."""
    comfyui = _comfyui()
    trials = try_packages()
    facts = {trial.package: trial.facts for trial in trials}
    pack_folders, model_folders = list(PACK_FOLDERS), [ZOO_ROOTS[-1] / "models"]
    if comfyui is not None:
        model_folders.append(Path(comfyui["folder"]) / "models")
        pack_folders.append(model_folders[-1] / "insightface" / "models")
    report: DoctorReport = {
        "styleswap": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": _versions(),
        "device": facts["torch"] or "unknown: torch does not load",
        "onnx_providers": facts["onnxruntime"] or [],
        "package_folder": str(ASSETS.parent),
        "assets": {
            path.relative_to(ASSETS).as_posix(): path.stat().st_size
            for path in sorted(ASSETS.rglob("*"))
            if path.is_file() and path.suffix in (".onnx", ".safetensors", ".json")
        },
        "comfyui": comfyui,
        "swapping_networks": _swapping_networks(trials),
        "packs": {str(folder): _packs(folder) for folder in pack_folders}
        | {str(folder): {ZOO: files} for folder in model_folders if (files := _onnx_files(folder / ZOO))},
        "broken": _broken(trials),
        "warnings": known_traps(None if comfyui is None else Path(comfyui["folder"])),
        "missing": [],
    }
    report["missing"] = _missing(report, trials)
    return report


def _versions() -> dict[str, str]:
    """Versions of the needed packages, whichever builds of them are installed, and of optional ones."""
    needed = {one.package: next(iter(builds_of(one).values()), None) for one in NEEDED}
    return {
        name: version for name, version in (needed | {name: version_of(name) for name in OPTIONAL}).items() if version
    }


def _broken(trials: Sequence[Trial]) -> list[str]:
    """A sentence for each package at fault: a broken NumPy, for example, is not told again for all that need it."""
    failures = {trial.failure.package: trial.failure for trial in trials if trial.failure and trial.failure.cause}
    return [failure.sentence() for failure in failures.values()]


def _comfyui() -> ComfyUI | None:
    folder = comfyui_folder()
    if folder is None:
        return None
    version = folder / "comfyui_version.py"
    match = re.search(r'__version__\s*=\s*"([^"]+)"', version.read_text(encoding="utf-8") if version.is_file() else "")
    models = folder / "models" / "styleswap"
    return {
        "folder": str(folder),
        "version": match.group(1) if match else "unknown",
        "models": sorted(path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()),
    }


def _swapping_networks(trials: Sequence[Trial]) -> list[SwappingNetworkFile]:
    """What `styleswap models` lists, in a process of its own, too; nothing if packages are broken."""
    if any(trial.failure for trial in trials):
        return []
    listed = run_module("cli", "models", "--json")
    return json.loads(listed.output)["models"] if listed.code == 0 else []


def _packs(folder: Path) -> dict[str, list[str]]:
    """ONNX files of each pack, including those in nested folders."""
    if not folder.is_dir():
        return {}
    packs = {pack.name: _onnx_files(pack) for pack in sorted(folder.iterdir())}
    return {name: files for name, files in packs.items() if files}


def _onnx_files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.onnx")) if folder.is_dir() else []


def _missing(report: DoctorReport, trials: Sequence[Trial]) -> list[str]:
    absent = {trial.failure.package: trial.failure for trial in trials if trial.failure and not trial.failure.cause}
    lines = [f"{failure.package}: {failure.remedy}" for failure in absent.values()]
    if "generator.safetensors" not in report["assets"]:
        lines.append(
            "demo model (assets/generator.safetensors): reinstall the package, or train one as described in "
            "docs/MODEL_CARD.md"
        )
    demo_pack = [name for name in report["assets"] if name.startswith(f"{DEMO_PACK.name}/") and name.endswith(".onnx")]
    if len(demo_pack) < 2:
        lines.append(f"demo detector and recognizer (assets/{DEMO_PACK.name}/*.onnx): reinstall the package")
    for folder, packs in report["packs"].items():
        lines += _damaged(Path(folder) / ZOO) if ZOO in packs else []
    if not any(report["packs"].values()):
        lines.append(
            f"face analysis for photographs: styleswap swap --pack opencv --download (license: {ZOO_LICENSE}), or"
            f" --pack buffalo_l --download ({INSIGHTFACE_TERMS})"
        )
    return lines


def _damaged(folder: Path) -> list[str]:
    """An instruction for each of OpenCV Zoo's files that has another size than in its repository."""
    return [
        f"an undamaged {path}, which has {path.stat().st_size:,} bytes instead of {file.size:,}: delete it, and run"
        " styleswap swap --pack opencv --download"
        for file in (YUNET, SFACE)
        if (path := folder / file.name).is_file() and path.stat().st_size != file.size
    ]


def _lines(report: DoctorReport) -> list[str]:
    lines = [
        f"styleswap: {report['styleswap']}",
        f"python: {report['python']}",
        f"executable: {report['executable']}",
        f"system: {report['system']}",
        f"device: {report['device']}",
        "packages: " + ", ".join(f"{name} {version}" for name, version in report["packages"].items()),
        "onnx providers: " + (", ".join(report["onnx_providers"]) or "none"),
        f"assets in {report['package_folder']}/assets:",
    ]
    lines += [f"  {name}  {size / 1e6:.2f} MB" for name, size in report["assets"].items()] or ["  none"]
    if comfyui := report["comfyui"]:
        lines.append(f"ComfyUI {comfyui['version']} in {comfyui['folder']}")
        lines += ["  models/styleswap: " + (", ".join(comfyui["models"]) or "nothing")]
    else:
        lines.append("ComfyUI: not found; to include it, set COMFYUI_PATH to its folder")
    networks = report["swapping_networks"]
    lines.append("swapping networks:" if networks else "swapping networks: none but the demo model")
    lines += [f"  {one['file']}: {one['family']}, {one['size']} px, license: {one['license']}" for one in networks]
    for folder, packs in report["packs"].items():
        lines.append(f"face analysis packs in {folder}:")
        lines += [f"  {name}: {', '.join(files)}" for name, files in packs.items()] or ["  none"]
    for title, found in (
        ("broken", report["broken"]),
        ("warnings", report["warnings"]),
        ("missing", report["missing"]),
    ):
        lines.append(f"{title}:" if found else f"{title}: nothing")
        lines += [f"  {line}" for line in found]
    return lines
