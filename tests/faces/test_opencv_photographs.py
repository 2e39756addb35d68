"""OpenCV's detector on photographs: every portrait is found at every size."""

import shutil

import cv2
import numpy as np
import pytest
from real_faces import PORTRAITS, REAL_FACES, needs_real_faces
from zoo_networks import write_sface

from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.io.images import load_image


@needs_real_faces
@pytest.mark.parametrize("side", [40, 256, 2000])
def test_portraits_are_found_at_any_size(side, tmp_path):
    """With points that differ from those at full size by less than half the distance between the eyes."""
    shutil.copy(REAL_FACES / "yunet_for_opencv.onnx", tmp_path)
    write_sface(tmp_path / "sface.onnx")
    analyzer = load_face_analysis(tmp_path)
    files = sorted(PORTRAITS.iterdir())
    # The large pictures take longer.
    for file in files if side < 2000 else files[::4]:
        picture = load_image(file)
        scale = side / picture.shape[0]
        resized = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        expected = analyzer.detect(picture, embed=False)[0].points * scale
        face = analyzer.detect(resized)[0]
        assert face.id_embedding.shape == (128,) and face.score > 0.5
        eyes = np.linalg.norm(expected[1] - expected[0])
        assert np.linalg.norm(face.points - expected, axis=1).max() < eyes / 2, file.name
        # Left and right as seen in the picture, eyes above the mouth.
        assert face.points[0, 0] < face.points[1, 0] and face.points[3, 0] < face.points[4, 0]
        assert face.points[:2, 1].max() < face.points[3:, 1].min()
