"""A small network of the form of insightface's genderage.onnx."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_genderage(path, outputs=3):
    """Network (1, 3, 96, 96) -> (1, 3): red decides the gender, and green is the age in centuries."""
    weight, bias = np.zeros((3, outputs), np.float32), np.zeros(outputs, np.float32)
    weight[0, :2], weight[1, 2], bias[:2] = (-1.0, 1.0), 1.0, (0.5, -0.5)
    # insightface subtracts 127.5 and divides by 128.
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["colors"]),
        helper.make_node("MatMul", ["colors", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["fc1"]),
    ]
    values = {
        "scale": np.float32(128 / 255),
        "shift": np.float32(127.5 / 255),
        "weight": weight,
        "bias": bias,
    }
    graph = helper.make_graph(
        nodes,
        "genderage",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["None", 3, 96, 96])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, outputs])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
