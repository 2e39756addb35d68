"""Whether a device computes what the CPU computes: renderer, generator, recognizer, a step of training, whole frames.

The reference is float64 on the CPU where the code runs in it, otherwise float32 on the CPU.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from bars import Bar, psnr
from rendered_source import RenderedSource, RingSettings
from time_share import TimeShare

from styleswap_core.checkpoints.native import DEMO_MODEL, load_generator
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.identities.identity import Identity
from styleswap_core.model.inference.baked_generator import bake
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import Rendered, five_points, render
from styleswap_core.training.run_setup import DEMO_RECOGNIZER
from styleswap_core.training.training_config import TrainingConfig
from styleswap_core.training.training_state import create_state
from styleswap_core.training.training_step import train_step

# Of pictures in -1..1. cuDNN may round float32 to the ten bits of TF32.
_LEAST_PSNR = {"float32": 55.0, "float16": 50.0, "bfloat16": 36.0}
# Rays that graze a silhouette may hit or miss it.
_LEAST_RENDERER_PSNR, _LEAST_RENDERER_IOU = 40.0, 0.99
_ODD_SIZES = ((65, 97), (121, 64), (257, 333))

Check = Callable[[torch.device, bool], list[Bar]]


def check(device: torch.device, share: TimeShare, quick: bool, found: list[dict]) -> Iterator[None]:
    """Run all checks that the time allows; appends a row to `found` for each figure and yields after each check."""
    took: list[float] = []
    for run in CHECKS:
        if not share.allows(took):
            found.append({"name": run.__name__, "skipped": "no time left"})
            continue
        before = share.spent
        with torch.no_grad() if run is not training_step else torch.enable_grad():
            found += [bar.as_dict() for bar in run(device, quick)]
        took.append(share.spent - before)
        yield


def renderer(device: torch.device, quick: bool) -> list[Bar]:
    """Pictures of people on the device and on the CPU."""
    count, size = (2, 32) if quick else (24, 128)
    cpu, other = (_pictures(count, size, place) for place in (torch.device("cpu"), device))
    mine, theirs = cpu.face_mask > 0.5, other.face_mask.cpu() > 0.5
    overlap = float((mine & theirs).sum() / (mine | theirs).sum().clamp(min=1))
    return [
        Bar("renderer: PSNR to the CPU, dB", psnr(other.image.cpu(), cpu.image), ">=", _LEAST_RENDERER_PSNR),
        Bar("renderer: IoU of the face masks", overlap, ">=", _LEAST_RENDERER_IOU),
        _finite("renderer", other.image, other.points, other.depth),
    ]


def generator(device: torch.device, quick: bool) -> list[Bar]:
    """The demo generator and its baked forms against float64."""
    network = load_generator(DEMO_MODEL)[0].eval().requires_grad_(False)
    crops = _pictures(1 if quick else 8, network.config.size, torch.device("cpu")).image
    embedding = torch.nn.functional.normalize(_random(1, network.config.style_dim), dim=1)
    exact = copy.deepcopy(network).double()(crops.double(), embedding.double().expand(len(crops), -1)).image
    network, crops, embedding = network.to(device), crops.to(device), embedding.to(device)
    bars = [_close("generator, float32", network(crops, embedding.expand(len(crops), -1)).image, exact, "float32")]
    w_plus = network.broadcast(network.mapping(embedding))
    extreme = torch.cat([torch.full_like(crops[:1], value) for value in (-1.0, 1.0)])
    for name in ("float32", "bfloat16", *(("float16",) if device.type == "cuda" else ())):
        baked = bake(network, w_plus, getattr(torch, name))
        bars.append(_close(f"baked, {name}", baked(crops).image, exact, name))
        bars.append(_finite(f"baked, {name}, black and white crops", baked(extreme).image))
    return bars


def recognizer(device: torch.device, quick: bool) -> list[Bar]:
    """The recognizer with gradients against float64: the smallest cosine."""
    twin = TorchRecognizer(DEMO_RECOGNIZER)
    crops = _pictures(2 if quick else 16, 112, torch.device("cpu")).image
    exact = copy.deepcopy(twin).double()(crops.double())
    found = twin.to(device)(crops.to(device)).cpu().double()
    cosine = torch.nn.functional.cosine_similarity(found, exact, dim=1)
    return [Bar("recognizer: smallest cosine to float64", float(cosine.min()), ">=", 0.9999)]


def training_step(device: torch.device, quick: bool) -> list[Bar]:
    """Losses and the change of weights of a step, in float32 and in the precision of the device."""
    size, batch = (32, 4) if quick else (64, 16)
    config = TrainingConfig(model="tiny" if quick else f"demo-{size}", batch=batch, precision="fp32", recognizer_rows=0)
    cpu = torch.device("cpu")
    settings = RingSettings(size=size, batch=batch, columns=16, chunk=40)
    if quick:
        settings = RingSettings(size=size, batch=batch, columns=2, members=2, chunk=4)
    known = RenderedSource(settings, TorchRecognizer(DEMO_RECOGNIZER), cpu).batch(0)
    expected = _losses(config, known, cpu)
    bars = []
    for name, limit in (("fp32", 0.005), ("auto", 0.05)):
        found = _losses(replace(config, precision=name), known, device)
        worst = max(abs(found[key] - value) / max(abs(value), 1e-3) for key, value in expected.items())
        bars.append(Bar(f"training step, {name}: largest relative difference of a loss", worst, "<=", limit))
    return bars


def odd_sizes(device: torch.device, quick: bool) -> list[Bar]:
    """Frames of odd sizes with a face at the edge, cut and pasted on the device and on the CPU: levels of 255."""
    network = load_generator(DEMO_MODEL)[0].eval().requires_grad_(False)
    worst = 0
    for height, width in _ODD_SIZES[: 1 if quick else None]:
        frame = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        results = []
        for place in (torch.device("cpu"), device):
            model = StyleSwapNetwork(copy.deepcopy(network).to(place), dtype=torch.float32)
            identity = Identity(torch.nn.functional.normalize(_random(512), dim=0), model.recognizer)
            points = template_points("ffhq", 1).numpy() * height * 0.8 + [-0.1 * height, 0.3 * height]
            box = np.float32([-0.1 * height, 0.3 * height, 0.7 * height, 1.1 * height])
            face = DetectedFace(0, 0.9, box, points.astype(np.float32), None)
            swapper = Swapper(model, _NoAnalysis(model.recognizer), crop_device=place)
            results.append(np.asarray(swapper.swap_detected(frame, [(face, identity)]).image).astype(int))
        worst = max(worst, int(np.abs(results[0] - results[1]).max()))
    return [Bar("frames of odd sizes: largest difference in levels", worst, "<=", 4)]


CHECKS: tuple[Check, ...] = (renderer, generator, recognizer, odd_sizes, training_step)
"""The checks in order."""


class _NoAnalysis:
    """A face analysis for faces that are known."""

    def __init__(self, recognizer_id) -> None:
        self.recognizer = recognizer_id


def _pictures(count: int, size: int, device: torch.device) -> Rendered:
    people, attributes = Identities.from_seeds(range(count), device), Attributes.from_seeds(range(count), device)
    window = estimate_similarity(five_points(people, attributes, 256), template_points("ffhq", size).to(device))
    return render(people, attributes, size, window=window, frame_size=256)


def _losses(config: TrainingConfig, batch, device: torch.device) -> dict[str, float]:
    state = create_state(config, device)
    twin = TorchRecognizer(DEMO_RECOGNIZER).to(device)
    scalars = train_step(config, state, batch.to(device), twin).scalars
    return {name: float(value) for name, value in scalars.items() if name.startswith("loss/")}


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _close(name: str, found: torch.Tensor, exact: torch.Tensor, dtype: str) -> Bar:
    return Bar(f"{name}: PSNR to float64, dB", psnr(found.cpu(), exact), ">=", _LEAST_PSNR[dtype])


def _finite(name: str, *values: torch.Tensor) -> Bar:
    broken = sum(int((~torch.isfinite(value)).sum()) for value in values)
    return Bar(f"{name}: values that are not finite", broken, "<=", 0)
