"""Licenses of face analysis packs by their names and files."""

import shutil

import pytest

from styleswap_core.faces.analysis import adopt_face_analysis, load_face_analysis
from styleswap_core.faces.pack_licenses import license_note


def test_each_pack_has_its_own_license(tiny_pack, tmp_path):
    assert load_face_analysis().license_note.startswith("MIT")
    # An unknown folder is not insightface's, although insightface runs it.
    assert load_face_analysis(tiny_pack).license_note == "unknown; ask the author of the pack"
    shutil.copytree(tiny_pack, tmp_path / "models" / "buffalo_l")
    assert "non-commercial" in load_face_analysis("buffalo_l", root=tmp_path).license_note


@pytest.mark.parametrize("name", ["w600k_r50.onnx", "det_10g.onnx", "glintr100.onnx"])
def test_published_files_are_told_in_any_folder(tmp_path, name):
    assert "non-commercial" not in license_note(tmp_path)
    (tmp_path / name).touch()
    assert "non-commercial" in license_note(tmp_path)


def test_an_adopted_analysis_has_the_license_of_its_files(tiny_pack):
    from insightface.app import FaceAnalysis

    adopted = adopt_face_analysis(FaceAnalysis(name=str(tiny_pack), providers=["CPUExecutionProvider"]))
    assert adopted.license_note == "unknown; ask the author of the pack"
