"""Installations that work, or seem to, and are known to break: what `styleswap doctor` warns of."""

import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .needed_packages import NEEDED, builds_of, is_portable_build, pip, version_of
from .remedies import clean_install, set_home

# Packages of which an old version is pinned by other node packs, and what the pin looks like.
_PINS = re.compile(r"^\s*(numpy|insightface|onnxruntime(?:-gpu)?|protobuf)\s*(==|<=?|~=)\s*([\w.*]+)", re.IGNORECASE)
# Two builds of OpenCV of the same version have the same files.
_SAME_IF_EQUAL = "opencv-python"


def known_traps(comfyui: Path | None) -> list[str]:
    """Sentences about this installation: what is wrong with it, and what to do.

    Args:
        comfyui: Folder of ComfyUI, whose node packs are looked at.
    """
    return [*_double_builds(), *_interrupted_removals(), *_no_home(), *_portable_build(), *_pins(comfyui)]


def _double_builds() -> Iterator[str]:
    for one in NEEDED:
        builds = builds_of(one)
        if len(builds) > 1 and not (one.package == _SAME_IF_EQUAL and len(set(builds.values())) == 1):
            named = " and ".join(f"{name} {version}" for name, version in builds.items())
            yield f"{named} overwrite each other's files; {clean_install(one)}"


def _interrupted_removals() -> Iterator[str]:
    """Packages that pip renamed before it removed them, and could not remove, since a program was using them."""
    for folder in map(Path, site_folders()):
        names = sorted(path.name for path in folder.glob("~*")) if folder.is_dir() else []
        if names:
            yield (
                f"pip could not remove {', '.join(names)} from {folder}, for instance because ComfyUI was running; end"
                " ComfyUI and delete them"
            )


def site_folders() -> list[str]:
    """Folders into which pip installs packages for this Python."""
    return list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))


def _no_home() -> Iterator[str]:
    if not Path(os.path.expanduser("~")).is_absolute():
        yield f"this account has no home folder, which other packages may need; {set_home()}"


def _portable_build() -> Iterator[str]:
    if not is_portable_build() or sys.flags.no_user_site or not site.ENABLE_USER_SITE:
        return
    folder = Path(site.getusersitepackages())
    if folder.is_dir() and any(folder.iterdir()):
        yield (
            f"the portable build also imports packages in {folder}, of another Python; start python_embeded\\python.exe"
            " with -s, as ComfyUI's own scripts do"
        )


def _pins(comfyui: Path | None) -> Iterator[str]:
    """Other node packs that ask for old versions, and thus install them whenever they are updated."""
    packs = sorted((comfyui / "custom_nodes").glob("*/requirements.txt")) if comfyui is not None else []
    for path in packs:
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in filter(None, map(_PINS.match, text.splitlines())):
            name, operator, version = line.groups()
            have = version_of(name)
            if have is not None and _is_older(operator, version, have):
                yield (
                    f"the node pack {path.parent.name} asks for {name}{operator}{version}, and here is {have}; its"
                    f" next update may bring the older one back. If packages then fail to load, run:"
                    f" {pip(f'install --upgrade {name}')}"
                )


def _is_older(operator: str, version: str, have: str) -> bool:
    """Whether a pin excludes the installed version because that is newer."""
    asked, installed = _numbers(version), _numbers(have)
    if operator == "<":
        return installed >= asked
    return installed[: len(asked)] > asked


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
