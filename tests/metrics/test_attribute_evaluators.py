"""Evaluators of pose and expression, against known ground truth."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.landmarks import SOLID, load_landmark_model
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.metrics.attribute_evaluators import (
    LandmarkEvaluator,
    PointsEvaluator,
    angle_distance,
    expression_distances,
)
from styleswap_core.synthetic.exact_landmarks import head_points
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.shape import build_shape
from styleswap_core.synthetic.world import five_points


def face(points, box=(0, 0, 100, 100)):
    return DetectedFace(0, 1.0, np.float32(box), np.float32(points))


def head(**fixed):
    """Five points (5, 2) of a test person in a picture of 256 px."""
    people = Identities.from_seeds([IDENTITY_SEEDS["test"][5]])
    attributes = Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][5]], **{"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **fixed})
    return five_points(people, attributes, 256)[0].numpy()


def test_angle_differences_wrap_around():
    assert angle_distance(np.float32([179, 0, 0]), np.float32([-179, 0, 0])) == pytest.approx(2)


@pytest.mark.parametrize(
    ("axis", "degrees", "slack"), [("yaw", 15.0, 4.0), ("yaw", -20.0, 6.0), ("pitch", 10.0, 4.0), ("roll", 12.0, 1.0)]
)
def test_five_points_measure_the_rotation_of_the_head(axis, degrees, slack):
    evaluator, blank = PointsEvaluator(), np.zeros((8, 8, 3), np.uint8)
    errors = evaluator.errors(blank, face(head()), blank, face(head(**{axis: degrees})))
    assert errors["pose_error_deg"] == pytest.approx(abs(degrees), abs=slack)
    assert evaluator.errors(blank, face(head()), blank, face(head() * 1.5 + 20))["pose_error_deg"] < 0.1


def test_expression_distances_depend_on_the_mouth_and_not_on_the_rotation():
    people = Identities.from_seeds([IDENTITY_SEEDS["test"][5]])
    closed, opened = (
        head_points(build_shape(people, Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][5]], mouth_open=value)))[1][
            0
        ].numpy()
        for value in (0.0, 1.0)
    )
    angle = 0.6
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    np.testing.assert_allclose(expression_distances(closed @ turn.T * 40), expression_distances(closed), atol=1e-5)
    change = np.abs(expression_distances(opened) - expression_distances(closed))
    assert change.argmax() == 4 and change[4] > 0.05


@pytest.fixture(scope="module")
def landmark_pack(tmp_path_factory):
    """The demo pack with a landmark model whose frontal head opens its mouth wider the brighter the picture is."""
    folder = tmp_path_factory.mktemp("pack") / "pack"
    shutil.copytree(DEMO_PACK, folder)
    people = Identities.from_seeds([IDENTITY_SEEDS["test"][0]])
    attributes = Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][0]])
    dense = head_points(build_shape(people, attributes))[1][0].numpy() * [0.5, -0.5, -0.5]
    values = np.zeros((1103, 3), np.float32)
    values[-68:] = dense
    slope = np.zeros((1103, 3), np.float32)
    slope[-68:][66, 1] = 0.1
    nodes = [
        helper.make_node("ReduceMean", ["data"], ["level"], axes=[1, 2, 3], keepdims=0, name="level"),
        helper.make_node("Reshape", ["level", "column"], ["levels"], name="column"),
        helper.make_node("MatMul", ["levels", "slope"], ["moved"], name="moved"),
        helper.make_node("Add", ["moved", "base"], ["fc1"], name="fc1"),
    ]
    weights = {"column": np.array([-1, 1]), "slope": slope.reshape(1, -1), "base": values.reshape(1, -1)}
    graph = helper.make_graph(
        nodes,
        "landmarks",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 192, 192])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 3309])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "1k3d68.onnx"
    )
    return folder


def test_landmarks_are_in_pixels_of_the_picture(landmark_pack):
    assert load_landmark_model(DEMO_PACK) is None
    model = load_landmark_model(landmark_pack, files=(SOLID,))
    picture, box = np.full((200, 300, 3), 128, np.uint8), np.float32([100, 50, 180, 150])
    points, pose = model.read(picture, box)
    assert points.shape == (68, 3) and pose.shape == (3,)
    # The model's unit is half of its square, 1.5 times the box's longer side, about the box's center.
    people = Identities.from_seeds([IDENTITY_SEEDS["test"][0]])
    expected = head_points(build_shape(people, Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][0]])))[1][0].numpy()
    np.testing.assert_allclose(points[:60, 0], 140 + 75 * 0.5 * expected[:60, 0], atol=1.0)
    assert model.name == "1k3d68"


def test_landmark_evaluator_compares_two_pictures(landmark_pack):
    evaluator = LandmarkEvaluator(load_landmark_model(landmark_pack))
    dark, bright, place = (
        np.zeros((200, 200, 3), np.uint8),
        np.full((200, 200, 3), 255, np.uint8),
        face(head(), (40, 40, 140, 160)),
    )
    assert evaluator.errors(dark, place, dark, place) == {"pose_error_deg": 0.0, "landmark_expression_error": 0.0}
    errors = evaluator.errors(dark, place, bright, place)
    assert errors["landmark_expression_error"] > 0.01 and errors["pose_error_deg"] < 3
    assert "1k3d68" in evaluator.note
