"""Small networks of the form of each family of guests: same inputs, outputs, names, shapes and types.

The picture that comes out is SHARE of the target as the network got it plus the rest of one color, which is computed
from the source: from a vector by a fixed matrix (`COLORS`), from a picture by a weighted mean (`WEIGHTS`). Whatever
happens to target and source on their way is thus visible in the result, and can be computed exactly.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHARE = 0.75
"""Share of the target in the result."""

COLORS = np.random.default_rng(1).standard_normal((512, 3)).astype(np.float32) * 0.1
"""(512, 3): the color of a source vector is `vector @ COLORS`."""

EMAP = np.linalg.qr(np.random.default_rng(2).standard_normal((512, 512)))[0].astype(np.float32) + 0.02
"""(512, 512): the matrix of inswapper."""

CONVERTER = np.random.default_rng(3).standard_normal((512, 512)).astype(np.float32) / 20
OFFSET = np.random.default_rng(4).standard_normal(512).astype(np.float32)
"""The converter is `tanh(vector @ CONVERTER / 10) + OFFSET / 10`, which depends on the norm of the vector."""


def weights(size: int) -> np.ndarray:
    """(1, 3, size, size): the color of a source picture is the sum over the picture times this."""
    ramp = np.linspace(0.0, 1.0, size, dtype=np.float32)
    planes = np.stack([ramp[:, None] * ramp, ramp[::-1, None] * ramp, ramp[:, None] * ramp[::-1]])[None]
    return (planes / planes.sum((2, 3), keepdims=True)).astype(np.float32)


def write_inswapper(path: Path, *, size: int = 128, emap: np.ndarray | None = EMAP, half: bool = False, **more) -> Path:
    """A network of inswapper's form; without `emap` and of any size, also of ReSwapper's.

    Args:
        path: The file.
        size: Side of the crop.
        emap: Last initializer.
        half: Weights in float16, as in the files named fp16, whose inputs are float32.
        more: See `write_vector_form`.
    """
    extra = [] if emap is None else [_stored("emap", emap.astype(np.float16) if half else emap)]
    return write_vector_form(path, size=size, half=half, last=extra, **more)


def write_hyperswap(path: Path, **more) -> Path:
    """A network of HyperSwap's form; its mask is the first channel of the target as the network got it."""
    return write_vector_form(path, size=256, mask=True, **more)


def write_ghost(path: Path, **more) -> Path:
    """A network of the form that ghost, simswap_256 and hififace share."""
    return write_vector_form(path, size=256, **more)


def write_converter(path: Path) -> Path:
    """A network of the form of crossface_*.onnx."""
    nodes = [
        helper.make_node("MatMul", ["input", "matrix"], ["product"]),
        helper.make_node("Tanh", ["product"], ["bounded"]),
        helper.make_node("Add", ["bounded", "offset"], ["output"]),
    ]
    values = [_stored("matrix", CONVERTER / 10), _stored("offset", OFFSET[None] / 10)]
    return _save(path, nodes, [_value("input", [1, 512])], [_value("output", [1, 512])], values)


def convert(vector: np.ndarray) -> np.ndarray:
    """What the network of `write_converter` computes."""
    return np.tanh(vector @ (CONVERTER / 10)) + OFFSET / 10


def write_blendswap(path: Path) -> Path:
    """A network of BlendSwap's form: the source is a picture of 112 px."""
    return _write_picture_form(path, 256, 112)


def write_uniface(path: Path) -> Path:
    """A network of UniFace's form: the source is a picture of 256 px."""
    return _write_picture_form(path, 256, 256)


def write_dfm(path: Path, *, size: int = 64, morph: bool = False) -> Path:
    """A network of the form of DeepFaceLive's files.

    The target mask is the first (blue) channel of the target, the source mask the second; with a morph value the face
    is SHARE of the target plus (1 - SHARE) of the morph value, otherwise plus (1 - SHARE) of COLOR_OF_DFM.
    """
    color = "morph_value:0" if morph else "color"
    nodes = [
        helper.make_node("Mul", ["in_face:0", "share"], ["part"]),
        helper.make_node("Mul", [color, "rest"], ["tint"]),
        helper.make_node("Add", ["part", "tint"], ["out_celeb_face:0"]),
        helper.make_node("Slice", ["in_face:0", "zero", "one", "three"], ["out_face_mask:0"]),
        helper.make_node("Slice", ["in_face:0", "one", "two", "three"], ["out_celeb_face_mask:0"]),
    ]
    values = [
        _stored("share", np.float32([SHARE])),
        _stored("rest", np.float32([1 - SHARE])),
        _stored("color", np.float32(COLOR_OF_DFM)),
        *(_stored(name, np.int64([number])) for name, number in (("zero", 0), ("one", 1), ("two", 2), ("three", 3))),
    ]
    inputs = [_value("in_face:0", [1, size, size, 3])] + [_value("morph_value:0", [1])] * morph
    outputs = [
        _value("out_face_mask:0", [1, size, size, 1]),
        _value("out_celeb_face:0", [1, size, size, 3]),
        _value("out_celeb_face_mask:0", [1, size, size, 1]),
    ]
    return _save(path, nodes, inputs, outputs, values)


COLOR_OF_DFM = (0.1, 0.5, 0.9)
"""Blue, green, red."""


def write_vector_form(
    path: Path,
    *,
    size: int,
    mask: bool = False,
    half: bool = False,
    last: list[TensorProto] | None = None,
    batch: int | str = 1,
    fixed_inside: bool = False,
    mixes_rows: bool = False,
    names: tuple[str, str] = ("target", "source"),
) -> Path:
    """A network with a target picture and a source vector (1, 512).

    Args:
        path: The file.
        size: Side of the crop.
        mask: With a second output, the first channel of the target.
        half: Weights in float16.
        last: Last initializers.
        batch: Declared batch: a number, or a name for a free one.
        fixed_inside: A reshape inside allows no other batch than 1.
        mixes_rows: Each row of a batch depends on the others.
        names: Names of the inputs.
    """
    kind = np.float16 if half else np.float32
    target, source = names
    cast = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", [target], ["picture"], to=cast),
        helper.make_node("Cast", [source], ["vector"], to=cast),
        helper.make_node("MatMul", ["vector", "colors"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["tint"]),
        helper.make_node("Mul", ["picture", "share"], ["part"]),
        helper.make_node("Add", ["part", "tint"], ["mixed"]),
    ]
    result = "mixed"
    if mixes_rows:
        nodes.append(helper.make_node("ReduceMean", ["mixed"], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Add", ["mixed", "mean"], ["sum"]))
        result = "sum"
    nodes.append(helper.make_node("Cast", [result], ["output"], to=TensorProto.FLOAT))
    outputs = [_value("output", [batch, 3, size, size])]
    values = [
        _stored("colors", (COLORS * (1 - SHARE)).astype(kind)),
        _stored("shape", np.int64([1 if fixed_inside else -1, 3, 1, 1])),
        _stored("share", np.asarray(SHARE, dtype=kind)),
    ]
    if mask:
        values += [_stored(name, np.int64([number])) for name, number in (("zero", 0), ("one", 1))]
        nodes.append(helper.make_node("Slice", [target, "zero", "one", "one"], ["mask"]))
        outputs.append(_value("mask", [batch, 1, size, size]))
    inputs = [_value(target, [batch, 3, size, size]), _value(source, [batch, 512])]
    # As exporters do, with declared shapes of intermediate values, which hold the batch.
    between = [_value("flat", [batch, 3], cast), _value("tint", [batch, 3, 1, 1], cast)]
    return _save(path, nodes, inputs, outputs, values + (last or []), between)


def _write_picture_form(path: Path, size: int, source_size: int) -> Path:
    nodes = [
        helper.make_node("Mul", ["source", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axes"], ["tint"], keepdims=1),
        helper.make_node("Mul", ["target", "share"], ["part"]),
        helper.make_node("Add", ["part", "tint"], ["output"]),
    ]
    values = [
        _stored("weights", weights(source_size) * np.float32(1 - SHARE)),
        _stored("axes", np.int64([2, 3])),
        _stored("share", np.float32(SHARE)),
    ]
    inputs = [_value("target", [1, 3, size, size]), _value("source", [1, 3, source_size, source_size])]
    return _save(path, nodes, inputs, [_value("output", [1, 3, size, size])], values)


def _stored(name: str, array: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def _value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _save(path: Path, nodes, inputs, outputs, values, between=()) -> Path:
    graph = helper.make_graph(nodes, "guest", inputs, outputs, values, value_info=list(between))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
