"""Face analysis packs with known answers, which insightface loads like any other.

The detector finds a "face" in every 32 x 32 block of its grid that is white (in the other pack: black in its left half
and white in its right), with a box and five points at fixed offsets from the block's corner. The correct positions
follow by arithmetic.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

# In units of the stride 32, from the block's corner.
BOX = (0.25, 0.5, 1.0, 1.25)  # distances to left, top, right, bottom
FIVE = ((0.25, 0.25), (0.75, 0.25), (0.5, 0.5), (0.25, 0.875), (0.75, 0.75))


def _save(path, nodes, weights, shape, outputs):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, side) for name, side in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_detector(path, black_half=False):
    """Write a detector with nine outputs in SCRFD's order; strides 8 and 16 find nothing."""
    nodes, weights, outputs = [], {}, {"score": [], "box": [], "points": []}
    for stride in (8, 16, 32):
        kinds = {
            "score": np.full(2, (-900.0 if black_half else -1000.0) if stride == 32 else -10.0),
            "box": np.tile(BOX, 2),
            "points": np.tile(np.ravel(FIVE), 2),
        }
        for kind, bias in kinds.items():
            name = f"{kind}{stride}"
            weight = np.zeros((len(bias), 3, stride, stride), dtype=np.float32)
            if name == "score32":
                # White is (255 - 127.5) / 128 in every channel, so that the logit of a white block is 1020 - 1000.
                weight[:] = 1024.0 / (3 * 32 * 32)
                weight[..., :16] *= -1 if black_half else 1
            width = len(bias) // 2
            weights |= {f"w_{name}": weight, f"b_{name}": bias.astype(np.float32), f"s_{name}": np.array([-1, width])}
            size = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
            last = f"rows_{name}" if kind == "score" else name
            nodes += [
                helper.make_node("Conv", ["input", f"w_{name}", f"b_{name}"], [f"map_{name}"], f"c_{name}", **size),
                helper.make_node("Transpose", [f"map_{name}"], [f"t_{name}"], f"t_{name}", perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{name}", f"s_{name}"], [last], f"r_{name}"),
            ]
            if kind == "score":
                nodes.append(helper.make_node("Sigmoid", [last], [name], f"sigmoid_{name}"))
            outputs[kind].append((name, ["n", width]))
    ordered = outputs["score"] + outputs["box"] + outputs["points"]
    _save(path, nodes, weights, [1, 3, "height", "width"], ordered)


def write_recognizer(path, seed=0):
    """Write a recognizer: a random projection of a crop that is reduced by a factor of 8."""
    weight = np.random.default_rng(seed).standard_normal((512, 3 * 14 * 14)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["small"], "pool", kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["small"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "weight"], ["embedding"], "gemm", transB=1),
    ]
    _save(path, nodes, {"weight": weight}, ["n", 3, 112, 112], [("embedding", ["n", 512])])


@pytest.fixture(scope="session")
def tiny_pack(tmp_path_factory):
    """Folder with a detector and a recognizer."""
    folder = tmp_path_factory.mktemp("packs") / "tiny"
    folder.mkdir()
    write_detector(folder / "det.onnx")
    write_recognizer(folder / "rec.onnx")
    return folder


@pytest.fixture(scope="session")
def edge_pack(tmp_path_factory):
    """Pack whose detector finds edges from black to white, in a white picture only its left border if padded."""
    folder = tmp_path_factory.mktemp("packs") / "edge"
    folder.mkdir()
    write_detector(folder / "det.onnx", black_half=True)
    return folder


@pytest.fixture
def box_and_points():
    """The detector's answer for a block of side 1 with its corner at (0, 0)."""
    left, top, right, bottom = BOX
    return np.array([-left, -top, right, bottom]), np.array(FIVE)
