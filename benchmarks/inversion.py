"""Time and memory of the inversion, compared with a plain implementation.

    python benchmarks/inversion.py --threads 4 --out inversion-speed.json

The plain loop is what a first implementation would do: it encodes its pictures in every step, runs the unmodified
generator and recognizer in float32, and computes the gradients of all weights; its second row omits the gradients of
the weights. All variants take the same steps with the same pictures, losses and evaluations on held-out guides, and end
at the same `w_plus`, which a test checks. Each variant runs in a separate process, so that peak memory is measured per
variant; the variants alternate for `--repeats` rounds. Memory excludes the loaded networks and pictures.
"""

import argparse
import json
import math
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from commands import measured

from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.faces.alignment import recognizer_crop, template_points
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.inversion import AlignedFaces, InversionSettings, InvertibleGenerator, optimize
from styleswap_core.inversion.guides import shuffled_batches, split_held_out
from styleswap_core.inversion.objective import PRESERVATION_BETA, VIEW_PARAMETERS, varied_views
from styleswap_core.inversion.optimization import BETAS, SOURCE_BATCH
from styleswap_core.inversion.trust_region import TrustRegion
from styleswap_core.losses import perceptual_loss, pixel_loss
from styleswap_core.masking.face_masks import FaceMasks
from styleswap_core.model import Generator, GeneratorOutput

VARIANTS = {
    "plain": "plain loop, float32",
    "plain_frozen": "plain loop, float32, weights frozen",
    "float32": "this project, float32",
    "default": "this project, as it runs by default",
    "low_memory": "this project, with low memory",
}


def settings_of(variant: str, steps: int) -> InversionSettings:
    """Settings of a variant; early stopping is off, so that all variants take all steps."""
    return InversionSettings(
        steps=steps,
        patience=2000,
        precision="float32" if variant == "float32" else "auto",
        low_memory=variant == "low_memory",
    )


def faces(count: int, generator: Generator, seed: int) -> AlignedFaces:
    """Pictures of noise: time and memory do not depend on their content, and rendering would add to the peak."""
    size = generator.config.size
    crops = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return AlignedFaces(crops, template_points(generator.config.template, size).expand(count, 5, 2).contiguous())


def likeness_loss(
    recognizer: TorchRecognizer,
    image: torch.Tensor,
    points: torch.Tensor,
    draws: torch.Tensor,
    target: torch.Tensor,
    settings: InversionSettings,
) -> torch.Tensor:
    """Identity loss of swapped guides (N, 3, S, S) for the person `target` (512,)."""
    crops = varied_views(image, points, draws, recognizer.input_size)
    return settings.weights.identity * (1 - F.cosine_similarity(recognizer(crops), target[None])).mean()


def plain_loop(
    generator: Generator,
    recognizer: TorchRecognizer,
    sources: AlignedFaces,
    target: torch.Tensor,
    guides: AlignedFaces,
    settings: InversionSettings,
    frozen: bool = False,
) -> torch.Tensor:
    """`w_plus` (num_ws, w_dim) after the last step of the same optimization, written as the method describes it.

    Args:
        frozen: Omit the gradients of the networks' weights, which are not used.
    """
    # The recognizer's weights are buffers.
    weights = [*generator.parameters(), *(buffer for buffer in recognizer.buffers() if buffer.is_floating_point())]
    with gradients_of(weights, enabled=not frozen):
        return _plain_loop(generator, recognizer, sources, target, guides, settings, weights)


@contextmanager
def gradients_of(weights: list[torch.Tensor], enabled: bool) -> Iterator[None]:
    """Context in which weights do or do not require gradients; afterwards they do not."""
    for weight in weights:
        weight.requires_grad_(enabled)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(False)
            weight.grad = None


def _plain_loop(
    generator: Generator,
    recognizer: TorchRecognizer,
    sources: AlignedFaces,
    target: torch.Tensor,
    guides: AlignedFaces,
    settings: InversionSettings,
    weights: list[torch.Tensor],
) -> torch.Tensor:
    sources, guides = sources.to(target.device), guides.to(target.device)
    identity = Identity(target, RecognizerId())
    region = TrustRegion.around(InvertibleGenerator(generator), identity, settings.trust)
    offset = torch.zeros_like(region.center, requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr=0.0, betas=BETAS)
    random = torch.Generator().manual_seed(settings.seed)
    train, held_out = split_held_out(len(guides), settings.held_out_share)
    batches = shuffled_batches(train, settings.guide_batch, random)
    source_batches = shuffled_batches(list(range(len(sources))), SOURCE_BATCH, random)
    with torch.no_grad():
        face = run(generator, region.center, sources).mask
        if not generator.config.mask_branch:
            face = FaceMasks().mask(sources.crops, sources.points, None)
        plain = run(generator, region.center, guides).image

    def features(image: torch.Tensor, points: torch.Tensor) -> list[torch.Tensor]:
        return recognizer.features(recognizer_crop(image, points, recognizer.input_size))

    def reconstruction(w_plus: torch.Tensor, rows: list[int]) -> torch.Tensor:
        part, factors = sources[rows], settings.weights
        output = run(generator, w_plus, part)
        loss = factors.reconstruction * pixel_loss(output.rgb, part.crops, face[rows])
        truth = features(part.crops, part.points)
        return loss + factors.perceptual * perceptual_loss(features(output.image, part.points), truth)

    for step in range(settings.steps):
        rate = settings.learning_rate * settings.learning_rate_factor(step)
        optimizer.param_groups[0]["lr"] = rate * region.unit / math.sqrt(offset.shape[1])
        for value in (offset, *weights):
            value.grad = None
        w_plus = region.center + offset
        loss = settings.weights.distance * region.penalty(offset)
        if step % 2 == 0:
            part = guides[rows := next(batches)]
            draws = torch.randn(len(part), settings.views, VIEW_PARAMETERS, generator=random)
            image = run(generator, w_plus, part).image
            loss = loss + likeness_loss(recognizer, image, part.points, draws, target, settings)
            loss = loss + settings.weights.preservation * F.smooth_l1_loss(image, plain[rows], beta=PRESERVATION_BETA)
        else:
            loss = loss + reconstruction(w_plus, next(source_batches))
        loss.backward()
        optimizer.step()
        region.confine(offset)
        if (step + 1) % settings.check_every == 0:
            with torch.no_grad():
                reconstruction(region.center + offset, list(range(len(sources))))
                evaluated = guides[held_out]
                image = run(generator, region.center + offset, evaluated).image
                recognizer(recognizer_crop(image, evaluated.points, recognizer.input_size))
    return (region.center + offset).detach()


def run(generator: Generator, w_plus: torch.Tensor, part: AlignedFaces) -> GeneratorOutput:
    """Encode faces and run the generator on them with one `w_plus` (num_ws, w_dim)."""
    return generator.synthesis(w_plus.expand(len(part), -1, -1), generator.encode(part.crops), part.crops)


def measure(variant: str, args: argparse.Namespace) -> dict:
    """Run one variant in this process."""
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    generator = load_generator(args.model)[0].eval().to(device)
    recognizer = load_face_analysis().torch_recognizer().to(device)
    sources, guides = faces(1, generator, 1), faces(16, generator, 2)
    target = F.normalize(torch.randn(512, generator=torch.Generator().manual_seed(3)), dim=0).to(device)
    loops = {"plain": plain_loop, "plain_frozen": partial(plain_loop, frozen=True)}
    identity, network = Identity(target, RecognizerId()), InvertibleGenerator(generator)

    def once(steps: int) -> float:
        start = time.perf_counter()
        settings = settings_of(variant, steps)
        if variant in loops:
            loops[variant](generator, recognizer, sources, target, guides, settings)
        else:
            optimize(network, recognizer, sources, identity, guides, settings)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    before = memory(device)
    once(2)  # warm-up: the first steps build kernels
    seconds = once(args.steps)
    return {"seconds_per_step": seconds / args.steps, "peak_mib": (memory(device) - before) / 2**20}


def memory(device: torch.device) -> int:
    """Peak memory of this process in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(args: argparse.Namespace) -> dict:
    """Medians of all variants, each run in a separate process, and their ratios to the plain loop."""
    runs: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
    for _ in range(args.repeats):
        for variant in VARIANTS:
            words = ["--variant", variant, "--steps", args.steps, "--model", args.model, "--device", args.device]
            runs[variant].append(measured(Path(__file__).resolve(), words, args.threads))
    result = {
        "steps": args.steps,
        "threads": args.threads,
        "repeats": args.repeats,
        "device": args.device,
        "torch": torch.__version__,
    }
    for variant, rows in runs.items():
        result[variant] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    for variant in VARIANTS:
        result[variant]["times_faster"] = result["plain"]["seconds_per_step"] / result[variant]["seconds_per_step"]
        result[variant]["memory_share"] = result[variant]["peak_mib"] / result["plain"]["peak_mib"]
    return result


def table(result: dict) -> str:
    """Markdown table of the result."""
    lines = ["| | s per step | times faster | peak memory, MiB |", "| --- | ---: | ---: | ---: |"]
    for variant, label in VARIANTS.items():
        row = result[variant]
        lines.append(f"| {label} | {row['seconds_per_step']:.3f} | {row['times_faster']:.2f} | {row['peak_mib']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the comparison, or one variant of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=DEMO_MODEL, help="generator (default: the demo model)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="processes per variant; medians are reported")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument(
        "--variant", choices=list(VARIANTS), help="run only this variant, in this process, and print its figures"
    )
    args = parser.parse_args()
    args.model = args.model.resolve()
    if args.variant:
        print(json.dumps(measure(args.variant, args)))
        return
    result = compare(args)
    print(table(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
