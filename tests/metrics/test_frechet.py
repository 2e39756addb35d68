"""The Fréchet distance of distributions with a closed form, and feature networks."""

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.metrics.frechet import FeatureNetwork, Moments, frechet_distance
from styleswap_core.metrics.mask_overlap import face_region

POINTS = np.float32([[24, 30], [40, 30], [32, 38], [26, 46], [38, 46]])


def moments(rows):
    result = Moments()
    for row in rows:
        result.add(row)
    return result


def test_mean_and_covariance_equal_those_of_numpy():
    rows = np.random.default_rng(0).normal(3.0, 2.0, (40, 5))
    result = moments(rows)
    np.testing.assert_allclose(result.mean(), rows.mean(axis=0))
    np.testing.assert_allclose(result.covariance(), np.cov(rows.T), atol=1e-10)


def test_commuting_covariances():
    # Four points at +-a, +-b on the axes: covariance diag(2 a^2 / 3, 2 b^2 / 3). Both sets are rotated alike.
    rotation = np.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])

    def cross(a, b, shift):
        return np.array([[a, 0], [-a, 0], [0, b], [0, -b]]) @ rotation.T + shift

    first, second = moments(cross(1.0, 2.0, [0, 0])), moments(cross(3.0, 0.5, [1, 2]))
    # Squared distance of the means, plus the sum over axes of (s1 - s2)^2 with s = sqrt(2/3) a.
    expected = 1 + 4 + 2 / 3 * ((1.0 - 3.0) ** 2 + (2.0 - 0.5) ** 2)
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_covariances_that_do_not_commute():
    # tr((AB)^(1/2)) of 2 x 2 matrices is sqrt(tr(AB) + 2 sqrt(det(AB))).
    random = np.random.default_rng(1)
    rows = random.normal(size=(30, 2)), random.normal(size=(20, 2)) @ np.array([[1.0, 0.8], [0.0, 0.4]])
    one, two = (np.cov(part.T) for part in rows)
    root = math.sqrt(np.trace(one @ two) + 2 * math.sqrt(np.linalg.det(one @ two)))
    expected = ((rows[0].mean(0) - rows[1].mean(0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * root
    assert frechet_distance(moments(rows[0]), moments(rows[1])) == pytest.approx(expected)


def test_a_set_and_itself_and_too_small_a_set():
    # With fewer rows than features, the covariance does not have full rank.
    rows = np.random.default_rng(2).normal(size=(3, 8))
    assert frechet_distance(moments(rows), moments(rows)) == pytest.approx(0, abs=1e-6)
    assert math.isnan(frechet_distance(moments(rows), moments(rows[:1])))


def write_mean_network(path, channels=3):
    """A network whose features are the means of its input channels."""
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["pixels"], ["features"])],
        "means",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", channels, 32, 32])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", channels, 1, 1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("byte", [255.0, 51.0, 0.0]),
        ("unit", [1.0, 0.2, 0.0]),
        ("signed", [1.0, -0.6, -1.0]),
        ("imagenet", [2.2489, -1.1429, -1.8045]),
    ],
)
def test_pixels_are_normalized_as_the_network_expects(tmp_path, pixels, expected):
    network = FeatureNetwork(write_mean_network(tmp_path / "means.onnx"), pixels)
    picture = np.full((64, 64, 3), [255, 51, 0], dtype=np.uint8)
    np.testing.assert_allclose(network(picture, POINTS), expected, atol=1e-3)


def test_files_that_are_no_feature_network_are_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    for path in (
        write_mean_network(tmp_path / "gray.onnx", channels=1),
        tmp_path / "text.onnx",
        tmp_path / "absent.onnx",
    ):
        with pytest.raises(StyleSwapError, match=path.name):
            FeatureNetwork(path)


def test_the_face_region_rotates_and_scales_with_the_face():
    import torch

    points = torch.from_numpy(POINTS)[None]
    region = face_region(points, 64, 80)
    assert region.shape == (1, 1, 64, 80) and set(region.unique().tolist()) == {0.0, 1.0}
    assert region[0, 0, 38, 32] == 1 and region[0, 0, 2, 2] == 0 and region[0, 0, 38, 79] == 0
    # Rotated by 90 degrees and twice as large: four times as many pixels.
    rotated = torch.stack([128 - points[..., 1] * 2, points[..., 0] * 2], dim=-1)
    assert float(face_region(rotated, 160, 160).sum()) == pytest.approx(
        4 * float(face_region(points, 80, 80).sum()), rel=0.03
    )
