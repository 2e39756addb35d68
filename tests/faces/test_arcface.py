"""The torch recognizer against ONNX Runtime, for the two architectures of published packs."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from real_faces import RECOGNIZER, needs_real_faces

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.io.files import file_sha256


class GraphWriter:
    """Writes recognizers with random weights, scaled so that activations keep their magnitude through many layers."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes, self.weights = [], []

    def node(self, operator, inputs, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], f"{operator}_{output}", **attributes))
        return output

    def constant(self, value):
        name = f"layer.{len(self.weights)}.weight"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def normal(self, *shape, std=1.0):
        return self.constant(self.random.standard_normal(shape, dtype=np.float32) * np.float32(std))

    def uniform(self, low, high, *shape):
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def conv(self, x, inside, outside, kernel=3, stride=1, group=1, pad=None):
        pad = kernel // 2 if pad is None else pad
        weight = self.normal(outside, inside // group, kernel, kernel, std=(inside // group * kernel**2) ** -0.5)
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": group}
        return self.node("Conv", [x, weight], **sizes)

    def batch_norm(self, x, channels, gain=1.0):
        statistics = [
            self.uniform(0.8 * gain, 1.2 * gain, channels),
            self.normal(channels, std=0.1),
            self.normal(channels, std=0.1),
            self.uniform(0.6, 1.4, channels),
        ]
        return self.node("BatchNormalization", [x, *statistics], epsilon=1e-5)

    def prelu(self, x, channels):
        return self.node("PRelu", [x, self.uniform(0.1, 0.4, channels, 1, 1)])

    def gemm(self, x, inside, outside):
        return self.node("Gemm", [x, self.normal(outside, inside, std=inside**-0.5), self.normal(outside)], transB=1)

    def flatten_by_shape(self, x):
        """The shape arithmetic to which exporters convert `x.view(x.size(0), -1)`."""
        shape = self.node("Shape", [x])
        zero = self.node("Constant", [], value=numpy_helper.from_array(np.int64(0)))
        batch = self.node("Gather", [shape, zero], axis=0)
        row = self.node("Unsqueeze", [batch, self.constant(np.array([0]))])
        rest = self.node("Constant", [], value=numpy_helper.from_array(np.array([-1])))
        return self.node("Reshape", [x, self.node("Concat", [row, rest], axis=0)])

    def save(self, path, output, size=112, width=512):
        self.nodes[-1].output[0] = "embedding"
        assert output == f"v{len(self.nodes) - 1}"
        graph = helper.make_graph(
            self.nodes,
            "recognizer",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, size, size])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", width])],
            self.weights,
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_iresnet50(path):
    """insightface's iresnet50: BN, conv, BN, PReLU, conv, BN and a shortcut in each of 3 + 4 + 14 + 3 blocks."""
    g = GraphWriter()
    x = g.prelu(g.batch_norm(g.conv("input", 3, 64), 64), 64)
    inside = 64
    for outside, blocks in ((64, 3), (128, 4), (256, 14), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = g.batch_norm(g.conv(x, inside, outside, kernel=1, stride=2), outside)
            y = g.conv(g.batch_norm(x, inside), inside, outside)
            y = g.prelu(g.batch_norm(y, outside), outside)
            y = g.batch_norm(g.conv(y, outside, outside, stride=stride), outside, gain=0.3)
            x, inside = g.node("Add", [y, shortcut]), outside
    x = g.node("Flatten", [g.node("Dropout", [g.batch_norm(x, 512)])], axis=1)
    g.save(path, g.batch_norm(g.gemm(x, 512 * 49, 512), 512))


def write_mobilefacenet(path):
    """MobileFaceNet: depthwise bottlenecks, a 7 x 7 global depthwise convolution, a linear layer."""
    g = GraphWriter()

    def conv_block(x, inside, outside, **options):
        return g.prelu(g.batch_norm(g.conv(x, inside, outside, **options), outside), outside)

    def bottleneck(x, inside, outside, wide, stride):
        y = conv_block(x, inside, wide, kernel=1)
        y = conv_block(y, wide, wide, stride=stride, group=wide)
        y = g.batch_norm(g.conv(y, wide, outside, kernel=1), outside, gain=0.5)
        return g.node("Add", [x, y]) if stride == 1 and inside == outside else y

    x = conv_block(conv_block("input", 3, 64, stride=2), 64, 64, group=64)
    for inside, outside, wide, blocks in ((64, 64, 128, 5), (64, 128, 256, 7), (128, 128, 512, 3)):
        for block in range(blocks):
            x = bottleneck(x, inside if block == 0 else outside, outside, wide, 2 if block == 0 else 1)
    x = conv_block(x, 128, 512, kernel=1)
    x = g.batch_norm(g.conv(x, 512, 512, kernel=7, group=512, pad=0), 512)
    g.save(path, g.batch_norm(g.gemm(g.flatten_by_shape(x), 512, 512), 512))


ARCHITECTURES = {"iresnet50": write_iresnet50, "mobilefacenet": write_mobilefacenet}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def onnx_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("recognizers") / f"{request.param}.onnx"
    ARCHITECTURES[request.param](path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def recognizer(onnx_file):
    return TorchRecognizer(onnx_file)


def crops(count=2):
    return torch.rand(count, 3, 112, 112, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_embeddings_agree_with_onnx_runtime(onnx_file, recognizer):
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": crops().numpy()})[0]
    assert 0.1 < np.abs(expected).mean() < 100, "degenerate activations would make the comparison meaningless"
    ours = recognizer(crops()).numpy()
    assert ours.shape == (2, 512)
    assert np.abs(ours - expected).max() <= 1e-4


def test_gradients_reach_the_picture_but_no_weights(recognizer):
    picture = crops(1).requires_grad_()
    embedding = recognizer(picture)
    direction = torch.randn_like(embedding)
    (embedding * direction).sum().backward()
    assert list(recognizer.parameters()) == [] and not any(buffer.requires_grad for buffer in recognizer.buffers())
    step = picture.grad / picture.grad.norm()
    epsilon = 1e-2
    with torch.no_grad():
        change = recognizer(picture + epsilon * step) - recognizer(picture - epsilon * step)
    measured = float((change * direction).sum()) / (2 * epsilon)
    assert measured == pytest.approx(float(picture.grad.norm()), rel=0.05)


def test_features_are_one_map_per_resolution(recognizer):
    maps = recognizer.features(crops(1))
    sides = [value.shape[-1] for value in maps]
    assert sides == sorted(sides, reverse=True) and sides[-1] == 7 and 56 in sides and 14 in sides
    named = recognizer.features(crops(1), recognizer.levels[-1:])
    assert torch.equal(named[0], maps[-1])


def test_recognizer_describes_its_file(onnx_file, recognizer):
    assert recognizer.name == onnx_file.stem and recognizer.sha256 == file_sha256(onnx_file)
    assert recognizer.input_size == 112 and not recognizer.training
    with pytest.raises(StyleSwapError, match="recognizer_crop"):
        recognizer(torch.zeros(1, 3, 128, 128))


def write_small(path, normalizing=False, size=112, width=512):
    g = GraphWriter()
    x = "input"
    if normalizing:
        x = g.node("Sub", [x, g.constant(np.float32(127.5))])
        x = g.node("Mul", [x, g.constant(np.float32(0.0078125))])
    x = g.node("Flatten", [g.conv(x, 3, 8, kernel=8, stride=8, pad=0)])
    g.save(path, g.gemm(x, 8 * (size // 8) ** 2, width), size, width)


def test_input_range_agrees_with_insightface(tmp_path):
    """Graphs with and without normalization, compared with insightface's ArcFaceONNX on one 8-bit crop."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    crop = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    for normalizing in (False, True):
        path = tmp_path / f"{normalizing}.onnx"
        write_small(path, normalizing)
        theirs = ArcFaceONNX(str(path))
        assert theirs.input_mean == (0.0 if normalizing else 127.5)
        expected = theirs.get_feat(np.ascontiguousarray(pixels[..., ::-1]))
        assert np.abs(TorchRecognizer(path)(crop).numpy() - expected).max() <= 1e-4


def test_an_explicit_normalization_takes_precedence(tmp_path):
    write_small(tmp_path / "a.onnx")
    plain = TorchRecognizer(tmp_path / "a.onnx")
    stated = TorchRecognizer(tmp_path / "a.onnx", normalization=(0.0, 1.0))
    assert torch.allclose(stated(crops(1)), plain((crops(1) + 1) * 127.5), atol=1e-2)


def test_embeddings_of_any_length_are_taken(tmp_path):
    write_small(tmp_path / "narrow.onnx", width=128)
    recognizer = TorchRecognizer(tmp_path / "narrow.onnx")
    assert recognizer(crops(2)).shape == (2, 128) and recognizer.recognizer_id.dimension == 128


def test_other_networks_are_refused(tmp_path):
    g = GraphWriter()
    g.save(tmp_path / "map.onnx", g.node("Relu", ["input"]))
    with pytest.raises(StyleSwapError, match="embeddings"):
        TorchRecognizer(tmp_path / "map.onnx")


@needs_real_faces
def test_the_recognizer_of_photographs_agrees_with_onnx_runtime():
    """Its graph slices, resizes, and pads channels."""
    recognizer = TorchRecognizer(RECOGNIZER)
    session = onnxruntime.InferenceSession(str(RECOGNIZER), providers=["CPUExecutionProvider"])
    size = recognizer.input_size
    crop = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    shown = (crop * recognizer.gain + recognizer.offset).numpy()
    expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: row[None]})[0] for row in shown])
    ours = recognizer(crop.requires_grad_())
    assert np.abs(ours.detach().numpy() - expected).max() < 1e-4
    ours.sum().backward()
    assert crop.grad is not None and crop.grad.abs().max() > 0
