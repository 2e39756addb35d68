"""What to do about a package that does not load, by what it says."""

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from .needed_packages import Needed, build_of, builds_of, needed, package_of, pip, reinstall, version_of

LEFTOVERS = "only leftovers of"
"""Start of the cause where the modules of a removed package are still there."""

VISUAL_C = "https://aka.ms/vs/17/release/vc_redist.x64.exe"


class _Failed(NamedTuple):
    """The package at fault, its cause, and the module that was not found, if any."""

    one: Needed
    cause: str
    absent: str


def remedy(one: Needed, cause: str, absent: str = "", log: str = "") -> str:
    """What to do about a package that does not load.

    Args:
        one: The package.
        cause: The first cause.
        absent: The module that was not found, where that is the cause.
        log: What was printed meanwhile.
    """
    failed = _Failed(one, cause, absent)
    for pattern, advice in _REMEDIES:
        if re.search(pattern, f"{cause}\n{log}", re.IGNORECASE):
            return advice(failed)
    if absent and needed(absent) is None:
        return f"run: {pip(f'install {package_of(absent)}')}"
    return f"run: {reinstall([build_of(one)])}"


def clean_install(one: Needed) -> str:
    """Commands that remove all builds of a package and install one of them."""
    builds = list(builds_of(one)) or [one.package]
    # A build for a GPU was chosen on purpose; the usual one comes along as a dependency of other packages.
    return _replace(builds, builds[-1])


def _replace(builds: list[str], build: str) -> str:
    removed, installed = f"uninstall -y {' '.join(builds)}", f"install --force-reinstall --no-deps {build}"
    return f"run: {pip(removed)}, then: {pip(installed)}"


def set_home() -> str:
    """What to do about an account without a home folder."""
    variable = "USERPROFILE" if os.name == "nt" else "HOME"
    return f"set {variable} to a folder that can be written to"


def _graphics(failed: _Failed) -> str:
    builds = [name for name in builds_of(failed.one) if not name.endswith("-headless")] or [failed.one.package]
    headless = "opencv-contrib-python-headless" if "opencv-contrib-python" in builds else "opencv-python-headless"
    return f"{headless} works without the libraries of a desktop; {_replace(builds, headless)}"


def _older_than_numpy(failed: _Failed) -> str:
    if failed.one.package == "numpy":
        return f"run: {reinstall(['numpy'])}"
    newer, older = pip(f"install --upgrade {build_of(failed.one)}"), pip('install "numpy<2"')
    numpy = version_of("numpy") or "2"
    return f"it was built for NumPy 1 and meets NumPy {numpy}; run: {newer}, or, if there is no newer one: {older}"


def _newer_than_numpy(failed: _Failed) -> str:
    return f"it was built for a newer NumPy than {version_of('numpy') or 'this'}; run: {pip('install --upgrade numpy')}"


def _protobuf(failed: _Failed) -> str:
    return f"its protobuf does not fit it (version {version_of('protobuf')}); run: {pip('install -U protobuf onnx')}"


def _leftovers(failed: _Failed) -> str:
    return f"delete that folder, then {clean_install(failed.one)}"


def _home(failed: _Failed) -> str:
    return f"this account has no home folder; {set_home()}"


def _windows_library(failed: _Failed) -> str:
    return (
        f"install Microsoft's Visual C++ Redistributable ({VISUAL_C}) and restart; if that does not help, run:"
        f" {reinstall([build_of(failed.one)])}"
    )


def _old_system(failed: _Failed) -> str:
    return f"this system is older than this build of it needs; install an older version of {build_of(failed.one)}"


def _cuda(failed: _Failed) -> str:
    return f"it needs another version of CUDA than this machine has; install the {build_of(failed.one)} that fits it"


_Advice = Callable[[_Failed], str]

# The first pattern that is found in the cause, or in what was printed with it, decides.
_REMEDIES: tuple[tuple[str, _Advice], ...] = (
    (LEFTOVERS, _leftovers),
    (r"lib(GL|EGL|gthread|glib|SM|ICE|Xext|Xrender|X11|xcb)[\w.-]*\.so", _graphics),
    (
        r"_ARRAY_API not found|compiled using NumPy 1|size changed.*expected 96|numpy\.core\.multiarray|numpy is not",
        _older_than_numpy,
    ),
    (r"dtype size changed|compiled against (ABI|API) version|numpy\._core\.multiarray failed", _newer_than_numpy),
    (r"google\.protobuf|protobuf|Descriptors cannot be created|Gencode", _protobuf),
    (r"home directory|getpwuid|uid not found", _home),
    (r"DLL load failed|WinError (126|127|1114)", _windows_library),
    (r"GLIBC(XX)?_[\d.]+' not found", _old_system),
    (r"lib(cu|nv)\w+\.so", _cuda),
)
