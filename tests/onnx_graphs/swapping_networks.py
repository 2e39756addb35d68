"""Small swapping networks with the operators of published ones: (target, source) -> picture, sometimes a mask."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, CHANNELS, WIDTH = 16, 6, 512


class NetworkWriter:
    """Writer of ONNX networks with random weights, in single or half precision."""

    def __init__(self, half=False):
        self.random = np.random.default_rng(7)
        self.half = half
        self.nodes, self.weights = [], []

    def op(self, operator, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values, dtype=None):
        values = np.asarray(values, dtype or (np.float16 if self.half else np.float32))
        self.weights.append(numpy_helper.from_array(values, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def ints(self, *values):
        return self.constant(values, np.int64)

    def normal(self, *shape, gain=1.0):
        return self.constant(gain * self.random.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1)))

    def conv(self, x, inside, outside, kernel=3, stride=1):
        weights = self.normal(outside, inside, kernel, kernel, gain=1.5), self.normal(outside)
        pads = [0] * 4 if kernel == 7 else [kernel // 2] * 4
        return self.op("Conv", x, *weights, pads=pads, strides=[stride] * 2)

    def linear(self, x, outside, inside=WIDTH):
        # Embeddings have length 1: the weights are large, so that the source matters.
        return self.op("Gemm", x, self.normal(outside, inside, gain=20.0), self.normal(outside), transB=1)

    def reflected(self, x, inside, outside):
        return self.conv(
            self.op("Pad", x, self.ints(0, 0, 3, 3, 0, 0, 3, 3), mode="reflect"), inside, outside, kernel=7
        )

    def leaky(self, x):
        return self.op("LeakyRelu", x, alpha=0.2)

    def maps(self, x):
        return self.op("Unsqueeze", x, self.ints(2, 3))

    def save(self, path: Path, outputs, source=("n", WIDTH)):
        inputs = [("target", ("n", 3, SIZE, SIZE)), *([("source", source)] if source else [])]
        for node in self.nodes:
            for i, name in enumerate(node.output):
                node.output[i] = outputs.get(name, name)
            for i, name in enumerate(node.input):
                node.input[i] = outputs.get(name, name)
        graph = helper.make_graph(
            self.nodes,
            "swap",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.values()],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, path)


def inswapper(path: Path, half=False):
    """inswapper, ReSwapper: reflected borders, AdaIN from means and deviations, bilinear upsampling, tanh to 0..1."""
    n = NetworkWriter(half)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    target, source = (n.op("Cast", name, to=kind) for name in ("target", "source"))
    x = n.leaky(n.conv(n.leaky(n.reflected(target, 3, CHANNELS)), CHANNELS, CHANNELS, stride=2))
    skip = x
    for norm in (adain_from_means, adain_of_instances):
        x = n.op("Relu", norm(n, n.conv(x, CHANNELS, CHANNELS), source))
    x = n.op("Add", x, skip)
    n.weights.append(numpy_helper.from_array(np.float32([1, 1, 2, 2]), "scales"))
    x = n.op("Resize", x, "", "scales", mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    x = n.op("Tanh", n.reflected(x, CHANNELS, 3))
    x = n.op("Div", n.op("Add", x, n.constant(1.0)), n.constant(2.0))
    n.save(path, {n.op("Cast", x, to=TensorProto.FLOAT): "output"})


def adain_from_means(n, x, source):
    centered = n.op("Sub", x, n.op("ReduceMean", x, axes=[2, 3]))
    variance = n.op("ReduceMean", n.op("Pow", centered, n.constant(2.0)), axes=[2, 3])
    normal = n.op("Div", centered, n.op("Sqrt", n.op("Add", variance, n.constant(1e-3))))
    style = n.maps(n.linear(source, 2 * CHANNELS))
    gain = n.op("Slice", style, n.ints(0), n.ints(CHANNELS), n.ints(1))
    shift = n.op("Slice", style, n.ints(CHANNELS), n.ints(2**60), n.ints(1))
    return n.op("Add", n.op("Mul", normal, gain), shift)


def adain_of_instances(n, x, source):
    ones, zeros = n.constant(np.ones(CHANNELS)), n.constant(np.zeros(CHANNELS))
    normal = n.op("InstanceNormalization", x, ones, zeros, epsilon=1e-3)
    gain, shift = n.op("Split", n.maps(n.linear(source, 2 * CHANNELS)), n.ints(CHANNELS, CHANNELS), axis=1, outputs=2)
    return n.op("Add", n.op("Mul", gain, normal), shift)


def hyperswap(path: Path):
    """HyperSwap: attributes blended with the identity by a learned mask, PReLU, a second output for the mask."""
    n = NetworkWriter()
    x = n.op("PRelu", n.conv("target", 3, CHANNELS, stride=2), n.normal(CHANNELS, 1, 1))
    share = n.op("Sigmoid", n.conv(x, CHANNELS, 1))
    gain, shift = n.op("Split", n.maps(n.linear("source", 2 * CHANNELS)), axis=1, outputs=2)
    identity = n.op("Add", n.op("Mul", n.op("InstanceNormalization", x, *two(n)), gain), shift)
    kept = n.op("Mul", n.op("Sub", n.constant(1.0), share), x)
    x = n.op("Relu", n.op("Add", kept, n.op("Mul", share, identity)))
    rounding = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = n.op("Resize", x, "", n.constant([1, 1, 2, 2]), mode="nearest", **rounding)
    picture = n.op("Tanh", n.conv(x, CHANNELS, 3))
    mask = n.op("Sigmoid", n.conv(n.op("Concat", x, picture, axis=1), CHANNELS + 3, 1))
    n.save(path, {picture: "output", mask: "mask"})


def two(n):
    return n.constant(np.ones(CHANNELS)), n.constant(np.zeros(CHANNELS))


def ghost(path: Path):
    """Ghost, HifiFace: deconvolutions, batch normalization, the source as a map that grows, aligned corners."""
    n = NetworkWriter()
    x = n.conv("target", 3, CHANNELS, stride=2)
    statistics = [n.constant(abs(n.random.standard_normal(CHANNELS)) + 0.3) for _ in range(4)]
    attributes = n.leaky(n.op("BatchNormalization", x, *statistics))
    shape = n.op("Concat", n.op("Slice", n.op("Shape", "source"), n.ints(0), n.ints(1)), n.ints(-1, 1, 1), axis=0)
    start = n.op("Reshape", n.linear("source", CHANNELS), shape)
    grown = n.op("ConvTranspose", start, n.normal(CHANNELS, CHANNELS, 2, 2, gain=3.0), n.normal(CHANNELS))
    corners = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    grown = n.op("Resize", grown, "", "", n.op("Shape", attributes), **corners)
    x = n.op("Add", attributes, grown)
    pads = {"strides": [2, 2], "pads": [1] * 4}
    x = n.op("ConvTranspose", x, n.normal(CHANNELS, 3, 4, 4, gain=2.0), n.normal(3), **pads)
    n.save(path, {n.op("Tanh", x): "output"})


def uniface(path: Path):
    """UniFace, BlendSwap: the source is a picture; its weights are modulated within the graph, one group per sample."""
    n = NetworkWriter()
    code = n.op("Flatten", n.op("GlobalAveragePool", n.op("Relu", n.conv("source", 3, CHANNELS, stride=2))))
    style = n.op("Add", n.linear(code, CHANNELS, inside=CHANNELS), n.constant(1.0))
    weight = n.op("Mul", n.op("Unsqueeze", style, n.ints(1, 3, 4)), n.normal(1, CHANNELS, CHANNELS, 3, 3, gain=2.0))
    norm = n.op("ReduceSum", n.op("Pow", weight, n.constant(2.0)), n.ints(2, 3, 4), keepdims=1)
    weight = n.op("Mul", weight, n.op("Reciprocal", n.op("Sqrt", n.op("Add", norm, n.constant(1e-6)))))
    weight = n.op("Reshape", weight, n.ints(-1, CHANNELS, 3, 3))
    x = n.leaky(n.conv("target", 3, CHANNELS))
    x = n.op("Reshape", x, n.ints(1, -1, SIZE, SIZE))
    x = n.op("Conv", x, weight, pads=[1] * 4, group=2)
    x = n.op("Reshape", x, n.ints(2, CHANNELS, SIZE, SIZE))
    x = n.op("Where", n.op("Greater", x, n.constant(0.0)), x, n.op("Mul", x, n.constant(0.1)))
    x = n.op("Clip", n.conv(x, CHANNELS, 3), n.constant(-1.0), n.constant(1.0))
    n.save(path, {x: "output"}, source=("n", 3, SIZE, SIZE))


def simswap(path: Path):
    """SimSwap: AdaIN from means, channels expanded from the embedding, zero-padded borders of any axis."""
    n = NetworkWriter()
    x = n.op("Relu", n.reflected("target", 3, CHANNELS))
    x = adain_from_means(n, n.conv(x, CHANNELS, CHANNELS), "source")
    plane = n.op("Expand", n.maps(n.linear("source", 1)), n.ints(1, 1, SIZE, SIZE))
    x = n.op("Concat", x, n.op("Tile", plane, n.ints(1, 2, 1, 1)), axis=1)
    x = n.op("Pad", x, n.ints(0, 0, 1, 1, 0, 1, 1, 1))
    x = n.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1])
    half = n.op("Mul", n.op("Tanh", n.conv(x, CHANNELS + 3, 3)), n.constant(0.5))
    n.save(path, {n.op("Add", half, n.constant(0.5)): "output"})


FORMS = {"inswapper": inswapper, "hyperswap": hyperswap, "ghost": ghost, "simswap": simswap, "uniface": uniface}
