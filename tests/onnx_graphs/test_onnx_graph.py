"""Reading of ONNX files as torch modules: errors for unsupported files, constants, inputs and outputs."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.onnx_graphs.onnx_graph import OnnxGraph


def write(path, nodes, constants=None, shape=(2, 6, 9, 8), opset=13):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


def normal(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_an_unknown_operator_is_named_with_its_node(tmp_path):
    write(tmp_path / "odd.onnx", [helper.make_node("Acosh", ["x"], ["y"], name="strange_node")])
    with pytest.raises(StyleSwapError, match=r"odd\.onnx.*Acosh.*strange_node") as caught:
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
    b, a = OnnxGraph(tmp_path / "a.onnx").collect(("b", "a"), x)
    assert torch.equal(a, x.relu()) and torch.allclose(b, x.relu().sigmoid())
    with pytest.raises(StyleSwapError, match="missing_value"):
        OnnxGraph(tmp_path / "a.onnx").collect(("missing_value",), x)


def test_what_depends_on_constants_only_is_computed_once(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0]),
        helper.make_node("Mul", ["turned", "turned"], ["square"]),
        helper.make_node("MatMul", ["x", "square"], ["y"]),
    ]
    weight = normal(5, 8)
    write(tmp_path / "a.onnx", nodes, {"w": weight})
    graph = OnnxGraph(tmp_path / "a.onnx")
    assert [node.operator for node in graph.nodes] == ["MatMul"]
    assert [tuple(buffer.shape) for buffer in graph.buffers()] == [(8, 5)]
    x = torch.randn(2, 6, 9, 8)
    assert torch.allclose(graph(x), x @ torch.from_numpy(weight).T.square(), atol=1e-5)


def test_several_inputs_and_outputs(tmp_path):
    def declared(*names):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in names]

    nodes = [helper.make_node("Sub", ["target", "source"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    model = helper.make_model(
        helper.make_graph(nodes, "two", declared("target", "source"), declared("a", "b")),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "two.onnx")
    graph = OnnxGraph(tmp_path / "two.onnx")
    assert [(item.name, item.shape) for item in graph.inputs] == [("target", (None, 3)), ("source", (None, 3))]
    target, source = torch.randn(2, 3), torch.randn(2, 3)
    a, b = graph.collect(graph.output_names, target, source)
    assert torch.equal(a, target - source) and torch.equal(b, a.relu()) and torch.equal(graph(target, source), a)
    with pytest.raises(TypeError, match="target"):
        graph(target)
