"""`styleswap doctor`."""

import json
import re
import sys
from pathlib import Path

import pytest

from styleswap_core import __version__, cli
from styleswap_core.commands import doctor_command
from styleswap_core.commands.doctor_command import REQUIRED, examine
from styleswap_core.installation.import_failures import ImportFailure
from styleswap_core.installation.needed_packages import NEEDED
from styleswap_core.installation.part_trials import Trial

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"torch": "cpu, 1 thread", "onnxruntime": ["CPUExecutionProvider"]}


@pytest.fixture(autouse=True)
def trials(monkeypatch):
    """Packages that all load; a list that tests may change. Processes are started in two tests only."""
    found = [Trial(one.package, FACTS.get(one.package)) for one in NEEDED]
    monkeypatch.setattr(doctor_command, "try_packages", lambda: found)
    monkeypatch.setattr(doctor_command, "_swapping_networks", lambda trials: [])
    return found


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_report_as_text_and_as_json(capsys):
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == examine()
    assert report["styleswap"] == __version__
    assert {"torch", "numpy", "insightface"} <= set(report["packages"])
    assert "CPUExecutionProvider" in report["onnx_providers"]
    for word in (report["python"], report["device"], report["package_folder"], *report["packs"]):
        assert word in text


def test_required_packages_are_the_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[<>=!~;\s]", line)[0] for line in project["dependencies"]} == set(REQUIRED)


def test_a_broken_package_is_told_once_and_a_missing_one_with_its_command(trials, capsys):
    numpy = ImportFailure("numpy", "multiarray failed to import", "run: pip")
    for number, one in enumerate(NEEDED):
        if one.package in ("numpy", "torch", "kornia"):
            trials[number] = Trial(one.package, failure=numpy)
        if one.package == "av":
            trials[number] = Trial("av", failure=ImportFailure("av", "", "run: pip install av"))
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("broken:")
    assert lines[start + 1] == "  numpy does not load (multiarray failed to import); run: pip"
    assert lines[start + 2].startswith("warnings:") and "  av: run: pip install av" in lines
    assert "device: unknown: torch does not load" in lines
    report = examine()
    assert report["broken"] == ["numpy does not load (multiarray failed to import); run: pip"]


def test_it_works_where_neither_torch_nor_numpy_can_be_imported(folder, process):
    """In processes that find broken packages before the installed ones, without a home folder."""
    fakes = {
        "numpy": "raise ImportError('numpy.core.multiarray failed to import')",
        "torch": "import os; os._exit(3)",
        "cv2": "raise ImportError('libGL.so.1: cannot open shared object file')",
        "onnxruntime": "",
    }
    for name in ("numpy", "torch", "cv2", "onnxruntime", "insightface", "av", "kornia", "onnx"):
        (folder / f"{name}.py").write_text(fakes.get(name, "import numpy"))
    done = process("doctor", "--json", cwd=folder)
    assert done.returncode == 0 and done.stderr == ""
    report = json.loads(done.stdout)
    torch, numpy, opencv, onnxruntime = report["broken"]
    assert numpy.startswith("numpy does not load (numpy.core.multiarray failed to import); ")
    assert torch.startswith("torch does not load (exit code 3); run: ")
    assert opencv.startswith("opencv-python does not load (libGL.so.1: cannot open") and "headless" in opencv
    assert onnxruntime.startswith(f"onnxruntime does not load (only leftovers of onnxruntime are in {folder}")
    assert report["device"] == "unknown: torch does not load" and report["packages"]["torch"]


def test_packs_and_their_files(folder, capsys):
    touch(folder / "models/insightface/models/antelopev2/antelopev2/glintr100.onnx")
    (folder / "models/insightface/models/empty").mkdir()
    assert cli.main(["doctor", "--json"]) == 0
    packs = json.loads(capsys.readouterr().out)["packs"]
    assert packs["models/insightface/models"] == {"antelopev2": ["antelopev2/glintr100.onnx"]}


def test_comfyui_and_the_files_in_its_folders(folder, monkeypatch, capsys):
    touch(folder / "main.py")
    (folder / "comfyui_version.py").write_text('__version__ = "0.3.64"\n')
    touch(folder / "models" / "styleswap" / "identities" / "anna.safetensors")
    touch(folder / "models" / "insightface" / "models" / "buffalo_l" / "det_10g.onnx")
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert f"ComfyUI 0.3.64 in {folder}" in text and "identities/anna.safetensors" in text
    assert "buffalo_l: det_10g.onnx" in text
    monkeypatch.setenv("COMFYUI_PATH", str(folder / "models"))
    assert examine()["comfyui"] is None


def test_files_of_opencv_zoo_and_what_to_do_about_a_damaged_one(folder, monkeypatch, capsys):
    """In the working directory and in ComfyUI, where other folders of models are not searched."""
    comfyui = folder / "comfy"
    touch(comfyui / "main.py")
    touch(folder / "models" / "opencv_zoo" / "face_detection_yunet_2023mar.onnx")
    touch(comfyui / "models" / "opencv_zoo" / "another_yunet.onnx")
    touch(comfyui / "models" / "checkpoints" / "large.onnx")
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    report = examine()
    assert report["packs"]["models"] == {"opencv_zoo": ["face_detection_yunet_2023mar.onnx"]}
    assert report["packs"][str(comfyui / "models")] == {"opencv_zoo": ["another_yunet.onnx"]}
    (line,) = [line for line in report["missing"] if "232,589" in line]
    assert "0 bytes instead of 232,589" in line and "--pack opencv --download" in line
    assert cli.main(["doctor"]) == 0
    assert "opencv_zoo: face_detection_yunet_2023mar.onnx" in capsys.readouterr().out


def test_without_packs_both_ways_to_get_one_are_named(folder, monkeypatch):
    monkeypatch.setattr("styleswap_core.commands.doctor_command.PACK_FOLDERS", ())
    (line,) = [line for line in examine()["missing"] if "--pack" in line]
    assert "--pack opencv --download (license: YuNet MIT, SFace Apache-2.0)" in line and "buffalo_l" in line
