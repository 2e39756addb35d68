"""Files of OpenCV Zoo: where they are looked for, how they are told by their form, and their download."""

import shutil
from dataclasses import replace

import pytest
from zoo_networks import write_sface, write_yunet, write_zoo

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces import opencv_zoo, packs
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.opencv_zoo import SFACE, YUNET, find_zoo, zoo_files
from styleswap_core.io.files import file_sha256


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return write_zoo(tmp_path_factory.mktemp("zoo") / "opencv_zoo")


@pytest.fixture
def served(zoo, monkeypatch):
    """OpenCV Zoo's repository stands in `zoo`; returns the two files as they are described there."""
    described = [
        replace(file, url=(zoo / file.name).as_uri(), sha256=file_sha256(zoo / file.name), size=size)
        for file in (YUNET, SFACE)
        for size in [(zoo / file.name).stat().st_size]
    ]
    monkeypatch.setattr(opencv_zoo, "YUNET", described[0])
    monkeypatch.setattr(opencv_zoo, "SFACE", described[1])
    return described


@pytest.mark.parametrize("name", ["opencv_zoo", "opencv"])
def test_the_pack_is_found_by_name_and_short_form(zoo, tmp_path, name):
    shutil.copytree(zoo, tmp_path / "models" / "opencv_zoo")
    analyzer = load_face_analysis(name, root=tmp_path)
    assert analyzer.recognizer.name == "face_recognition_sface_2021dec" and analyzer.recognizer.dimension == 128
    assert analyzer.license_note == "YuNet MIT, SFace Apache-2.0"


def test_the_default_places(zoo, tmp_path, monkeypatch):
    """~/.styleswap, the working directory, then insightface's roots."""
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(packs, "ZOO_ROOTS", (home / ".styleswap", packs.ZOO_ROOTS[1]))
    monkeypatch.setattr(packs, "DEFAULT_ROOTS", (home / ".insightface",))
    monkeypatch.chdir(work)
    # Such as a clone of the repository; only a folder with networks is a pack.
    (work / "opencv").mkdir()
    with pytest.raises(StyleSwapError, match=r"in .*\.styleswap/models/opencv_zoo.*Licenses: YuNet MIT"):
        packs.find_pack("opencv")
    for place in (home / ".insightface", work, home / ".styleswap"):
        shutil.copytree(zoo, place / "models" / "opencv_zoo")
        assert packs.find_pack("opencv") == place / "models" / "opencv_zoo"


def test_nothing_is_downloaded_without_permission(served, tmp_path):
    with pytest.raises(StyleSwapError, match="allow the download") as caught:
        load_face_analysis("opencv_zoo", root=tmp_path)
    for file in served:
        assert file.name in str(caught.value)
    assert "https://github.com/opencv/opencv_zoo" in str(caught.value)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_a_download_fetches_what_is_missing(served, zoo, tmp_path):
    """Into the first folder, or into the one that has a part already."""
    steps = []
    first, second = tmp_path / "first", tmp_path / "second"
    assert find_zoo([first, second], True, lambda *step: steps.append(step)) == first
    assert {path.name for path in first.iterdir()} == {YUNET.name, SFACE.name}
    assert {total for _, total in steps} == {file.size for file in served}
    shutil.rmtree(first)
    second.mkdir()
    shutil.copy(zoo / SFACE.name, second)
    steps.clear()
    assert find_zoo([first, second], True, lambda *step: steps.append(step)) == second
    assert {total for _, total in steps} == {served[0].size} and not first.exists()
    # Complete: nothing is fetched again.
    steps.clear()
    assert find_zoo([first, second], True, lambda *step: steps.append(step)) == second and steps == []


def test_a_wrong_file_is_discarded(served, monkeypatch, tmp_path):
    monkeypatch.setattr(opencv_zoo, "YUNET", replace(served[0], sha256="0" * 64))
    with pytest.raises(StyleSwapError, match="another SHA-256"):
        load_face_analysis("opencv", root=tmp_path, allow_download=True)
    assert list(tmp_path.iterdir()) == []


def test_pinned_files_are_those_of_the_repository():
    assert (YUNET.size, YUNET.sha256[:8], YUNET.license) == (232_589, "8f2383e4", "MIT")
    assert (SFACE.size, SFACE.sha256[:8], SFACE.license) == (38_696_353, "0ba9fbfa", "Apache-2.0")
    for file in (YUNET, SFACE):
        assert file.url.startswith("https://github.com/opencv/opencv_zoo/raw/") and file.url.endswith(file.name)


def test_files_are_told_by_their_form(tmp_path, tiny_pack):
    assert zoo_files(tiny_pack) is None and zoo_files(tmp_path) is None
    write_sface(tmp_path / "a.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    assert zoo_files(tmp_path) is None
    write_yunet(tmp_path / "b.onnx")
    assert zoo_files(tmp_path) == (tmp_path / "b.onnx", tmp_path / "a.onnx")
    assert load_face_analysis(tmp_path).license_note == "unknown; ask the author of the pack"
    # Recognizers of insightface take other pixels.
    (tmp_path / "a.onnx").unlink()
    shutil.copy(tiny_pack / "rec.onnx", tmp_path)
    assert zoo_files(tmp_path).recognizer is None
    # By name, so that the error of a damaged file names it.
    (tmp_path / SFACE.name).touch()
    assert zoo_files(tmp_path).recognizer == tmp_path / SFACE.name
