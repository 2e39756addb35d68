"""Packages that do not load: which one is at fault, why, and what to do about it."""

import sys

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.installation import known_traps, needed_packages, remedies
from styleswap_core.installation.import_failures import examine_failure, explain, require
from styleswap_core.installation.needed_packages import needed
from styleswap_core.io.deep_pictures import write_deep_png

ABI = "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4.6\nAttributeError: _ARRAY_API not found"


def forget(monkeypatch, module):
    """Let a module be imported anew, and what was imported be forgotten after the test."""
    monkeypatch.setitem(sys.modules, module, None)
    del sys.modules[module]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Writes a module that raises, and takes the place of an installed one."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, *lines):
        (tmp_path / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
        forget(monkeypatch, name)

    return write


@pytest.mark.parametrize(
    ("module", "error", "log", "words"),
    [
        (
            "cv2",
            ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
            "",
            "does not load (libGL.so.1: cannot open | uninstall -y opencv-python, then: | opencv-python-headless",
        ),
        (
            "cv2",
            ImportError("numpy.core.multiarray failed to import"),
            ABI,
            'built for NumPy 1 and meets NumPy | install --upgrade opencv-python, or, if | install "numpy<2"',
        ),
        (
            "insightface.app",
            ValueError("numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header"),
            "",
            "insightface does not load (numpy.dtype size changed | install --upgrade insightface",
        ),
        (
            "kornia",
            RuntimeError("module compiled against ABI version 0x1000009 but this version of numpy is 0x2000000"),
            "",
            "built for a newer NumPy than | install --upgrade numpy",
        ),
        (
            "onnx",
            TypeError("Descriptors cannot be created directly. If this call came from a _pb2.py file"),
            "",
            "its protobuf does not fit it (version | install -U protobuf onnx",
        ),
        ("insightface.app", RuntimeError("Could not determine home directory."), "", "no home folder; set HOME to"),
        (
            "onnxruntime",
            ImportError("DLL load failed while importing onnxruntime_pybind11_state: not found"),
            "",
            "Visual C++ Redistributable (https://aka.ms/vs/17",
        ),
        (
            "insightface.app",
            ModuleNotFoundError("No module named 'skimage'", name="skimage"),
            "",
            "insightface does not load (No module named 'skimage') | pip install scikit-image",
        ),
        (
            "av",
            ModuleNotFoundError("No module named 'av'", name="av"),
            "",
            "av is not installed; run: | pip install av",
        ),
        (
            "kornia",
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "",
            "torch is not installed; run: | pip install torch",
        ),
        ("tqdm", SyntaxError("invalid syntax"), "", "pip install --force-reinstall --no-deps tqdm"),
    ],
)
def test_the_remedy_fits_the_cause(module, error, log, words, monkeypatch):
    monkeypatch.setattr(remedies.os, "name", "posix")
    said = examine_failure(error, module, log).sentence()
    for word in words.split("|"):
        assert word.strip() in said
    assert sys.executable in said or "HOME" in said or "aka.ms" in said


def test_the_first_cause_of_a_chain_is_quoted(fake):
    chain = (
        "try:",
        " raise OSError('libSM.so.6: cannot open')",
        "except OSError as error:",
        " raise ImportError from error",
    )
    fake("cv2", *chain)
    with pytest.raises(StyleSwapError, match=r"^masks need opencv-python, which does not load \(libSM\.so\.6: cannot"):
        require("cv2", purpose="masks need")


def test_failed_imports_in_our_code_are_explained(fake):
    """As `styleswap` and the nodes do it where no `require` comes before an import."""
    fake("cv2", "import numpy", "raise ImportError('libGL.so.1: cannot open shared object file')")
    with pytest.raises(ImportError) as caught:
        write_deep_png(np.zeros((2, 2, 3), np.uint16), None, b"", {})
    failure = explain(caught.value)
    assert failure is not None and failure.package == "opencv-python" and "headless" in failure.remedy


def test_other_errors_are_not_taken_for_imports():
    for error in (ValueError("no such picture"), ImportError("cannot import name 'x'", name="styleswap_core.io")):
        with pytest.raises(type(error)) as caught:
            raise error
        assert explain(caught.value) is None


def test_leftovers_of_a_removed_package(tmp_path, monkeypatch):
    """Of onnxruntime-gpu, for instance: its folder without `__init__.py` is still a module, with nothing in it."""
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    forget(monkeypatch, "onnxruntime")
    with pytest.raises(StyleSwapError, match="only leftovers of onnxruntime are in .*delete that folder, then run: "):
        require("onnxruntime")


def test_builds_side_by_side_leftovers_of_pip_and_pins_of_other_packs(tmp_path, monkeypatch):
    versions = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.30.1", "numpy": "2.4.6", "insightface": "2.1"}
    for module in (needed_packages, known_traps):
        monkeypatch.setattr(module, "version_of", versions.get)
    monkeypatch.setattr(known_traps, "site_folders", lambda: [str(tmp_path)])
    (tmp_path / "~nnxruntime").mkdir()
    for pack, lines in {"old": "torch\nnumpy<2\ninsightface==0.7.3", "new": "numpy>=2\ninsightface==2.1"}.items():
        (tmp_path / "custom_nodes" / pack).mkdir(parents=True)
        (tmp_path / "custom_nodes" / pack / "requirements.txt").write_text(lines)
    builds, pip, numpy, insightface = known_traps.known_traps(tmp_path)
    assert builds.startswith("onnxruntime 1.32.0 and onnxruntime-gpu 1.30.1 overwrite each other's files; run: ")
    assert "uninstall -y onnxruntime onnxruntime-gpu, then: " in builds and builds.endswith(" onnxruntime-gpu")
    assert "could not remove ~nnxruntime from" in pip
    assert numpy.startswith("the node pack old asks for numpy<2, and here is 2.4.6")
    assert insightface.startswith("the node pack old asks for insightface==0.7.3, and here is 2.1")


def test_commands_for_the_portable_build(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/ComfyUI_windows_portable/python_embeded/python.exe")
    assert needed_packages.pip("install av") == f'"{sys.executable}" -s -m pip install av'


def test_modules_of_needed_packages():
    assert needed("google.protobuf.internal").package == "protobuf" and needed("json") is None


def test_accounts_without_home_folder(monkeypatch):
    from styleswap_core.faces.pack_folders import in_home

    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert in_home(".insightface") == ()
    (line,) = (line for line in known_traps.known_traps(None) if "home" in line)
    assert "set HOME" in line or "set USERPROFILE" in line
