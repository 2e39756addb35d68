"""What the discriminator sees of pictures: transforms that can be checked by hand, and the rule that sets how many."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent))

from training_toys import ToySource, tiny_config, write_recognizer

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.training.augmentation import (
    Augmentation,
    Purpose,
    Transforms,
    apply_transforms,
    draw_transforms,
)
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_state import create_state, newest_checkpoint, restore_state
from styleswap_core.training.training_step import train_step
from styleswap_core.training.training_loop import RunContext, train

CPU = torch.device("cpu")
STILL = np.eye(2, 3)[None]
PLAIN = np.eye(3, 4)[None]


def picture(size: int = 8, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_probability_0_changes_nothing():
    drawn = draw_transforms(6, seed=1, step=2, purpose=Purpose.REAL, probability=0.0)
    assert torch.equal(apply_transforms(picture(count=6), drawn), picture(count=6))


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], lambda x: x.flip(3)),
        ([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]], lambda x: torch.rot90(x, -1, (2, 3))),  # y points down: clockwise
        ([[1.0, 0.0, 0.25], [0.0, 1.0, 0.0]], lambda x: torch.cat([x[..., :2].flip(3), x[..., :6]], 3)),
    ],
    ids=["mirrored", "a quarter turn", "moved by a quarter"],
)
def test_geometry_by_hand(matrix, expected):
    moved = apply_transforms(picture(), Transforms(np.array([matrix]), PLAIN))
    torch.testing.assert_close(moved, expected(picture()), atol=1e-5, rtol=0)


def test_color_by_hand():
    gray = picture().mean(dim=1, keepdim=True).expand(1, 3, 8, 8)
    for seed in range(40):
        drawn = draw_transforms(1, seed, 0, Purpose.FAKE, 0.8)
        changed = apply_transforms(gray, Transforms(STILL, drawn.color))
        # Gray stays gray: hue turns about it and saturation stretches away from it.
        torch.testing.assert_close(changed, changed[:, :1].expand_as(changed), atol=1e-5, rtol=0)
        # And every transform can be undone.
        assert abs(np.linalg.det(drawn.color[0, :, :3])) > 1e-4 and abs(np.linalg.det(drawn.geometry[0, :, :2])) > 1e-2


def test_probability_is_that_of_each_transform():
    drawn = draw_transforms(4000, 1, 1, Purpose.REAL, 0.3)
    # Brightness is the only one that moves black's middle gray: its offset tells how often it was drawn.
    assert (drawn.color[:, 0, 3] != 0).mean() == pytest.approx(0.3, abs=0.03)


def test_rows_do_not_depend_on_who_draws_them():
    config = tiny_config(batch=6, augment="fixed", augment_probability=0.7)
    augmentation = Augmentation(0.7)
    whole = augmentation.transform(config, 9, Purpose.REAL, slice(None))(picture(count=6))
    part = augmentation.transform(config, 9, Purpose.REAL, slice(1, None, 3))(picture(count=6)[1::3])
    torch.testing.assert_close(part, whole[1::3])
    other = augmentation.transform(config, 9, Purpose.FAKE, slice(None))(picture(count=6))
    assert not torch.allclose(other, whole)


def test_gradient_passes():
    inputs = picture(count=6).requires_grad_(True)
    apply_transforms(inputs, draw_transforms(6, 1, 1, Purpose.GENERATOR, 0.8)).square().sum().backward()
    assert (inputs.grad.flatten(1).abs().sum(dim=1) > 0).all()


def test_the_rule_follows_the_sign_of_the_logits():
    config = tiny_config(batch=10, augment="ada", augment_target=0.6, augment_ramp_images=400.0)
    augmentation = Augmentation(0.0)

    def after_steps(sign: float, steps: int) -> float:
        for _ in range(steps):
            augmentation.observe(config, torch.tensor(sign))
        return augmentation.probability

    assert after_steps(0.9, 3) == 0.0
    assert after_steps(0.9, 1) == pytest.approx(0.1)  # 4 steps of 10 pictures in a ramp of 400
    assert after_steps(0.9, 100) == 0.8
    assert after_steps(0.1, 8) == pytest.approx(0.6)
    assert after_steps(0.1, 400) == 0.0
    fixed = Augmentation(0.3)
    for _ in range(8):
        fixed.observe(tiny_config(augment="fixed", augment_probability=0.3), torch.tensor(1.0))
    assert fixed.probability == 0.3


def test_checkpoint_keeps_probability_and_what_was_seen(tmp_path):
    recognizer = TorchRecognizer(write_recognizer(tmp_path / "toy.onnx"))
    folder = RunFolder(tmp_path / "run")
    # Of the 6 steps two come before the discriminator, so that 4 are seen and one more after resuming.
    config = tiny_config(steps=7, checkpoint_every=7, augment="ada", augment_probability=0.4, augment_ramp_images=100.0)
    state = train(config, folder, RunContext(ToySource(), CPU, recognizer))
    content = newest_checkpoint(folder.checkpoints)
    assert content["augmentation"] == state.augmentation.state_dict()
    assert content["augmentation"]["steps"] == 1 and content["augmentation"]["probability"] != 0.4
    assert restore_state(content, config, CPU).augmentation.state_dict() == content["augmentation"]
    del content["augmentation"]  # switched on later
    assert restore_state(content, config, CPU).augmentation.probability == 0.4


def test_discriminator_sees_nothing_unchanged_and_the_generator_learns_through_it(tmp_path):
    recognizer = TorchRecognizer(write_recognizer(tmp_path / "toy.onnx"))
    config = tiny_config(adversarial_start=0, augment="fixed", augment_probability=0.8)
    state, batch, seen = create_state(config, CPU), ToySource().batch(0), []
    state.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    report = train_step(config, state, batch, recognizer)
    assert bool(report.finite) and "discriminator/r1" in report.scalars
    assert seen and not any(torch.allclose(pictures, batch.truth, atol=1e-3) for pictures in seen)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augment": "some"}, "augment: expected one of"),
        ({"augment_probability": 0.9}, "augment_probability: expected 0..0.8"),
        ({"augment_target": 1.0}, "augment_target"),
        ({"augment_ramp_images": 0.0}, "augment_ramp_images: expected more than 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(StyleSwapError, match=message):
        tiny_config(**settings)
