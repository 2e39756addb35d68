"""Time and memory of one pass of an inversion, forward and backward, with the hand-written gradients and with autograd.

    python benchmarks/inversion_backward.py --preset released-256 --batch 4 --threads 2

All variants compute the gradient of `w_plus` for the same generator with random weights. They run in one process, by
turns, `--rounds` times; ratios are medians over the rounds. Memory is what autograd saves for the backward pass.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from styleswap_core.model import FrozenSynthesis, Generator, GeneratorOutput, preset
from styleswap_core.model.synthesis_walk import synthesize

Synthesis = Callable[[Tensor, list[Tensor], Tensor], GeneratorOutput]
REFERENCE = "hand-written"


def autograd_synthesis(generator: Generator, checkpointing: bool) -> Synthesis:
    """The synthesis network itself, for one identity; with gradient checkpointing per resolution on request."""
    config = generator.config

    def run(w_plus: Tensor, attributes: list[Tensor], aligned_crop: Tensor) -> GeneratorOutput:
        def run_block(level: int, x: Tensor | None, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            block = generator.synthesis.block(config.resolutions[level])
            ws = w_plus[config.w_rows(config.resolutions[level])].expand(len(maps), -1, -1)

            def run_layers(x: Tensor | None, ws: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
                features = block.features(x, ws, maps)
                return features, *block.pixels(features, ws[:, -1])

            if checkpointing:
                return checkpoint(run_layers, x, ws, maps, use_reentrant=False)
            return run_layers(x, ws, maps)

        return synthesize(config, run_block, attributes, aligned_crop)

    return run


def variants(generator: Generator) -> dict[str, Synthesis]:
    """All variants by name; the first is the one that inversion uses by default."""
    return {
        REFERENCE: FrozenSynthesis(generator.synthesis),
        "hand-written, checkpointing": FrozenSynthesis(generator.synthesis, checkpointing=True),
        "autograd": autograd_synthesis(generator, checkpointing=False),
        "autograd, checkpointing": autograd_synthesis(generator, checkpointing=True),
    }


def gradient(synthesis: Synthesis, w_plus: Tensor, attributes: list[Tensor], crops: Tensor) -> Tensor:
    """Gradient of `w_plus` (num_ws, w_dim) for a loss on the swapped crops."""
    w_plus = w_plus.clone().requires_grad_(True)
    synthesis(w_plus, list(attributes), crops).image.square().mean().backward()
    assert w_plus.grad is not None
    return w_plus.grad


def saved_bytes(synthesis: Synthesis, w_plus: Tensor, attributes: list[Tensor], crops: Tensor) -> int:
    """Memory of the tensors that autograd saves, weights and inputs included."""
    storages: dict[int, int] = {}
    kept: list[Tensor] = []

    def save(tensor: Tensor) -> Tensor:
        kept.append(tensor.detach())  # keeps the address from being reused
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        synthesis(w_plus.clone().requires_grad_(True), list(attributes), crops)
    return sum(storages.values())


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="released-256")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    generator = Generator(preset(args.preset)).eval().requires_grad_(False)
    config = generator.config
    crops = torch.rand(args.batch, 3, config.size, config.size) * 2 - 1
    w_plus = torch.randn(config.num_ws, config.w_dim)
    with torch.no_grad():
        attributes = generator.encode(crops)

    runs = variants(generator)
    expected = gradient(runs[REFERENCE], w_plus, attributes, crops)
    for synthesis in runs.values():  # warm-up, and proof that all compute the same
        torch.testing.assert_close(
            gradient(synthesis, w_plus, attributes, crops), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
        )
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, synthesis in runs.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            gradient(synthesis, w_plus, attributes, crops)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - cpu_start)

    def ratio(times: dict[str, list[float]], name: str) -> float:
        return median(own / reference for own, reference in zip(times[name], times[REFERENCE], strict=True))

    print(f"{args.preset}, batch {args.batch}, {args.threads} threads, {args.rounds} rounds\n")
    print("| | s per pass | times the hand-written, wall | CPU time | saved, MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, synthesis in runs.items():
        saved = saved_bytes(synthesis, w_plus, attributes, crops) / 2**20
        print(f"| {name} | {median(wall[name]):.3f} | {ratio(wall, name):.2f} | {ratio(cpu, name):.2f} | {saved:.0f} |")


if __name__ == "__main__":
    main()
