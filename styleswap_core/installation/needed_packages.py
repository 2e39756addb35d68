"""The packages that this one needs: their modules, their versions, and the commands that install them."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Needed(NamedTuple):
    """A package that this one needs.

    Attributes:
        package: Its name for pip.
        module: The module that is imported.
        attribute: Something in the module, which leftovers of a removed package lack.
        alternatives: Other builds that have the same module.
    """

    package: str
    module: str
    attribute: str = ""
    alternatives: tuple[str, ...] = ()


NEEDED = (
    Needed("torch", "torch", "Tensor"),
    Needed("av", "av", "open"),
    Needed("numpy", "numpy", "ndarray"),
    Needed("safetensors", "safetensors", "safe_open"),
    Needed("insightface", "insightface.app", "FaceAnalysis"),
    Needed(
        "opencv-python",
        "cv2",
        "resize",
        ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    ),
    Needed("kornia", "kornia"),
    Needed("onnx", "onnx", "load"),
    Needed(
        "onnxruntime",
        "onnxruntime",
        "InferenceSession",
        (
            "onnxruntime-gpu",
            "onnxruntime-directml",
            "onnxruntime-openvino",
            "onnxruntime-silicon",
            "onnxruntime-rocm",
            "onnxruntime-migraphx",
        ),
    ),
    Needed("Pillow", "PIL.Image", "open"),
    Needed("protobuf", "google.protobuf.message", "Error"),
    Needed("tqdm", "tqdm", "tqdm"),
)
"""Dependencies of the package, as in pyproject.toml."""

# Top-level modules whose packages have another name.
_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "PyYAML", "google": "protobuf"}


def needed(module: str) -> Needed | None:
    """The needed package that has a module, or its parents or submodules; None for other modules."""
    top = module.split(".")[0]
    return next((one for one in NEEDED if one.module.split(".")[0] == top), None)


def package_of(module: str) -> str:
    """Name for pip of the package that has a module, as far as it is known, otherwise the top-level module."""
    found = needed(module)
    top = module.split(".")[0]
    return found.package if found else _PACKAGES.get(top, top)


def version_of(package: str) -> str | None:
    """Version of an installed package; None if it is not installed, or if only leftovers of it are there."""
    # Imported here: nearly half of the time that `import styleswap_core.cli` would take, for something seldom asked.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def builds_of(one: Needed) -> dict[str, str]:
    """Installed builds of a package and their versions, the usual one first."""
    versions = ((name, version_of(name)) for name in (one.package, *one.alternatives))
    return {name: version for name, version in versions if version}


def build_of(one: Needed) -> str:
    """Name for pip of the build of a package that is installed; the usual one if none is."""
    return next(iter(builds_of(one)), one.package)


def is_portable_build() -> bool:
    """Whether this Python is that of ComfyUI's portable build for Windows."""
    return "python_embeded" in Path(sys.executable).parts


def pip(words: str) -> str:
    """A command that installs packages for this very Python, which another `pip` in the path may not belong to."""
    # Without -s, pip of the portable build takes packages in the user's folder for installed ones.
    flags = " -s" if is_portable_build() else ""
    return f'"{sys.executable}"{flags} -m pip {words}'


def reinstall(packages: Iterable[str]) -> str:
    """Command that installs packages again, without their dependencies."""
    return pip(f"install --force-reinstall --no-deps {' '.join(packages)}")
