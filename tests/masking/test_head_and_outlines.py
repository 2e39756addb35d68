"""Pose and outline from five points, and face masks, compared with the ground truth of the face world."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points, transform_points, warp
from styleswap_core.faces.landmarks import SOLID, load_landmark_model
from styleswap_core.io.images import to_uint8
from styleswap_core.masking.face_parsing import FaceParser
from styleswap_core.masking.head import FACE, FIVE, fit_head
from styleswap_core.masking.outlines import mask_from_landmarks, mask_from_points
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import five_points


def five_of_head(yaw, pitch, roll, scale, shift):
    """The five points of the average head after rotations about x, y and the optical axis."""
    yaw, pitch, roll = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return scale * (FIVE @ (about_z @ about_y @ about_x)[:2].T) + np.array(shift)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (-40, 10, 0), (20, -15, 25), (0, 20, -30)])
def test_the_pose_of_an_average_head_is_found_exactly(angles):
    head = fit_head(five_of_head(*angles, scale=1.7, shift=(90, 60)))
    assert (head.yaw, head.pitch, head.roll) == pytest.approx(angles, abs=1e-6)
    assert head.outline(FACE).mean(0) == pytest.approx(head.shift + head.linear @ FACE.surface().mean(0))


def test_poses_of_the_face_world():
    count = 96
    attributes = Attributes.from_seeds(list(ATTRIBUTE_SEEDS["test"])[:count])
    points = five_points(Identities.from_seeds(list(IDENTITY_SEEDS["test"])[:count]), attributes, 256).numpy()
    fitted = [fit_head(five.astype(np.float64)) for five in points]
    found = np.array([(head.yaw, head.pitch, head.roll) for head in fitted])
    truth = attributes.pose.numpy()
    error = np.median(np.abs(found - truth), axis=0)
    assert error[0] < 6 and error[2] < 3
    for axis, least in ((0, 0.9), (1, 0.3), (2, 0.9)):
        assert np.corrcoef(found[:, axis], truth[:, axis])[0, 1] > least


def test_masks_from_five_points_cover_the_face(rendered):
    size, shares, plain = 96, [], []
    for image, mask, points in zip(rendered.image, rendered.face_mask, rendered.points, strict=True):
        matrix = estimate_similarity(points[None], template_points("ffhq", size))
        crop = to_uint8(warp(image[None], matrix, size))[0]
        truth = warp(mask[None], matrix, size, padding="zeros")[0, 0].numpy() > 0.5
        head = fit_head(transform_points(matrix, points[None])[0].double().numpy())
        found = mask_from_points(crop, head)
        assert np.array_equal(found, mask_from_points(crop, head))
        shares.append(_iou(found > 127, truth))
        outline = cv2.convexHull(np.float32(head.outline(FACE))).astype(np.int32)
        plain.append(_iou(cv2.fillConvexPoly(np.zeros((size, size), np.uint8), outline, 1) > 0, truth))
    assert np.median(shares) > 0.75
    assert np.median(shares) > np.median(plain)


def _iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_without_colors_the_mask_is_the_average_outline():
    points = template_points("ffhq", 128).double().numpy()
    mask = mask_from_points(np.full((128, 128, 3), 128, np.uint8), fit_head(points))
    assert all(mask[int(y), int(x)] == 255 for x, y in points)
    assert mask[0].max() == 0 and mask[:, 0].max() == 0


def test_masks_from_dense_landmarks_include_the_forehead():
    points = template_points("ffhq", 100).numpy()
    angle = np.linspace(0, np.pi, 33)
    jaw = np.stack([50 + 30 * np.cos(angle), 48 + 38 * np.sin(angle)], 1)
    brows = np.stack([np.linspace(28, 72, 9), np.full(9, 40.0)], 1)
    mask = mask_from_landmarks(np.concatenate([jaw, brows]), points, 100)
    up = points[:2].mean(0)[1] - points[3:].mean(0)[1]
    assert mask[60, 50] == 255 and mask[84, 50] == 255 and mask[88, 50] == 0
    assert mask[int(40 + 0.5 * up), 50] == 255 and mask[int(40 + 0.7 * up), 50] == 0


# --- small hand-made models for landmarks and parsing


def test_landmarks_of_a_pack(tmp_path):
    assert load_landmark_model(tmp_path) is None
    # Returns the same 106 points of its 192 px input for every picture: a circle.
    angle = np.linspace(0, 2 * np.pi, 106, endpoint=False)
    answer = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle)], 1).astype(np.float32).reshape(1, 212)
    _save(
        tmp_path / "2d106det.onnx",
        [
            helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "answer"], ["points"]),
        ],
        {"answer": answer, "zero": np.zeros((1, 1), np.float32)},
        [1, 3, 192, 192],
        ("points", [1, 212]),
    )
    landmarks = load_landmark_model(tmp_path, threads=1)
    found, pose = landmarks.read(np.zeros((200, 300, 3), np.uint8), np.array([100, 50, 180, 130]))
    # insightface crops a square of 1.5 times the box, and the radius of the circle is a quarter of its side.
    assert pose is None and found.shape == (106, 2) and found.mean(0) == pytest.approx((140, 90), abs=1)
    assert np.ptp(found, axis=0) == pytest.approx((60, 60), abs=0.5)
    # Under the name of the 3D model, callers would expect a pose from it.
    (tmp_path / "2d106det.onnx").rename(tmp_path / SOLID)
    with pytest.raises(StyleSwapError, match="another type"):
        load_landmark_model(tmp_path, files=(SOLID,))


def test_masks_from_a_parsing_model(tmp_path):
    path = _parser(tmp_path / "parsing.onnx", 19)
    crop = np.zeros((64, 64, 3), np.uint8)
    crop[:, 32:] = 255  # the model classifies bright pixels as skin
    mask = FaceParser(path).mask(crop)
    assert mask.shape == (64, 64) and mask[:, :28].max() == 0 and mask[:, 36:].min() == 255
    assert FaceParser(path, regions=(0,)).mask(crop)[:, :28].min() == 255


def test_unsuitable_parsing_models_are_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="does not exist"):
        FaceParser(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(StyleSwapError, match="not an ONNX file"):
        FaceParser(tmp_path / "text.onnx")
    with pytest.raises(StyleSwapError, match="7 classes"):
        FaceParser(_parser(tmp_path / "seven.onnx", 7))
    with pytest.raises(StyleSwapError, match="19 classes"):
        FaceParser(_parser(tmp_path / "parsing.onnx", 19), regions=(25,))


def _parser(path, classes):
    weight = np.zeros((classes, 3, 1, 1), np.float32)
    weight[1] = 1.0
    nodes = [helper.make_node("Conv", ["input", "weight"], ["scores"], kernel_shape=[1, 1])]
    return _save(path, nodes, {"weight": weight}, [1, 3, 32, 32], ("scores", [1, classes, 32, 32]))


def _save(path, nodes, weights, shape, output):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
