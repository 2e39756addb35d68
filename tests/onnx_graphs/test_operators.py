"""Every operator of the ONNX reader against ONNX Runtime, with its gradient against differences."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.onnx_graphs.onnx_graph import OnnxGraph
from styleswap_core.onnx_graphs.operators import OPERATORS


def write(path, nodes, constants=None, shape=(2, 6, 9, 8), opset=13):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


def assert_parity(path, shape=(2, 6, 9, 8), positive=False):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x = np.abs(x) + 0.1 if positive else x
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0]
    graph = OnnxGraph(path)
    ours = graph(torch.from_numpy(x)).numpy()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)
    assert_gradient(graph.double(), torch.from_numpy(x).double())


def assert_gradient(graph, x, step=1e-6):
    """The derivative in a random direction against a difference, in double precision."""
    random = torch.Generator().manual_seed(2)
    direction = torch.randn(x.shape, generator=random, dtype=x.dtype)
    result = graph(x.requires_grad_())
    if not result.requires_grad or result.numel() == 0:
        return
    weight = torch.randn(result.shape, generator=random, dtype=x.dtype)
    (gradient,) = torch.autograd.grad((result * weight).sum(), x)
    with torch.no_grad():
        change = ((graph(x + step * direction) - graph(x - step * direction)) * weight).sum() / (2 * step)
    scale = max(float(gradient.norm()), 1.0)
    assert abs(float((gradient * direction).sum() - change)) < 1e-5 * scale


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def floats(*values):
    return np.array(values, dtype=np.float32)


def coordinates(mode, name):
    return {"mode": mode, "coordinate_transformation_mode": name}


def ints(*values):
    return np.array(values, dtype=np.int64)


# Name -> operator, attributes, further inputs.
SINGLE = {
    "conv": ("Conv", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, [normal(4, 6, 3, 3), normal(4)]),
    "conv_no_bias_dilated": ("Conv", {"dilations": [2, 1]}, [normal(4, 6, 3, 3)]),
    "conv_depthwise": ("Conv", {"group": 6, "pads": [1, 1, 1, 1]}, [normal(6, 1, 3, 3)]),
    "conv_uneven_pads": ("Conv", {"pads": [0, 1, 2, 0], "strides": [2, 1]}, [normal(4, 6, 3, 3)]),
    "conv_same_upper": ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [normal(4, 6, 3, 3)]),
    "conv_same_lower": ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [normal(4, 6, 2, 2)]),
    "batch_norm": (
        "BatchNormalization",
        {"epsilon": 2e-5},
        [normal(6), normal(6, seed=2), normal(6, seed=3), np.abs(normal(6, seed=4)) + 0.1],
    ),
    "prelu_channels": ("PRelu", {}, [normal(6, 1, 1)]),
    "prelu_single": ("PRelu", {}, [normal(1)]),
    "prelu_broadcast": ("PRelu", {}, [normal(9, 8)]),
    "relu": ("Relu", {}, []),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}, []),
    "sigmoid": ("Sigmoid", {}, []),
    "identity": ("Identity", {}, []),
    "dropout": ("Dropout", {}, []),
    "clip": ("Clip", {}, [np.float32(-0.5), np.float32(0.5)]),
    "add": ("Add", {}, [normal(6, 1, 1)]),
    "sub": ("Sub", {}, [normal(1, 6, 9, 8)]),
    "mul": ("Mul", {}, [np.float32(0.25)]),
    "div": ("Div", {}, [np.abs(normal(8)) + 0.5]),
    "matmul": ("MatMul", {}, [normal(8, 5)]),
    "max_pool": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "max_pool_uneven": ("MaxPool", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, []),
    "max_pool_ceil": ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, []),
    "average_pool": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "average_pool_counting": (
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        [],
    ),
    "global_average_pool": ("GlobalAveragePool", {}, []),
    "flatten": ("Flatten", {}, []),
    "flatten_axis_2": ("Flatten", {"axis": 2}, []),
    "flatten_negative_axis": ("Flatten", {"axis": -1}, []),
    "reshape": ("Reshape", {}, [ints(0, -1)]),
    "reshape_explicit": ("Reshape", {}, [ints(2, 3, 2, 72)]),
    "transpose": ("Transpose", {"perm": [0, 2, 3, 1]}, []),
    "transpose_default": ("Transpose", {}, []),
    "unsqueeze": ("Unsqueeze", {}, [ints(0, 5)]),
    "unsqueeze_negative": ("Unsqueeze", {}, [ints(-1, 1)]),
    "gather": ("Gather", {"axis": 2}, [ints(4, -1, 0)]),
    "gather_scalar": ("Gather", {"axis": 1}, [np.int64(2)]),
    "reduce_mean": ("ReduceMean", {"axes": [2, 3], "keepdims": 0}, []),
    "reduce_mean_all": ("ReduceMean", {}, []),
    "concat": ("Concat", {"axis": 1}, [normal(2, 3, 9, 8)]),
    "abs": ("Abs", {}, []),
    "ceil": ("Ceil", {}, []),
    "cos": ("Cos", {}, []),
    "elu": ("Elu", {"alpha": 0.7}, []),
    "erf": ("Erf", {}, []),
    "exp": ("Exp", {}, []),
    "floor": ("Floor", {}, []),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.3}, []),
    "hard_swish": ("HardSwish", {}, []),
    "max": ("Max", {}, [normal(6, 1, 1), np.float32(0.1)]),
    "min": ("Min", {}, [normal(6, 1, 1), np.float32(0.1)]),
    "neg": ("Neg", {}, []),
    "reciprocal": ("Reciprocal", {}, []),
    "round": ("Round", {}, []),
    "sin": ("Sin", {}, []),
    "softplus": ("Softplus", {}, []),
    "sum": ("Sum", {}, [normal(6, 1, 1), normal(8)]),
    "tanh": ("Tanh", {}, []),
    "pow_square": ("Pow", {}, [np.float32(2)]),
    "pow_cube": ("Pow", {}, [np.float32(3)]),
    "einsum": ("Einsum", {"equation": "bchw,dc->bdhw"}, [normal(4, 6)]),
    "softmax": ("Softmax", {"axis": 1}, []),
    "softmax_default": ("Softmax", {}, []),
    "lp_normalization": ("LpNormalization", {"axis": 1, "p": 2}, []),
    "instance_norm": ("InstanceNormalization", {"epsilon": 1e-3}, [normal(6), normal(6, seed=2)]),
    "global_max_pool": ("GlobalMaxPool", {}, []),
    "reduce_l2": ("ReduceL2", {"axes": [1]}, []),
    "reduce_max": ("ReduceMax", {"axes": [-1], "keepdims": 0}, []),
    "reduce_min": ("ReduceMin", {"axes": [2, 3]}, []),
    "reduce_prod": ("ReduceProd", {"axes": [1, 3], "keepdims": 0}, []),
    "reduce_sum": ("ReduceSum", {"keepdims": 0}, [ints(1, -1)]),
    "reduce_sum_nothing": ("ReduceSum", {"noop_with_empty_axes": 1}, []),
    "reduce_sum_square": ("ReduceSumSquare", {"axes": [1]}, []),
    "conv_transpose": ("ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, [normal(6, 4, 4, 4), normal(4)]),
    "conv_transpose_uneven": (
        "ConvTranspose",
        {"strides": [2, 2], "pads": [0, 1, 2, 0], "output_padding": [1, 1], "group": 2},
        [normal(6, 2, 3, 3)],
    ),
    "conv_transpose_dilated": ("ConvTranspose", {"dilations": [2, 1]}, [normal(6, 4, 3, 3)]),
    "conv_transpose_same": ("ConvTranspose", {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, [normal(6, 4, 3, 3)]),
    "conv_transpose_shape": ("ConvTranspose", {"strides": [2, 2], "output_shape": [18, 16]}, [normal(6, 4, 3, 3)]),
    "depth_to_space": ("DepthToSpace", {"blocksize": 2}, [], (2, 8, 3, 5)),
    "depth_to_space_crd": ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, [], (2, 8, 3, 5)),
    "space_to_depth": ("SpaceToDepth", {"blocksize": 2}, [], (2, 3, 6, 4)),
    "expand": ("Expand", {}, [ints(5, 2, 6, 9, 8)]),
    "expand_both": ("Expand", {}, [ints(6, 9, 1)], (2, 1, 9, 8)),
    "pad": ("Pad", {}, [ints(0, 2, 1, 0, 0, 3, 0, 2), np.float32(0.5)]),
    "pad_batch": ("Pad", {}, [ints(1, 0, 0, 0, 0, 0, 0, 1)]),
    "pad_crops": ("Pad", {}, [ints(0, 0, -1, 1, 0, 0, 2, -2)]),
    "pad_reflect": ("Pad", {"mode": "reflect"}, [ints(0, 0, 3, 1, 0, 0, 2, 4)]),
    "pad_reflect_channels": ("Pad", {"mode": "reflect"}, [ints(0, 2, 1, 0, 0, 3, 0, 1)]),
    "pad_edge": ("Pad", {"mode": "edge"}, [ints(0, 0, 3, 1, 0, 0, 2, 4)]),
    "pad_edge_batch": ("Pad", {"mode": "edge"}, [ints(1, 2, 0, 0, 2, 0, 1, 0)]),
    "slice": ("Slice", {}, [ints(1, -7), ints(5, 2**62), ints(1, 2)]),
    "slice_default_axes": ("Slice", {}, [ints(0, 1), ints(1, -1)]),
    "slice_backwards": ("Slice", {}, [ints(-1, 1), ints(-(2**62), 8), ints(3, 2), ints(-1, 3)]),
    "slice_nothing": ("Slice", {}, [ints(4), ints(2), ints(1)]),
    "tile": ("Tile", {}, [ints(1, 2, 1, 3)]),
    "resize_linear": ("Resize", {"mode": "linear"}, ["", floats(1, 1, 2, 2)]),
    "resize_linear_uneven": ("Resize", {"mode": "linear"}, ["", floats(1, 1, 1.7, 0.6)]),
    "resize_linear_sizes": ("Resize", {"mode": "linear"}, ["", "", ints(2, 6, 13, 5)]),
    # 7 * (61 / 7) is less than 61.
    "resize_linear_sizes_rounded": ("Resize", {"mode": "linear"}, ["", "", ints(2, 6, 61, 8)], (2, 6, 7, 8)),
    "resize_pytorch_half_pixel": ("Resize", coordinates("linear", "pytorch_half_pixel"), ["", "", ints(2, 6, 1, 20)]),
    "resize_align_corners": ("Resize", coordinates("linear", "align_corners"), ["", "", ints(2, 6, 17, 5)]),
    "resize_asymmetric": ("Resize", coordinates("linear", "asymmetric"), ["", floats(1, 1, 2, 1.5)]),
    "resize_channels": ("Resize", {"mode": "linear"}, ["", floats(1, 2, 2, 1)]),
    "resize_nearest": ("Resize", {}, ["", floats(1, 1, 2, 3)]),
    "resize_nearest_floor": (
        "Resize",
        {**coordinates("nearest", "asymmetric"), "nearest_mode": "floor"},
        ["", floats(1, 1, 2, 0.5)],
    ),
    "resize_nearest_ceil": ("Resize", {"nearest_mode": "ceil"}, ["", "", ints(2, 6, 20, 5)]),
    "resize_nearest_prefers_ceil": (
        "Resize",
        {**coordinates("nearest", "align_corners"), "nearest_mode": "round_prefer_ceil"},
        ["", "", ints(2, 6, 17, 11)],
    ),
    "resize_cubic": ("Resize", {"mode": "cubic"}, ["", floats(1, 1, 2.5, 0.7)]),
    "resize_cubic_coefficient": ("Resize", {"mode": "cubic", "cubic_coeff_a": -0.5}, ["", "", ints(2, 6, 14, 5)]),
}


# Name -> nodes, constants, opset: forms of operators that need more than one node, or another opset.
COMPOUND = {
    "comparisons": (
        [
            helper.make_node("Greater", ["x", "c"], ["more"]),
            helper.make_node("Less", ["x", "d"], ["less"]),
            helper.make_node("And", ["more", "less"], ["both"]),
            helper.make_node("GreaterOrEqual", ["x", "d"], ["most"]),
            helper.make_node("Or", ["both", "most"], ["either"]),
            helper.make_node("LessOrEqual", ["x", "c"], ["least"]),
            helper.make_node("Not", ["least"], ["not_least"]),
            helper.make_node("Equal", ["x", "c"], ["equal"]),
            helper.make_node("Or", ["not_least", "equal"], ["unused"]),
            helper.make_node("Where", ["either", "x", "c"], ["y"]),
        ],
        {"c": np.float32(-0.5), "d": np.float32(0.5)},
        14,
    ),
    "logarithm": (
        [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Log", ["a"], ["y"])],
        {},
        14,
    ),
    "split_evenly": (
        [helper.make_node("Split", ["x"], ["a", "b", "c"], axis=1), helper.make_node("Sub", ["c", "a"], ["y"])],
        {},
        14,
    ),
    "split_lengths": (
        [helper.make_node("Split", ["x", "n"], ["a", "y"], axis=2)],
        {"n": ints(2, 7)},
        14,
    ),
    "split_attribute": ([helper.make_node("Split", ["x"], ["a", "y"], axis=1, split=[1, 5])], {}, 11),
    "split_count": ([helper.make_node("Split", ["x"], ["a", "y"], axis=3, num_outputs=2)], {}, 18),
    "slice_attributes": ([helper.make_node("Slice", ["x"], ["y"], axes=[1, 3], starts=[1, -5], ends=[4, -1])], {}, 9),
    "pad_attributes": ([helper.make_node("Pad", ["x"], ["y"], pads=[0, 1, 1, 0, 0, 0, 0, 2], value=2.0)], {}, 10),
    "pad_axes": (
        [helper.make_node("Pad", ["x", "n", "", "axes"], ["y"], mode="reflect")],
        {"n": ints(1, 2, 3, 0), "axes": ints(-1, 2)},
        18,
    ),
    "pad_wraps": ([helper.make_node("Pad", ["x", "n"], ["y"], mode="wrap")], {"n": ints(0, 0, 2, 1, 0, 1, 0, 3)}, 19),
    "resize_axes": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", axes=[2, 3])],
        {"s": floats(2, 0.5)},
        18,
    ),
    "resize_half_pixel_symmetric": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], **coordinates("linear", "half_pixel_symmetric"))],
        {"s": floats(1, 1, 1.3, 0.7)},
        19,
    ),
    "resize_of_opset_10": (
        [helper.make_node("Resize", ["x", "s"], ["y"], mode="linear")],
        {"s": floats(1, 1, 2, 2)},
        10,
    ),
    "upsample": ([helper.make_node("Upsample", ["x", "s"], ["y"], mode="linear")], {"s": floats(1, 1, 2, 2)}, 9),
    "upsample_attribute": ([helper.make_node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 3.0])], {}, 7),
    "reduce_axes_input": ([helper.make_node("ReduceMean", ["x", "n"], ["y"])], {"n": ints(-1, 1)}, 18),
    "softmax_before_opset_13": ([helper.make_node("Softmax", ["x"], ["y"], axis=2)], {}, 11),
    "layer_norm": (
        [helper.make_node("LayerNormalization", ["x", "a", "b"], ["y"], axis=2)],
        {"a": normal(9, 8), "b": normal(9, 8, seed=2)},
        17,
    ),
    "gelu": ([helper.make_node("Gelu", ["x"], ["y"], approximate="tanh")], {}, 20),
    "grid_sample": (
        [helper.make_node("GridSample", ["x", "g"], ["y"], align_corners=1, padding_mode="border")],
        {"g": np.tanh(normal(2, 5, 4, 2)) * 1.2},
        16,
    ),
    "shape_arithmetic": (
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Div", ["shape", "n"], ["half"]),
            helper.make_node("Cast", ["half"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["real", "f"], ["scaled"]),
            helper.make_node("Floor", ["scaled"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["sizes"], to=TensorProto.INT64),
            helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest"),
        ],
        {"n": ints(1, 1, 2, 3), "f": floats(1, 1, 2.6, 3.3)},
        14,
    ),
    "constant_of_shape": (
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("ConstantOfShape", ["shape"], ["twos"], value=numpy_helper.from_array(floats(2))),
            helper.make_node("Mul", ["x", "twos"], ["y"]),
        ],
        {},
        14,
    ),
    "range": (
        [
            helper.make_node("Range", ["a", "b", "c"], ["steps"]),
            helper.make_node("Gather", ["x", "steps"], ["y"], axis=1),
        ],
        {"a": np.int64(0), "b": np.int64(6), "c": np.int64(2)},
        14,
    ),
    "half_precision": (
        [
            helper.make_node("Cast", ["x"], ["same"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["same", "wide"], ["y"]),
        ],
        {"w": normal(8).astype(np.float16)},
        14,
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_operator_agrees_with_onnx_runtime(tmp_path, name):
    operator, attributes, arrays, *shape = SINGLE[name]
    shape = shape[0] if shape else (2, 6, 9, 8)
    constants = {f"c{i}": np.asarray(array) for i, array in enumerate(arrays) if not isinstance(array, str)}
    inputs = ["x", *("" if isinstance(array, str) else f"c{i}" for i, array in enumerate(arrays))]
    write(tmp_path / "a.onnx", [helper.make_node(operator, inputs, ["y"], **attributes)], constants, shape, opset=14)
    assert_parity(tmp_path / "a.onnx", shape)


@pytest.mark.parametrize("name", COMPOUND)
def test_forms_of_several_nodes_agree_with_onnx_runtime(tmp_path, name):
    nodes, constants, opset = COMPOUND[name]
    write(tmp_path / "a.onnx", nodes, {key: np.asarray(value) for key, value in constants.items()}, opset=opset)
    assert_parity(tmp_path / "a.onnx")


def test_remaining_operators(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2.0))),
        helper.make_node("Pow", ["x", "two"], ["square"]),
        helper.make_node("Sqrt", ["square"], ["root"]),
        helper.make_node("GlobalAveragePool", ["root"], ["pooled"]),
        helper.make_node("Squeeze", ["pooled", "axes"], ["squeezed"]),
        helper.make_node("Gemm", ["squeezed", "weight", "bias"], ["y"], alpha=0.5, beta=2.0, transB=1),
    ]
    write(tmp_path / "a.onnx", nodes, {"axes": ints(2, 3), "weight": normal(7, 6), "bias": normal(7)})
    assert_parity(tmp_path / "a.onnx", positive=True)


def test_flatten_through_shape_arithmetic(tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.int64(0))),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axis"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["sides"], axis=0),
        helper.make_node("Reshape", ["x", "sides"], ["y"]),
    ]
    write(tmp_path / "a.onnx", nodes, {"axis": ints(0), "rest": ints(-1)})
    assert_parity(tmp_path / "a.onnx")


def test_attributes_of_old_opsets(tmp_path):
    nodes = [
        helper.make_node("Clip", ["x"], ["clipped"], min=-0.3, max=0.4),
        helper.make_node("Unsqueeze", ["clipped"], ["wide"], axes=[0]),
        helper.make_node("Squeeze", ["wide"], ["narrow"], axes=[0]),
        helper.make_node("Dropout", ["narrow"], ["y", "unread_mask"], ratio=0.5),
    ]
    write(tmp_path / "a.onnx", nodes, opset=9)
    assert_parity(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("operator", "attributes", "inputs", "opset"),
    [
        ("Resize", {"mode": "linear", "antialias": 1}, ["x", "", "scales"], 18),
        ("Resize", {"coordinate_transformation_mode": "tf_crop_and_resize"}, ["x", "box", "scales"], 13),
        ("Resize", {"keep_aspect_ratio_policy": "not_larger"}, ["x", "", "", "sizes"], 18),
        ("AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, ["x"], 19),
    ],
)
def test_forms_that_are_not_supported_are_refused(tmp_path, operator, attributes, inputs, opset):
    constants = {"scales": floats(1, 1, 2, 2), "box": floats(0, 0, 0, 0, 1, 1, 1, 1), "sizes": ints(2, 6, 12, 12)}
    used = {name: constants[name] for name in inputs if name in constants}
    write(tmp_path / "a.onnx", [helper.make_node(operator, inputs, ["y"], **attributes)], used, opset=opset)
    graph = OnnxGraph(tmp_path / "a.onnx")
    with pytest.raises(StyleSwapError, match=operator):
        graph(torch.zeros(2, 6, 9, 8))


def test_every_operator_is_tested():
    tested = {operator for operator, *_ in SINGLE.values()}
    tested |= {node.op_type for nodes, *_ in COMPOUND.values() for node in nodes}
    tested |= {"Gemm", "Sqrt", "Squeeze"}
    assert tested == set(OPERATORS)
