"""Swappers under evaluation: detected, missed and wrong faces, and a network with another recognizer."""

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.io.images import to_uint8
from styleswap_core.metrics.evaluated_swappers import check_pack, is_hit, pipeline_swapper
from styleswap_core.metrics.synthetic_cases import draw_cases, render_cases
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork

POINTS = np.float32([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]])


def network(**choices):
    torch.manual_seed(0)
    config = GeneratorConfig(size=32, w_dim=16, mapping_layers=1, channels={4: 8, 8: 8, 16: 8, 32: 8}, **choices)
    return StyleSwapNetwork(Generator(config).eval(), baked=False)


def face(points):
    return DetectedFace(0, 0.9, np.concatenate([points.min(0), points.max(0)]), np.float32(points))


class KnownFaces:
    """Face analysis with given detections for each picture."""

    recognizer = RecognizerId()

    def __init__(self, pictures):
        self.pictures = {picture.tobytes(): faces for picture, faces in pictures}

    def detect(self, picture, order="largest", embed=True, quick=False):
        return self.pictures[picture.tobytes()]

    def embed(self, picture, points):
        raise AssertionError("embeddings must not be requested without a recognizer")


def test_pipeline_swaps_detected_faces_only():
    batch = render_cases(draw_cases(2, 1, seed=5), torch.arange(2), None, "ffhq", torch.device("cpu"))
    pictures = to_uint8(batch.target)
    analyzer = KnownFaces([(pictures[0], [face(batch.target_points[0].numpy())]), (pictures[1], [])])
    identities = [Identity(torch.ones(512), RecognizerId())] * 2
    with torch.no_grad():
        result, mask, found = pipeline_swapper(network(), analyzer)(batch, identities)
    assert found.tolist() == [True, False]
    assert result.shape == batch.target.shape and mask.shape == batch.target_face.shape
    assert not torch.equal(result[0], batch.target[0]) and mask[0].max() > 0
    # Pixels outside of the mask are unchanged.
    unchanged = (mask[0] == 0).expand(3, -1, -1)
    torch.testing.assert_close(result[0][unchanged], batch.target[0][unchanged])
    torch.testing.assert_close(result[1], batch.target[1])
    assert mask[1].max() == 0


def test_a_detection_next_to_the_face_is_no_hit():
    # The distance from eyes to mouth is 10 px, and the limit a quarter of it.
    assert is_hit(POINTS + np.array([2.4, 0]), POINTS)
    assert not is_hit(POINTS + np.array([2.6, 0]), POINTS)


def test_another_recognizer_is_refused():
    with pytest.raises(StyleSwapError, match="--pack"):
        check_pack(network(recognizer="demo"), RecognizerId("other", "0" * 64))
    check_pack(network(recognizer="other"), RecognizerId("other", "0" * 64))
    check_pack(network(), RecognizerId("other", "0" * 64))
