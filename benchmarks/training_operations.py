"""Floating-point operations of training by a recipe, counted in its own steps, and what they cost on a rented GPU.

    python benchmarks/training_operations.py docs/recipes/portraits-256.json
    python benchmarks/training_operations.py docs/recipes/portraits-256.json --recognizer face_recognition_sface.onnx

Convolutions and matrix products are counted, forward and backward, of generator, recognizer, discriminator and
optimizer, in the steady state of the run. Hours and cost are a forecast: they follow from the rate that is assumed.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.training.batches import Batch
from styleswap_core.training.config_values import read_values
from styleswap_core.training.measurement import step_frequencies
from styleswap_core.training.run_setup import DEMO_RECOGNIZER
from styleswap_core.training.training_config import TrainingConfig, config_from_dict
from styleswap_core.training.training_state import create_state, generator_config
from styleswap_core.training.training_step import train_step


class Operations(TorchDispatchMode):
    """Counts operations by torch's own formulas; `FlopCounterMode` fails at passes without gradients inside a step.

    Attributes:
        total: Floating-point operations so far; a multiply-add counts as two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result


def make_batch(config: TrainingConfig) -> Batch:
    """Pictures of noise with a disk for a face; what they show does not matter here."""
    model, random = generator_config(config), torch.Generator().manual_seed(0)
    size, count = model.size, config.batch
    pictures = torch.rand(count, 3, size, size, generator=random) * 2 - 1
    embeddings = F.normalize(torch.randn(2, count, model.style_dim, generator=random), dim=2)
    axis = torch.linspace(-1, 1, size)
    mask = (axis[:, None].square() + axis.square() < 0.4).float().expand(count, 1, size, size)
    same = torch.arange(count) < config.same_identity_share * count
    return Batch(
        target=pictures,
        id_embedding=embeddings[0],
        target_embedding=embeddings[1],
        truth=pictures,
        truth_known=torch.ones_like(same) if config.exact_swap else same,
        face_mask=mask,
        same_identity=same,
        points=template_points(model.template, size).expand(count, 5, 2),
    )


def count(config: TrainingConfig, recognizer: TorchRecognizer, pictures: int) -> dict[str, float]:
    """Operations of an average step: per picture, and of the optimizers, which are the same for every batch.

    Args:
        config: The recipe.
        recognizer: Its recognizer.
        pictures: Pictures in the steps that are counted, an even number; more of them meet the recipe's shares better.
    """
    overrides = {**config.model_overrides, "style_dim": recognizer.recognizer_id.dimension}
    small = {"batch": pictures, "gradient_accumulation": pictures // 2, "stddev_group": 2, "recognizer_rows": 0}
    config = replace(config, model_overrides=overrides, schedule="constant", **small)
    state, batch = create_state(config, torch.device("cpu")), make_batch(config)
    frequencies = step_frequencies(config)
    period = sum(frequencies.values())
    in_step = in_optimizer = 0.0
    for step, number in frequencies.items():
        state.step = step
        optimizers = [state.generator_optimizer, state.discriminator_optimizer]
        own = Operations()
        for optimizer in filter(None, optimizers):
            optimizer.step = _counted(optimizer.step, own)
        with Operations() as whole:
            train_step(config, state, batch, recognizer)
        in_step += whole.total * number / period
        in_optimizer += own.total * number / period
        for optimizer in filter(None, optimizers):
            del optimizer.step
    return {"per_picture": (in_step - in_optimizer) / pictures, "per_step": in_optimizer}


def _counted(step, counter: Operations):
    def run(*arguments, **options):
        with counter:
            return step(*arguments, **options)

    return run


def forecast(config: TrainingConfig, counted: dict[str, float], rate: float, price: float) -> dict[str, float]:
    """Hours and cost of the recipe.

    Args:
        config: The recipe.
        counted: Result of `count`.
        rate: Floating-point operations per second that the GPU sustains.
        price: Of an hour.
    """
    pictures = config.steps * config.batch
    total = pictures * counted["per_picture"] + config.steps * counted["per_step"]
    return {
        "pictures": pictures,
        "operations": total,
        "pictures_per_second": pictures * rate / total,
        "hours": total / rate / 3600,
        "cost": total / rate / 3600 * price,
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--recognizer", type=Path, default=DEMO_RECOGNIZER, help="ONNX file (default: the demo pack's)")
    parser.add_argument("--pictures", type=int, default=20, help="pictures in a counted step (default: %(default)s)")
    parser.add_argument("--peak", type=float, default=989.0, help="TFLOP/s of the GPU (default: H100 SXM, bfloat16)")
    parser.add_argument(
        "--share", type=float, nargs="+", default=[0.03, 0.06, 0.12], help="shares of it that are reached"
    )
    parser.add_argument("--price", type=float, default=2.5, help="of an hour (default: %(default)s)")
    args = parser.parse_args()
    config = config_from_dict(read_values(str(args.recipe)), str(args.recipe))
    counted = count(config, TorchRecognizer(args.recognizer), args.pictures)
    rows = {f"{share:g}": forecast(config, counted, args.peak * 1e12 * share, args.price) for share in args.share}
    print(json.dumps({"counted": counted, "forecast_by_share_of_peak": rows}, indent=2))


if __name__ == "__main__":
    main()
