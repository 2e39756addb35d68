"""Quality and speed of the baked generator with 8-bit convolutions, against float32, on rendered pictures.

    python benchmarks/int8_form.py

The demo generator is baked for an identity, exported to ONNX and quantized statically by ONNX Runtime (QDQ, one scale
per output channel of the weights), calibrated on other rendered crops. Printed are, for each way of quantizing: PSNR to
float32 in dB, over all pictures and of the worst one, cosine similarity of the recognizer's embeddings to those of the
float32 results, and the time per picture relative to ONNX Runtime and to PyTorch in float32, measured in turn.
"""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from machine import machine_name
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from styleswap_core import load_face_analysis
from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.export.baked_onnx import export_baked
from styleswap_core.faces.alignment import template_points
from styleswap_core.io.images import to_uint8
from styleswap_core.model.inference.baked_generator import bake
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

Run = Callable[[np.ndarray], np.ndarray]
# Calibration, and which convolutions are quantized; those of one pixel write the picture, those of one channel filter.
WAYS = {
    "all, minimum and maximum": (CalibrationMethod.MinMax, ("Conv", "ConvTranspose"), 1),
    "all, percentile": (CalibrationMethod.Percentile, ("Conv", "ConvTranspose"), 1),
    "3x3 alone, percentile": (CalibrationMethod.Percentile, ("Conv", "ConvTranspose"), 3),
    "3x3 that are not transposed, percentile": (CalibrationMethod.Percentile, ("Conv",), 3),
}


def float32_nodes(path: Path, operators: tuple[str, ...], least_side: int) -> list[str]:
    """Names of the convolutions of a file that stay in float32."""
    graph = onnx.load(path).graph
    sides = {tensor.name: tensor.dims[-1] if tensor.dims else 0 for tensor in graph.initializer}
    grouped = {node.name for node in graph.node for one in node.attribute if one.name == "group" and one.i > 1}
    return [
        node.name
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose")
        and (
            node.op_type not in operators
            or sides.get(node.input[1], 0) < least_side
            or (least_side > 1 and node.name in grouped)
        )
    ]


class Crops(CalibrationDataReader):
    """Crops (N, 3, S, S) in -1..1 for the calibration, one by one."""

    def __init__(self, crops: np.ndarray) -> None:
        self._rows: Iterator[np.ndarray] = iter(crops[:, None])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input; None at the end."""
        row = next(self._rows, None)
        return None if row is None else {"input": row}


def rendered_crops(count: int, size: int, seed: int) -> np.ndarray:
    """Aligned crops (N, 3, S, S) float32 in -1..1 of the face world."""
    seeds = list(range(seed, seed + count))
    pictures = render(Identities.from_seeds(seeds), Attributes.from_seeds(seeds), size=size).image
    return pictures.contiguous().float().numpy()


def session_of(path: Path, threads: int) -> Run:
    """The network of a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda crops: session.run(["image"], {"input": crops})[0]


def psnr(result: np.ndarray, expected: np.ndarray) -> float:
    """PSNR in dB of pictures in -1..1."""
    return float(10 * np.log10(4 / np.square(result.astype(np.float64) - expected).mean()))


def seconds_in_turn(runs: dict[str, Run], crop: np.ndarray, rounds: int) -> dict[str, float]:
    """Median seconds per call of each network, called in turn."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run(crop)
            spent[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in spent.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--calibration", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.WARNING)
    generator, _ = load_generator(DEMO_MODEL)
    size = generator.config.size
    analysis = load_face_analysis()
    points = template_points(generator.config.template, size)

    def embeddings(pictures: np.ndarray) -> np.ndarray:
        return np.stack([analysis.embed(to_uint8(torch.from_numpy(one)[None])[0], points) for one in pictures])

    crops = rendered_crops(args.pictures, size, 5000)
    source = torch.from_numpy(embeddings(rendered_crops(1, size, 77)))
    with torch.inference_mode():
        w_plus = generator.broadcast(generator.map_identity(source))
    baked = bake(generator, w_plus)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_baked(folder / "float32.onnx", bake(generator, w_plus, packed=False))
        quant_pre_process(str(folder / "float32.onnx"), str(folder / "prepared.onnx"), skip_symbolic_shape=True)
        runs: dict[str, Run] = {
            "float32, PyTorch": lambda crops: baked(torch.from_numpy(crops)).image.numpy(),
            "float32, ONNX Runtime": session_of(folder / "float32.onnx", args.threads),
        }
        for number, (label, (method, operators, least_side)) in enumerate(WAYS.items()):
            path = folder / f"{number}.onnx"
            quantize_static(
                str(folder / "prepared.onnx"),
                str(path),
                Crops(rendered_crops(args.calibration, size, 9000)),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=method,
                op_types_to_quantize=list(operators),
                nodes_to_exclude=float32_nodes(folder / "prepared.onnx", operators, least_side),
            )
            runs[f"int8, {label}"] = session_of(path, args.threads)
        results = {label: np.concatenate([run(crop[None]) for crop in crops]) for label, run in runs.items()}
        seconds = seconds_in_turn(runs, crops[:1], args.rounds)
    expected = results["float32, PyTorch"]
    of_expected = embeddings(expected)
    print(f"{machine_name('cpu')}, {args.threads} threads, {args.pictures} pictures of {size} px\n")
    print("| form | PSNR | worst picture | id_cos to float32 | time / PyTorch float32 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for label, pictures in results.items():
        each = [psnr(*pair) for pair in zip(pictures, expected, strict=True)] if label != "float32, PyTorch" else []
        quality = [f"{psnr(pictures, expected):.1f}", f"{min(each):.1f}"] if each else ["", ""]
        likeness = float((embeddings(pictures) * of_expected).sum(axis=1).mean())
        share = seconds[label] / seconds["float32, PyTorch"]
        print(f"| {label} | {' | '.join(quality)} | {likeness:.4f} | {share:.2f} |")


if __name__ == "__main__":
    main()
