"""Graphs in two parts: the same results, the first part once, and graphs of which rows cannot run together."""

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from swapping_networks import FORMS, SIZE, WIDTH

from styleswap_core.onnx_graphs.onnx_graph import OnnxGraph
from styleswap_core.onnx_graphs.split_graph import SplitGraph


def examples(form="hyperswap"):
    random = torch.Generator().manual_seed(4)
    source = (2, 3, SIZE, SIZE) if form == "uniface" else (2, WIDTH)
    return {
        "target": torch.rand(2, 3, SIZE, SIZE, generator=random),
        "source": torch.nn.functional.normalize(torch.randn(*source, generator=random), dim=1),
    }


def write(path, nodes, batch="n"):
    """A graph over target (n, 3) and source (n, 3)."""
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3]) for name in ("target", "source")]
    weights = [numpy_helper.from_array(torch.tensor(value).numpy(), name) for name, value in CONSTANTS.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "split", declared, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    rows = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    return SplitGraph(OnnxGraph(path), "source", {"target": rows, "source": rows.flip(1)})


CONSTANTS = {"two": 2.0, "shape": [1, 3], "first": 0}


@pytest.mark.parametrize("form", [name for name in FORMS if name != "uniface"])
def test_the_two_parts_give_what_the_whole_gives(tmp_path, form):
    FORMS[form](tmp_path / "swap.onnx")
    graph, inputs = OnnxGraph(tmp_path / "swap.onnx"), examples(form)
    split = SplitGraph(graph, "source", inputs)
    assert split.batched and split.elements > 0 and split.prepared_elements > 0
    prepared = [split.prepare({"target": row}) for row in inputs["target"].split(1)]
    joined = [torch.cat(values) for values in zip(*prepared, strict=True)]
    whole = graph.collect(graph.output_names, inputs["target"], inputs["source"])
    for ours, theirs in zip(split.run(joined, inputs["source"]), whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_what_does_not_depend_on_the_source_runs_once(tmp_path, monkeypatch):
    nodes = [
        helper.make_node("Mul", ["target", "two"], ["a"]),
        helper.make_node("Add", ["a", "source"], ["b"]),
        helper.make_node("Relu", ["a"], ["c"]),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    split = write(tmp_path / "a.onnx", nodes)
    ran = []
    real = split.graph.run_nodes
    monkeypatch.setattr(
        split.graph,
        "run_nodes",
        lambda nodes, known: ran.append([node.operator for node in nodes]) or real(nodes, known),
    )
    target, source = torch.randn(1, 3), torch.randn(1, 3)
    prepared = split.prepare({"target": target})
    for _ in range(2):
        (found,) = split.run(prepared, source)
        torch.testing.assert_close(found, 2 * target + source + (2 * target).relu())
    assert ran == [["Mul", "Relu"], ["Add", "Add"], ["Add", "Add"]]


def test_rows_of_a_fixed_graph_run_one_by_one(tmp_path):
    nodes = [
        helper.make_node("Add", ["target", "source"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["mean"]),  # over the rows, too
        helper.make_node("Sub", ["a", "mean"], ["y"]),
    ]
    assert not write(tmp_path / "mixing.onnx", nodes).batched
    nodes = [
        helper.make_node("Add", ["target", "source"], ["a"]),
        helper.make_node("Reshape", ["a", "shape"], ["y"]),
    ]
    split = write(tmp_path / "reshaping.onnx", nodes)
    assert not split.batched
    target, source = torch.randn(1, 3), torch.randn(1, 3)
    torch.testing.assert_close(split.run(split.prepare({"target": target}), source)[0], target + source)


def test_rows_that_are_prepared_alone_may_run_together(tmp_path):
    nodes = [
        helper.make_node("Reshape", ["target", "shape"], ["a"]),
        helper.make_node("Add", ["a", "source"], ["y"]),
    ]
    split = write(tmp_path / "a.onnx", nodes)
    target, source = torch.randn(2, 3), torch.randn(2, 3)
    assert split.batched
    (prepared,) = zip(*(split.prepare({"target": row}) for row in target.split(1)), strict=True)
    torch.testing.assert_close(split.run([torch.cat(prepared)], source)[0], target + source)


def test_shapes_of_the_target_prevent_the_split_not_the_batch(tmp_path):
    nodes = [
        helper.make_node("Shape", ["target"], ["sides"]),
        helper.make_node("Gather", ["sides", "first"], ["rows"], axis=0),
        helper.make_node("Cast", ["rows"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["source", "number"], ["share"]),
        helper.make_node("Mul", ["share", "number"], ["a"]),
        helper.make_node("Add", ["a", "target"], ["y"]),
    ]
    split = write(tmp_path / "a.onnx", nodes)
    target, source = torch.randn(2, 3), torch.randn(2, 3)
    assert split.batched
    torch.testing.assert_close(split.run(split.prepare({"target": target}), source)[0], target + source)


def test_the_check_ends_both_passes(tmp_path):
    FORMS["hyperswap"](tmp_path / "swap.onnx")
    inputs = examples()
    split = SplitGraph(OnnxGraph(tmp_path / "swap.onnx"), "source", inputs)
    asked = []
    source = inputs["source"].requires_grad_()
    picture, _ = split.run(split.prepare({"target": inputs["target"]}), source, lambda: asked.append(1))
    forward = len(asked)
    assert forward > 5
    picture.sum().backward()
    assert len(asked) > forward + 5

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        split.run(split.prepare({"target": inputs["target"]}), source, stop)
