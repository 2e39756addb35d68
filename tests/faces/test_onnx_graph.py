"""Every operator of the ONNX reader against ONNX Runtime, and errors for unsupported files."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.onnx_graph import OnnxGraph
from styleswap_core.faces.onnx_operators import OPERATORS


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
    ours = OnnxGraph(path)(torch.from_numpy(x)).numpy()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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
}


@pytest.mark.parametrize("name", SINGLE)
def test_operator_agrees_with_onnx_runtime(tmp_path, name):
    operator, attributes, arrays = SINGLE[name]
    constants = {f"c{i}": np.asarray(array) for i, array in enumerate(arrays)}
    write(tmp_path / "a.onnx", [helper.make_node(operator, ["x", *constants], ["y"], **attributes)], constants)
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


def test_every_operator_is_tested():
    tested = {operator for operator, _, _ in SINGLE.values()}
    tested |= {"Gemm", "Pow", "Sqrt", "Squeeze", "Shape"}
    assert tested == set(OPERATORS)


def test_an_unknown_operator_is_named_with_its_node(tmp_path):
    write(tmp_path / "odd.onnx", [helper.make_node("Softplus", ["x"], ["y"], name="strange_node")])
    with pytest.raises(StyleSwapError, match=r"odd\.onnx.*Softplus.*strange_node") as caught:
        OnnxGraph(tmp_path / "odd.onnx")
    assert "\n" not in str(caught.value)


def test_operators_of_other_domains_are_refused(tmp_path):
    write(tmp_path / "a.onnx", [helper.make_node("Relu", ["x"], ["y"], domain="com.example")])
    with pytest.raises(StyleSwapError, match=r"com.example::Relu"):
        OnnxGraph(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), [("Conv", ["x"], {}), ("MaxPool", ["x"], {}), ("Add", ["x", "x", "x"], {})]
)
def test_a_node_with_missing_or_surplus_arguments_is_named(tmp_path, operator, inputs, attributes):
    write(tmp_path / "odd.onnx", [helper.make_node(operator, inputs, ["y"], name="strange_node", **attributes)])
    with pytest.raises(StyleSwapError, match=rf"odd\.onnx.*strange_node.*{operator}"):
        OnnxGraph(tmp_path / "odd.onnx")


def test_unsqueeze_without_axes_is_refused(tmp_path):
    write(tmp_path / "odd.onnx", [helper.make_node("Unsqueeze", ["x"], ["y"])])
    with pytest.raises(StyleSwapError, match="Unsqueeze with axes"):
        OnnxGraph(tmp_path / "odd.onnx")(torch.zeros(1))


def test_files_without_a_graph_are_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="does not exist"):
        OnnxGraph(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_bytes(b"\xff\xfe this is no protobuf")
    with pytest.raises(StyleSwapError, match="damaged"):
        OnnxGraph(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(StyleSwapError, match="no ONNX graph"):
        OnnxGraph(tmp_path / "empty.onnx")


def test_weights_are_frozen_buffers_and_half_precision_is_widened(tmp_path):
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    write(tmp_path / "a.onnx", nodes, {"w": normal(8)})
    graph = OnnxGraph(tmp_path / "a.onnx")
    assert list(graph.parameters()) == [] and len(list(graph.buffers())) == 1
    write(tmp_path / "half.onnx", nodes, {"w": normal(8).astype(np.float16)})
    assert next(OnnxGraph(tmp_path / "half.onnx").buffers()).dtype == torch.float32


def test_collect_returns_the_named_values_in_order(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    write(tmp_path / "a.onnx", nodes)
    x = torch.randn(2, 6, 9, 8)
    b, a = OnnxGraph(tmp_path / "a.onnx").collect(x, ("b", "a"))
    assert torch.equal(a, x.relu()) and torch.allclose(b, x.relu().sigmoid())
    with pytest.raises(StyleSwapError, match="missing_value"):
        OnnxGraph(tmp_path / "a.onnx").collect(x, ("missing_value",))
