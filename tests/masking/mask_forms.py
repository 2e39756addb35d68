"""Small networks of the form of face parsing and occlusion networks, which tell regions apart by color.

Both see a crop as their real counterparts do, so that wrong normalization, channel order or layout changes the mask.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
COVER = (0, 0, 255)
"""Color (RGB) of what covers a face."""


def write_parsing(
    path: Path,
    colors: dict[int, tuple[int, int, int]],
    *,
    classes: int = 19,
    side: int | str = 512,
    outputs: int = 1,
    half: bool = False,
) -> Path:
    """A network of BiSeNet's form: the class of a pixel is that of the nearest color.

    Args:
        path: The file.
        colors: RGB, 0..255, of some of the classes; the others do not occur.
        classes: Number of classes.
        side: Side of the pictures, or a name for a free one.
        outputs: Number of outputs; published files have up to three.
        half: Whether input, weights and outputs are float16.
    """
    kind, number = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    # The nearest color c has the largest x.c - c.c / 2, with x recovered from the normalized input.
    weight, bias = np.zeros((classes, 3, 1, 1)), np.full(classes, -1e4)
    for row, color in colors.items():
        unit = np.array(color) / 255
        weight[row, :, 0, 0] = unit * STD
        bias[row] = unit @ MEAN - unit @ unit / 2
    stored = {"weight": weight.astype(number), "bias": bias.astype(number)}
    nodes = [helper.make_node("Conv", ["input", "weight", "bias"], ["out"], kernel_shape=[1, 1])]
    nodes += [helper.make_node("Neg", ["out"], [f"out{row}"]) for row in range(1, outputs)]
    names = ["out", *(f"out{row}" for row in range(1, outputs))]
    return _save(path, nodes, stored, [1, 3, side, side], {name: [1, classes, side, side] for name in names}, kind)


def write_occlusion(path: Path, *, side: int = 256, batch: int | str = 1, level: float = 1.0) -> Path:
    """A network of XSeg's form: `level` everywhere but on pixels whose blue is much stronger than their red.

    Args:
        path: The file.
        side: Side of the pictures.
        batch: First dimension, or a name for a free one.
        level: Value of what is visible.
    """
    # In BGR, blue - red is the difference between the first and the last channel.
    weight = np.array([[1.0], [0.0], [-1.0]], np.float32)
    nodes = [
        helper.make_node("MatMul", ["input", "weight"], ["difference"]),
        helper.make_node("Less", ["difference", "half"], ["visible"]),
        helper.make_node("Cast", ["visible"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "level"], ["mask"]),
    ]
    stored = {"weight": weight, "half": np.float32([0.5]), "level": np.float32([level])}
    return _save(path, nodes, stored, [batch, side, side, 3], {"mask": [batch, side, side, 1]})


def _save(
    path: Path,
    nodes: list,
    stored: dict[str, np.ndarray],
    shape: list,
    outputs: dict[str, list],
    kind=TensorProto.FLOAT,
) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info(name, kind, size) for name, size in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
