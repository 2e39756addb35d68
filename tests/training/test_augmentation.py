"""Discriminator augmentation: transforms with known results, and the control of their probability."""

import numpy as np
import pytest
import torch
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
from styleswap_core.training.training_loop import RunContext, train
from styleswap_core.training.training_state import create_state, newest_checkpoint, restore_state
from styleswap_core.training.training_step import train_step

CPU = torch.device("cpu")
SAME_GEOMETRY = np.eye(2, 3)[None]
SAME_COLOR = np.eye(3, 4)[None]


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
    ids=["flipped", "rotated by 90 degrees", "shifted by a quarter"],
)
def test_known_geometric_transforms(matrix, expected):
    transformed = apply_transforms(picture(), Transforms(np.array([matrix]), SAME_COLOR))
    torch.testing.assert_close(transformed, expected(picture()), atol=1e-5, rtol=0)


def test_color_transforms_keep_gray_and_are_invertible():
    gray = picture().mean(dim=1, keepdim=True).expand(1, 3, 8, 8)
    for seed in range(40):
        drawn = draw_transforms(1, seed, 0, Purpose.FAKE, 0.8)
        changed = apply_transforms(gray, Transforms(SAME_GEOMETRY, drawn.color))
        # Hue rotates about the gray axis, and saturation scales away from it.
        torch.testing.assert_close(changed, changed[:, :1].expand_as(changed), atol=1e-5, rtol=0)
        assert abs(np.linalg.det(drawn.color[0, :, :3])) > 1e-4 and abs(np.linalg.det(drawn.geometry[0, :, :2])) > 1e-2


def test_probability_applies_to_each_transform():
    drawn = draw_transforms(4000, 1, 1, Purpose.REAL, 0.3)
    # Only brightness adds an offset.
    assert (drawn.color[:, 0, 3] != 0).mean() == pytest.approx(0.3, abs=0.03)


def test_rows_are_transformed_as_in_the_whole_batch():
    config = tiny_config(batch=6, augment="fixed", augment_probability=0.7)
    augmentation = Augmentation(0.7)
    whole = augmentation.transform(config, 9, Purpose.REAL, slice(None))(picture(count=6))
    part = augmentation.transform(config, 9, Purpose.REAL, slice(1, None, 3))(picture(count=6)[1::3])
    torch.testing.assert_close(part, whole[1::3])
    other = augmentation.transform(config, 9, Purpose.FAKE, slice(None))(picture(count=6))
    assert not torch.allclose(other, whole)


def test_gradients_pass_through():
    inputs = picture(count=6).requires_grad_(True)
    apply_transforms(inputs, draw_transforms(6, 1, 1, Purpose.GENERATOR, 0.8)).square().sum().backward()
    assert (inputs.grad.flatten(1).abs().sum(dim=1) > 0).all()


def test_probability_follows_the_sign_of_the_logits():
    config = tiny_config(batch=10, augment="ada", augment_target=0.6, augment_ramp_images=400.0)
    augmentation = Augmentation(0.0)

    def after_steps(sign: float, steps: int) -> float:
        for _ in range(steps):
            augmentation.observe(config, torch.tensor(sign))
        return augmentation.probability

    assert after_steps(0.9, 3) == 0.0
    assert after_steps(0.9, 1) == pytest.approx(0.1)  # 4 steps of 10 pictures, 400 pictures for a change of 1
    assert after_steps(0.9, 100) == 0.8
    assert after_steps(0.1, 8) == pytest.approx(0.6)
    assert after_steps(0.1, 400) == 0.0
    fixed = Augmentation(0.3)
    for _ in range(8):
        fixed.observe(tiny_config(augment="fixed", augment_probability=0.3), torch.tensor(1.0))
    assert fixed.probability == 0.3


def test_checkpoint_stores_the_control(tmp_path):
    recognizer = TorchRecognizer(write_recognizer(tmp_path / "toy.onnx"))
    folder = RunFolder(tmp_path / "run")
    # The discriminator runs in the last 5 of 7 steps, so the probability is adjusted once, and one step is pending.
    config = tiny_config(steps=7, checkpoint_every=7, augment="ada", augment_probability=0.4, augment_ramp_images=100.0)
    state = train(config, folder, RunContext(ToySource(), CPU, recognizer))
    content = newest_checkpoint(folder.checkpoints)
    assert content["augmentation"] == state.augmentation.state_dict()
    assert content["augmentation"]["steps"] == 1 and content["augmentation"]["probability"] != 0.4
    assert restore_state(content, config, CPU).augmentation.state_dict() == content["augmentation"]
    del content["augmentation"]  # turned on later
    assert restore_state(content, config, CPU).augmentation.probability == 0.4


def test_discriminator_sees_only_transformed_pictures(tmp_path):
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
def test_invalid_settings(settings, message):
    with pytest.raises(StyleSwapError, match=message):
        tiny_config(**settings)
