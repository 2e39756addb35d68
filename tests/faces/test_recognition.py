"""Recognizers from single files embed like insightface's packs; other files are refused."""

import numpy as np
import pytest
from zoo_networks import write_sface, write_yunet

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.faces.recognition import SHIPPED_JUDGE, OnnxRecognizer

POINTS = np.float32([[90, 100], [150, 98], [121, 135], [98, 170], [146, 168]])


def test_a_recognizer_file_embeds_like_its_pack():
    pack, alone = load_face_analysis(), OnnxRecognizer(DEMO_PACK / "arcface_demo.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (256, 240, 3), dtype=np.uint8)
    np.testing.assert_array_equal(alone.embed(picture, POINTS), pack.embed(picture, POINTS))
    assert (alone.name, alone.sha256) == (pack.recognizer.name, pack.recognizer.sha256)
    other = OnnxRecognizer(SHIPPED_JUDGE).embed(picture, POINTS)
    assert np.linalg.norm(other) == pytest.approx(1, abs=1e-5) and not np.allclose(other, alone.embed(picture, POINTS))


def test_sface_runs_in_opencv_with_its_pixels(tmp_path):
    """As in its pack, from a file of any name; the torch twin takes the same pixels."""
    write_yunet(tmp_path / "yunet.onnx")
    write_sface(tmp_path / "mine.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (256, 240, 3), dtype=np.uint8)
    alone, pack = OnnxRecognizer(tmp_path / "mine.onnx"), load_face_analysis(tmp_path)
    np.testing.assert_array_equal(alone.embed(picture, POINTS), pack.embed(picture, POINTS))
    assert alone.recognizer_id == pack.recognizer and alone.recognizer_id.dimension == 128
    assert TorchRecognizer(tmp_path / "mine.onnx").normalization == (0.0, 1.0)


def test_large_pictures_are_reduced_together_with_their_points():
    judge = OnnxRecognizer(SHIPPED_JUDGE)
    small = np.full((64, 64, 3), 40, np.uint8)
    small[20:50, 16:44] = [200, 150, 120]
    points = np.float32([[22, 28], [38, 28], [30, 36], [24, 44], [36, 44]])
    large = small.repeat(64, axis=0).repeat(64, axis=1)
    assert judge.embed(large, points * 64) @ judge.embed(small.repeat(32, 0).repeat(32, 1), points * 32) > 0.999


def test_small_faces_of_large_pictures_keep_their_detail():
    judge, picture = OnnxRecognizer(SHIPPED_JUDGE), np.zeros((4096, 4096, 3), np.uint8)
    head = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    picture[3000:3080, 2000:2080] = head
    points = np.float32([[28, 34], [50, 33], [39, 45], [30, 58], [49, 57]])
    expected = judge.embed(np.pad(head, ((40, 40), (40, 40), (0, 0))), points + 40)
    assert judge.embed(picture, points + np.float32([2000, 3000])) @ expected > 0.999


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(StyleSwapError, match=r"bad.onnx"):
        OnnxRecognizer(path)


def test_networks_of_other_types_are_refused():
    with pytest.raises(StyleSwapError, match="use another file"):
        OnnxRecognizer(DEMO_PACK / "det_demo.onnx")
