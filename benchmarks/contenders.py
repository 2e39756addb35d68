"""Contenders of the speed benchmark: implementations of one generator for one identity.

All are built from the same weights and called with the same crops: crops (B, 3, S, S) -> pictures (B, 3, S, S).
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from grouped_reference import GroupedReference
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from styleswap_core.model import Generator, preset
from styleswap_core.model.inference.baked_generator import BakedGenerator, bake

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """An implementation.

    Attributes:
        label: Name in tables.
        dtype: Data type of its convolutions, which selects the peak that it is compared with.
        devices: Where it runs.
    """

    label: str
    dtype: str = "float32"
    devices: tuple[str, ...] = ("cpu", "cuda")


REFERENCE = "grouped"
CONTENDERS: dict[str, Contender] = {
    REFERENCE: Contender("StyleGAN2 style, grouped convolutions"),
    "unbaked": Contender("this generator, unbaked"),
    "baked-float32": Contender("baked, float32"),
    "baked-bfloat16": Contender("baked, bfloat16", "bfloat16"),
    "baked-float16": Contender("baked, float16", "float16", ("cuda",)),
    "onnx-runtime": Contender("baked, ONNX Runtime, float32", devices=("cpu",)),
}


def make_generator(name: str) -> tuple[Generator, Tensor]:
    """Generator of a preset with random weights, equal in every process, and an `id_embedding` (1, 512)."""
    torch.manual_seed(0)
    generator = Generator(preset(name)).eval().requires_grad_(False)
    for block in generator.synthesis.blocks.values():
        # The sum of random ToRGB layers of many levels would exceed -1..1 by far.
        block.to_rgb.weight *= 0.2
    return generator, torch.nn.functional.normalize(torch.randn(1, generator.config.style_dim), dim=1)


def make_crops(name: str, batch: int, device: str) -> Tensor:
    """Random crops (batch, 3, S, S), -1..1."""
    size = preset(name).size
    return (torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1).to(device)


def build(contender: str, name: str, device: str, threads: int) -> Run:
    """The contender as a function; it keeps only what it needs of the generator."""
    generator, embedding = make_generator(name)
    generator, embedding = generator.to(device), embedding.to(device)
    if contender in (REFERENCE, "unbaked"):
        run = GroupedReference(generator) if contender == REFERENCE else generator
        return lambda crops: run(crops, embedding.expand(len(crops), -1)).image
    w_plus = generator.broadcast(generator.mapping(embedding))
    if contender == "onnx-runtime":
        return _onnx_session(bake(generator, w_plus, packed=False), threads)
    baked = bake(generator, w_plus, getattr(torch, CONTENDERS[contender].dtype))
    return lambda crops: baked(crops).image


def _onnx_session(baked: BakedGenerator, threads: int) -> Run:
    import onnxruntime

    from styleswap_core.export.baked_onnx import export_baked

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baked.onnx"
        export_baked(path, baked)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda crops: torch.from_numpy(session.run(["image"], {"input": crops.numpy()})[0])


def count_flops(name: str) -> dict[str, float]:
    """Floating-point operations per picture in convolutions and matrix products; a multiply-add counts as two."""
    generator, embedding = make_generator(name)
    baked = bake(generator, generator.broadcast(generator.mapping(embedding)), packed=False).to("meta")
    generator, embedding = generator.to("meta"), embedding.to("meta")
    crop = torch.empty(1, 3, generator.config.size, generator.config.size, device="meta")
    counts = {}
    for label, run in (
        ("baked", lambda: baked.run(crop)),
        (REFERENCE, lambda: GroupedReference(generator).to("meta")(crop, embedding)),
    ):
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            run()
        counts[label] = float(counter.get_total_flops())
    return counts
