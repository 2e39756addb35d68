"""Small networks of the form of OpenCV Zoo's files, which OpenCV's FaceDetectorYN and FaceRecognizerSF run."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.faces.packs import DEMO_PACK

# In units of the stride 32, from the corner of a white block.
BOX = (-0.25, -0.5, 1.0, 1.25)  # x0, y0, x1, y1
FIVE = ((0.28, 0.4), (0.72, 0.38), (0.5, 0.62), (0.33, 0.82), (0.69, 0.81))


def write_yunet(path, side=320):
    """Write a detector that finds a face in every 32 x 32 block of its grid that is white.

    The 12 outputs are those of YuNet (cls, obj, bbox and kps at three strides); strides 8 and 16 find nothing. As in
    OpenCV Zoo's file, the input has a fixed shape, which OpenCV overrides.
    """
    nodes, weights, outputs = [], {}, []
    x0, y0, x1, y1 = BOX
    centered = [(x0 + x1) / 2, (y0 + y1) / 2, np.log(x1 - x0), np.log(y1 - y0)]
    for kind, values in {"cls": [-10.0], "obj": [10.0], "bbox": centered, "kps": np.ravel(FIVE)}.items():
        for stride in (8, 16, 32):
            name, width = f"{kind}_{stride}", len(values)
            bias = np.array(values, dtype=np.float32)
            weight = np.zeros((width, 3, stride, stride), dtype=np.float32)
            if name == "cls_32":
                # Blocks of 255 have the logit 1020 - 1000.
                weight[:], bias[:] = 1020.0 / (3 * 32 * 32 * 255), -1000.0
            weights |= {f"w_{name}": weight, f"b_{name}": bias, f"s_{name}": np.array([1, -1, width])}
            size = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
            last = f"rows_{name}" if kind in ("cls", "obj") else name
            nodes += [
                helper.make_node("Conv", ["input", f"w_{name}", f"b_{name}"], [f"map_{name}"], f"c_{name}", **size),
                helper.make_node("Transpose", [f"map_{name}"], [f"t_{name}"], f"t_{name}", perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{name}", f"s_{name}"], [last], f"r_{name}"),
            ]
            if last != name:
                nodes.append(helper.make_node("Sigmoid", [last], [name], f"sigmoid_{name}"))
            outputs.append((name, [1, (side // stride) ** 2, width]))
    _save(path, nodes, weights, ("input", [1, 3, side, side]), outputs, opset=11)


def write_sface(path, seed=0, dimension=128):
    """Write a recognizer of SFace's form: a MobileFaceNet that normalizes pixels of 0..255 itself.

    Depthwise blocks with batch normalization and PRelu, one of them with a residual; then Dropout, Flatten, Gemm and a
    batch normalization of the embedding.
    """
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Sub", ["data", "minus"], ["centered"], "_minusscalar0"),
        helper.make_node("Mul", ["centered", "times"], ["scaled"], "_mulscalar0"),
    ]
    weights = {"minus": np.float32(127.5), "times": np.float32(1 / 128)}

    def normal(*shape, scale=1.0):
        return (random.standard_normal(shape) * scale).astype(np.float32)

    def convolve(source, name, inputs, outputs, size=3, stride=1, group=1, pad=1, activate=True):
        fan = inputs // group * size * size
        weights[f"{name}_w"] = normal(outputs, inputs // group, size, size, scale=fan**-0.5)
        options = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": group}
        nodes.append(helper.make_node("Conv", [source, f"{name}_w"], [name], name, **options))
        normalized = normalize(name, outputs)
        if not activate:
            return normalized
        weights[f"{name}_slope"] = random.uniform(0.1, 0.4, (outputs, 1, 1)).astype(np.float32)
        nodes.append(helper.make_node("PRelu", [normalized, f"{name}_slope"], [f"{name}_relu"], f"{name}_relu"))
        return f"{name}_relu"

    def normalize(name, channels):
        weights.update(
            {
                f"{name}_gamma": random.uniform(0.5, 1.5, channels).astype(np.float32),
                f"{name}_beta": normal(channels, scale=0.1),
                f"{name}_mean": normal(channels, scale=0.1),
                f"{name}_var": random.uniform(0.5, 1.5, channels).astype(np.float32),
            }
        )
        parts = [f"{name}_{part}" for part in ("gamma", "beta", "mean", "var")]
        nodes.append(helper.make_node("BatchNormalization", [name, *parts], [f"{name}_bn"], f"{name}_bn", epsilon=1e-3))
        return f"{name}_bn"

    first = convolve("scaled", "conv_1", 3, 16, stride=2)
    down = convolve(convolve(first, "dconv_2", 16, 16, stride=2, group=16), "conv_2", 16, 24, size=1, pad=0)
    block = convolve(convolve(down, "dconv_3", 24, 24, group=24), "conv_3", 24, 24, size=1, pad=0, activate=False)
    nodes.append(helper.make_node("Add", [down, block], ["sum_3"], "sum_3"))
    last = convolve(convolve("sum_3", "dconv_4", 24, 24, stride=4, group=24), "conv_4", 24, 32, size=1, pad=0)
    whole = convolve(last, "dconv_5", 32, 32, size=7, group=32, pad=0, activate=False)
    weights |= {"fc_w": normal(dimension, 32, scale=32**-0.5), "fc_b": normal(dimension, scale=0.1)}
    nodes += [
        helper.make_node("Dropout", [whole], ["dropped"], "dropout0"),
        helper.make_node("Flatten", ["dropped"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc_w", "fc_b"], ["pre_fc1"], "pre_fc1", transB=1),
    ]
    nodes.append(helper.make_node("Identity", [normalize("pre_fc1", dimension)], ["fc1"], "fc1"))
    _save(path, nodes, weights, ("data", [1, 3, 112, 112]), [("fc1", [1, dimension])], opset=9)


def write_zoo(folder):
    """Write both files under the names of OpenCV Zoo; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_yunet(folder / "face_detection_yunet_2023mar.onnx")
    write_sface(folder / "face_recognition_sface_2021dec.onnx")
    return folder


def _save(path, nodes, weights, given, outputs, opset):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_demo_zoo(folder):
    """Write the demo pack, which knows rendered faces, in the form of OpenCV Zoo's files; returns the folder.

    The embeddings are projected to 128 numbers, which changes their similarities little.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_demo_yunet(folder / "face_detection_yunet_2023mar.onnx")
    model = onnx.load(DEMO_PACK / "arcface_demo.onnx")
    (source,), (output,) = model.graph.input, model.graph.output
    projection = np.linalg.qr(np.random.default_rng(0).standard_normal((512, 128)))[0].astype(np.float32)
    _store(model, minus=np.float32(127.5), times=np.float32(1 / 127.5), projection=projection)
    _insert(
        model,
        helper.make_node("Sub", ["data", "minus"], ["centered"], "_minusscalar0"),
        helper.make_node("Mul", ["centered", "times"], [source.name], "_mulscalar0"),
    )
    model.graph.node.append(helper.make_node("Gemm", [output.name, "projection"], ["fc1"], "pre_fc1"))
    _declare(model, ("data", [1, 3, 112, 112]), [("fc1", [1, 128])])
    onnx.save(model, folder / "face_recognition_sface_2021dec.onnx")
    return folder


def _write_demo_yunet(path, side=320):
    """The demo detector with YuNet's input and outputs; of its two anchors per location, the more confident one."""
    model = onnx.load(DEMO_PACK / "det_demo.onnx")
    made = {name: node for node in model.graph.node for name in node.output}
    # OpenCV gives BGR in 0..255, insightface RGB, (x - 127.5) / 128.
    swap = np.eye(3, dtype=np.float32)[::-1].reshape(3, 3, 1, 1) / 128
    # Left, top, right, bottom -> center and sides, whose logarithm follows.
    centered = np.float32([[-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5], [1, 0, 1, 0], [0, 1, 0, 1]]).reshape(4, 4, 1, 1)
    values = {"swap": swap, "shift": np.full(3, -127.5 / 128, np.float32), "centered": centered, "one": np.float32(1)}
    values |= {"steep": np.float32(1e4), "axis": np.int64([1])}
    values |= {f"at{k}": np.int64([k]) for k in (0, 1, 2, 4, 8, 10, 20)}
    _store(model, **values)
    _insert(model, helper.make_node("Conv", ["pixels", "swap", "shift"], ["input"], "swap", kernel_shape=[1, 1]))
    nodes, outputs = [], []

    def add(operator, inputs, name, **options):
        nodes.append(helper.make_node(operator, inputs, [name], name, **options))
        return name

    def part(source, low, high, name):
        return add("Slice", [source, f"at{low}", f"at{high}", "axis"], name)

    for stride in (8, 16, 32):
        maps = {}
        for kind in ("score", "box", "points"):
            node = made[f"{kind}_{stride}"]
            while node.op_type != "Conv":
                node = made[node.input[0]]
            maps[kind] = node.output[0]
        first, second = (part(maps["score"], k, k + 1, f"logit{k}_{stride}") for k in (0, 1))
        lead = add("Mul", [add("Sub", [first, second], f"lead_{stride}"), "steep"], f"steep_{stride}")
        share = add("Sigmoid", [lead], f"share_{stride}")
        rest = add("Sub", ["one", share], f"rest_{stride}")

        def chosen(kind, width, stride=stride, maps=maps, share=share, rest=rest):
            halves = [
                add(
                    "Mul",
                    [part(maps[kind], k * width, (k + 1) * width, f"{kind}{k}_{stride}"), weight],
                    f"{kind}{k}w_{stride}",
                )
                for k, weight in ((0, share), (1, rest))
            ]
            return add("Add", halves, f"{kind}_chosen_{stride}")

        box = add("Conv", [chosen("box", 4), "centered"], f"sides_{stride}", kernel_shape=[1, 1])
        logs = add("Log", [part(box, 2, 4, f"extent_{stride}")], f"logs_{stride}")
        kinds = {
            "cls": add("Sigmoid", [chosen("score", 1)], f"confidence_{stride}"),
            "bbox": add("Concat", [part(box, 0, 2, f"middle_{stride}"), logs], f"boxes_{stride}", axis=1),
            "kps": chosen("points", 10),
        }
        # OpenCV's score is the root of cls * obj.
        kinds["obj"] = kinds["cls"]
        for kind, source in kinds.items():
            width = {"bbox": 4, "kps": 10}.get(kind, 1)
            rows = add("Transpose", [source], f"rows_{kind}_{stride}", perm=[0, 2, 3, 1])
            _store(model, **{f"shape_{kind}_{stride}": np.int64([1, -1, width])})
            add("Reshape", [rows, f"shape_{kind}_{stride}"], f"{kind}_{stride}")
            outputs.append((f"{kind}_{stride}", [1, (side // stride) ** 2, width]))
    model.graph.node.extend(nodes)
    _declare(
        model,
        ("pixels", [1, 3, side, side]),
        sorted(outputs, key=lambda output: _YUNET_KINDS.index(output[0].split("_")[0])),
    )
    onnx.save(model, path)


_YUNET_KINDS = ["cls", "obj", "bbox", "kps"]


def _store(model, **values):
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())


def _insert(model, *nodes):
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def _declare(model, given, outputs):
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.append(helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1]))
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs)
    onnx.checker.check_model(model)
