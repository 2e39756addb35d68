"""Export of a generator, for any identity, in the form of networks that other programs run.

`inswapper`: inputs `target` (B, 3, S, S) RGB 0..1 and `source` (B, 512); the output is the picture 0..1, composited
over the target with the generator's mask. The last initializer is `emap` (512, 512), by which programs multiply an
L2-normalized embedding before they normalize it again.

`hyperswap`: `target` in -1..1, `source` the L2-normalized embedding; the outputs are the picture in -1..1 and the mask
(B, 1, S, S) by which it is blended with the target; away from the mask, the picture is the target.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import Generator
from .generator_graph import GeneratorGraph
from .graph_builder import Shape, write_graph
from .guest_forms import check_guest_form
from .mask_nodes import composite

# Where the mask is below this value for some pixels around, hyperswap's picture fades into the target: the generator's
# own RGB is arbitrary there, and some programs ignore the mask. Blended by the mask, the picture changes by less than
# half a level of 255, and as many pixels are kept as interpolation mixes into those that the mask shows.
_FADE = 1.0 / 255.0
_KEPT_AROUND = 3


def export_guest(
    path: str | Path,
    generator: Generator,
    form: str,
    *,
    emap: Tensor | None = None,
    template_ok: bool = False,
    sha256: str = "",
    description: str = "",
) -> None:
    """Write a generator to an ONNX file that takes a target and a source embedding, atomically.

    Args:
        path: The file.
        generator: The generator, in float32.
        form: One of `guest_forms.GUEST_FORMS`.
        emap: For inswapper's form, an orthogonal matrix (512, 512), which the graph undoes; by default the identity.
        template_ok: Whether a generator for another crop template than `guest_forms.GUEST_TEMPLATE` is written.
        sha256: Hash of the generator's own file, stored for reference.
        description: Stored in the file.

    Raises:
        StyleSwapError: The form is unknown, the generator was trained on other crops than these programs cut or takes
            other embeddings, or it has no mask where the form needs one.
    """
    config = generator.config
    check_guest_form(config, form, template_ok)
    graph = GeneratorGraph(generator)
    if form == "inswapper":
        _write_inswapper(graph, torch.eye(512) if emap is None else emap)
    else:
        _write_hyperswap(graph)
    metadata = {
        "styleswap_form": form,
        "styleswap_template": config.template,
        "styleswap_recognizer": config.recognizer,
        "styleswap_recognizer_sha256": config.recognizer_sha256,
        "styleswap_generator_sha256": sha256,
    }
    pictures: Shape = ("batch", 3, config.size, config.size)
    inputs: dict[str, Shape] = {"target": pictures, "source": ("batch", config.style_dim)}
    outputs: dict[str, Shape] = {"output": pictures}
    if form == "hyperswap":
        outputs["mask"] = ("batch", 1, config.size, config.size)
    write_graph(path, graph, "StyleSwap", inputs, outputs, description, metadata)


def guest_difference(path: str | Path, generator: Generator, form: str, emap: Tensor | None = None) -> float:
    """Largest difference, in -1..1, between the file in ONNX Runtime and `generator`, for two random crops."""
    # Only needed here, not for writing the file.
    import onnxruntime

    random, config = torch.Generator().manual_seed(0), generator.config
    crop = torch.rand(2, 3, config.size, config.size, generator=random) * 2 - 1
    embedding = F.normalize(torch.randn(2, config.style_dim, generator=random), dim=1)
    with torch.no_grad():
        expected = generator(crop, embedding * config.embedding_norm)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    if form == "inswapper":
        source = embedding if emap is None else embedding @ emap
        (found,) = session.run(None, {"target": (crop.numpy() + 1) / 2, "source": source.numpy()})
        return float((expected.image - (torch.from_numpy(found) * 2 - 1)).abs().max())
    picture, mask = session.run(None, {"target": crop.numpy(), "source": embedding.numpy()})
    wide = F.max_pool2d(expected.mask, 2 * _KEPT_AROUND + 1, 1, _KEPT_AROUND)
    faded = torch.lerp(crop, expected.rgb, (wide / _FADE).clamp(max=1.0))
    return max(
        float((faded - torch.from_numpy(picture)).abs().max()),
        float((expected.mask - torch.from_numpy(mask)).abs().max()),
    )


def _write_inswapper(graph: GeneratorGraph, emap: Tensor) -> None:
    # source = normalize(e @ emap); emap is orthogonal, so its transpose undoes it. It is the last initializer.
    embedding = graph.node("MatMul", ["source", graph.node("Transpose", ["emap"], perm=[1, 0])])
    crop = graph.node("Sub", [graph.node("Mul", ["target", graph.numbers(2.0)]), graph.numbers(1.0)])
    rgb, mask = graph.swap(crop, embedding)
    picture = rgb if mask is None else composite(graph, rgb, mask, crop)
    half = graph.numbers(0.5)
    graph.outputs = [graph.node("Add", [graph.node("Mul", [picture, half]), half])]
    graph.weight(emap.float(), "emap")


def _write_hyperswap(graph: GeneratorGraph) -> None:
    rgb, mask = graph.swap("target", "source")
    assert mask is not None, "checked before"
    side = 2 * _KEPT_AROUND + 1
    wide = graph.node("MaxPool", [mask], kernel_shape=[side] * 2, pads=[_KEPT_AROUND] * 4, strides=[1, 1])
    share = graph.node("Min", [graph.node("Mul", [wide, graph.numbers(1.0 / _FADE)]), graph.numbers(1.0)])
    graph.outputs = [composite(graph, rgb, share, "target"), mask]
