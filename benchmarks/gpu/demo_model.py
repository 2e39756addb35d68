"""A better demo model in minutes: trained on faces rendered meanwhile, grown, judged, and shipped if it is better."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import torch
from bars import Bar
from rendered_source import RenderedSource, RingSettings, choose_kernels
from time_share import TimeShare

from styleswap_core.checkpoints.native import DEMO_MODEL, save_generator
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.recognition import SHIPPED_JUDGE
from styleswap_core.io.assets import ASSETS
from styleswap_core.io.files import atomic_write
from styleswap_core.io.images import save_image
from styleswap_core.io.read_ahead import map_ahead
from styleswap_core.losses import LossWeights
from styleswap_core.metrics.attribute_regressors import load_regressor
from styleswap_core.metrics.bounds import SYNTHETIC_BOUNDS
from styleswap_core.metrics.evaluated_swappers import aligned_swapper
from styleswap_core.metrics.evaluation_sheet import swap_sheet
from styleswap_core.metrics.render_workers import render_workers
from styleswap_core.metrics.suite_synthetic import (
    SyntheticEvaluators,
    SyntheticSuite,
    build_gallery,
    evaluate_synthetic,
)
from styleswap_core.metrics.synthetic_cases import draw_cases
from styleswap_core.swappers.styleswap_network import load_styleswap_model
from styleswap_core.synthetic.kernels import Kernels
from styleswap_core.training.run_setup import DEMO_RECOGNIZER
from styleswap_core.training.training_config import TrainingConfig, config_to_dict
from styleswap_core.training.training_state import TrainingState, create_state
from styleswap_core.training.training_step import train_step
from styleswap_core.training.warm_start import initialize_generator

# What a new model must reach to ship, beside beating the present one in every row.
SHIPPING = {"face_psnr": 25.5, "sharpness_ratio": 0.85, "id_cos_other_photo_ratio": 0.95}
# Those of the demo presets, and of one more resolution.
_CHANNELS = {4: 128, 8: 128, 16: 128, 32: 128, 64: 64, 128: 32, 256: 16}
# Looking at the clock waits for the GPU.
_STEPS_BETWEEN_LOOKS = 10
JUDGING_SHARE = 0.22
# About what all people of the suite take, for both models.
_JUDGING_SECONDS = 45.0


@dataclass(frozen=True)
class Stage:
    """A stage of the training.

    Attributes:
        size: Side of the crops.
        weight: Share of the training time.
        batch: Pictures per step.
        ring: Columns in the ring.
        last: Whether the learning rates decay to 0.
    """

    size: int
    weight: float
    batch: int
    ring: int
    last: bool = False


STAGES = (Stage(64, 0.2, 256, 1024), Stage(128, 0.45, 192, 512), Stage(256, 0.35, 64, 256, last=True))
QUICK_STAGES = (Stage(16, 0.5, 4, 2), Stage(32, 0.5, 4, 2, last=True))


def train(
    device: torch.device, share: TimeShare, quick: bool, found: dict, out: Path, ship: Path | None
) -> Iterator[None]:
    """Train, judge and decide; fills `found`, writes the model and its sheet, and yields after each stage."""
    stages = QUICK_STAGES if quick else STAGES
    training = TimeShare(share.left * (1 - JUDGING_SHARE))
    weights = {str(stage.size): stage.weight for stage in stages}
    found["stages"] = []
    kernels, found["kernels"] = choose_kernels(device, 0.15 * share.left)
    path: Path | None = None
    twin = TorchRecognizer(DEMO_RECOGNIZER).to(device)
    for number, stage in enumerate(stages):
        own = training.part(weights, str(stage.size))
        config = stage_config(stage, twin)
        state, row = run_stage(config, stage, path, twin, device, own, kernels, number, 2 if quick else None)
        found["stages"].append(row)
        path = out / "generator.safetensors"
        metadata = {"domain": "synthetic", "training": config_to_dict(config), "training_steps": state.step}
        save_generator(path, state.generator_ema, metadata, dtype="float16")
        yield
    assert path is not None
    yield from judge(path, device, share, quick, found, out)
    if found["ships"] and ship is not None:
        with atomic_write(ship) as temporary:
            shutil.copyfile(path, temporary)
        found["shipped_as"] = ship.name


def stage_config(stage: Stage, recognizer: TorchRecognizer) -> TrainingConfig:
    """Configuration of a stage; those of `assets.mk` for the generator, with the rates of its longest stage."""
    overrides = {
        "attribute_masking": "none",
        "recognizer": recognizer.name,
        "recognizer_sha256": recognizer.sha256,
        "size": stage.size,
        "channels": {size: channels for size, channels in _CHANNELS.items() if size <= stage.size},
    }
    weights = LossWeights(
        adversarial=0.0,
        identity=3.0 if stage.last else 1.0,
        truth_identity=4.0 if stage.last else 2.0,
        mask=2.0,
        swap_gradients=3.0,
        swap_laplacian=3.0,
        swap_sharpness=12.0 if stage.last else 2.0,
    )
    return TrainingConfig(
        model="demo-128",
        model_overrides=overrides,
        batch=stage.batch,
        recognizer_rows=max(4, stage.batch // 3),
        warmup_steps=50,
        schedule="linear" if stage.last else "constant",
        feature_weight=1.5 if stage.last else 3.0,
        weights=weights,
    )


def run_stage(
    config: TrainingConfig,
    stage: Stage,
    init: Path | None,
    recognizer: TorchRecognizer,
    device: torch.device,
    share: TimeShare,
    kernels: Kernels,
    number: int,
    most_steps: int | None = None,
) -> tuple[TrainingState, dict]:
    """Train until the time is up; returns the state, and facts about the stage."""
    state = create_state(config, device)
    if init is not None:
        initialize_generator(state.generator, init)
        state.generator_ema.load_state_dict(state.generator.state_dict())
    settings = RingSettings(
        size=stage.size,
        batch=stage.batch,
        columns=stage.ring,
        members=2 if most_steps else 5,
        chunk=4 if most_steps else 240 * 128**2 // max(stage.size, 64) ** 2,
        seed=config.seed + number,
        first_attribute=3_000_000 * number,
    )
    source = RenderedSource(settings, recognizer, device, kernels)
    setup, losses = share.spent, None
    with map_ahead(source.batch, count(), depth=1) as batches:
        for batch in batches:
            # The schedule follows the clock: as many steps as the time would allow at the speed so far.
            fraction = max((share.spent - setup) / max(share.seconds - setup, 1e-9), 1e-6)
            steps = min(max(state.step + 1, round(state.step / fraction)), 10**8)
            losses = train_step(replace(config, steps=steps), state, batch, recognizer)
            if state.step == most_steps:
                break
            if state.step % _STEPS_BETWEEN_LOOKS == 0 and _over(share, device):
                break
    seconds = share.spent - setup
    assert losses is not None
    row = {
        "size": stage.size,
        "steps": state.step,
        "pictures": state.step * stage.batch,
        "pictures_per_second": state.step * stage.batch / max(seconds, 1e-9),
        "rendered": source.rendered,
        "seconds_before_first_step": setup,
        "loss": float(losses.scalars["loss/total"]),
        "finite": bool(losses.finite),
    }
    return state, row


def judge(path: Path, device: torch.device, share: TimeShare, quick: bool, found: dict, out: Path) -> Iterator[None]:
    """Measure the new and the present model by the synthetic suite with its own seed, and compare."""
    official = SyntheticSuite()
    people = 2 if quick else _affordable(official.identities, share)
    suite = replace(official, identities=people, settings=1 if quick else official.settings, batch=2 if quick else 64)
    twin = TorchRecognizer(DEMO_RECOGNIZER).to(device)
    found["figures"], found["judged"], gallery = {}, {}, None
    for name, file in {"new": path, "present": DEMO_MODEL}.items():
        network = load_styleswap_model(file, device)
        rows = (1 if quick else 3) if name == "new" else 0
        own = replace(suite, size=network.size, template=network.template, sheet_rows=rows)
        evaluators = SyntheticEvaluators(
            swapper=aligned_swapper(network),
            source_recognizer=twin,
            recognizer=TorchRecognizer(SHIPPED_JUDGE).to(device),
            regressor=load_regressor(ASSETS / "regressors.safetensors").to(device),
            device=device,
        )
        if gallery is None:
            cases = draw_cases(suite.identities, suite.settings, suite.seed)
            with render_workers(0) as workers:
                gallery = build_gallery(evaluators, cases, suite.batch, workers)
        evaluation = evaluate_synthetic(evaluators, own, gallery=gallery)
        found["figures"][name] = evaluation.figures
        found["judged"][name] = {
            "size": own.size,
            "identities": own.identities,
            "settings": own.settings,
            "seed": own.seed,
        }
        if evaluation.rows:
            title = f"new demo model, {len(cases)} cases, seed {own.seed}: best, median and worst by face PSNR"
            save_image(out / "sheet.jpg", swap_sheet(evaluation.rows, title=title))
        yield
    found["bars"] = [bar.as_dict() for bar in shipping_bars(found["figures"]["new"], found["figures"]["present"])]
    found["official"] = (suite.identities, suite.settings) == (official.identities, official.settings)
    found["ships"] = found["official"] and all(bar["kept"] for bar in found["bars"])
    yield


def shipping_bars(new: dict[str, float], present: dict[str, float]) -> list[Bar]:
    """What must hold for the new model to ship: it beats the present one in every row, and reaches `SHIPPING`."""
    nan = float("nan")
    bars = [Bar(f"{key} against the goal", new.get(key, nan), ">=", limit) for key, limit in SHIPPING.items()]
    return bars + [
        Bar(f"{key} against the present model", new.get(key, nan), bound.relation, present.get(key, nan))
        for key, bound in SYNTHETIC_BOUNDS.items()
    ]


def _affordable(people: int, share: TimeShare) -> int:
    """All people of the suite, or fewer if the time is almost up; with fewer, no model ships."""
    return people if share.left > _JUDGING_SECONDS else max(10, int(people * share.left / _JUDGING_SECONDS))


def _over(share: TimeShare, device: torch.device) -> bool:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return share.left <= 0
