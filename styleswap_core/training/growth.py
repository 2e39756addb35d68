"""Starting a training from a finished generator: of the same size, or of half the size (progressive growing)."""

from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.native import load_generator
from ..errors import StyleSwapError
from ..model.generator import Generator
from ..model.layers import GAIN, SLOPE


@torch.no_grad()
def initialise_from(generator: Generator, path: str | Path) -> list[str]:
    """Copy into `generator` what a generator file has, and return the names of the parameters that start fresh.

    When the size doubles, the grown generator first does what the small one did, one octave larger: the new ToRGB and
    ToMask start at 0, so the picture and the mask are the lower level's, upsampled; and the encoder's new first layers
    pass the picture on, blurred and halved, to what was the small encoder's first layer.

    Raises:
        StyleSwapError: not a generator file, another size than that or half of it, or nothing in common.
    """
    trained, _ = load_generator(path)
    size, trained_size = generator.config.size, trained.config.size
    if trained_size not in (size, size // 2):
        raise StyleSwapError(f"{path}: expected a generator of {size} or {size // 2} px to start from, "
                             f"got {trained_size} px; grow by one doubling at a time")
    known, wanted = trained.state_dict(), generator.state_dict()
    shared = {name: value for name, value in known.items() if name in wanted and wanted[name].shape == value.shape}
    if not shared:
        raise StyleSwapError(f"{path}: no layer has the shape that {size} px training needs; use the same channels")
    generator.load_state_dict(shared, strict=False)
    fresh = sorted(set(wanted) - set(shared))
    if trained_size < size:
        _start_silent(generator)
        _pass_picture_down(generator, known)
    return fresh


def _start_silent(generator: Generator) -> None:
    block = generator.synthesis.blocks[str(generator.config.size)]
    block.to_rgb.weight.zero_()
    if block.to_mask is not None:
        block.to_mask.weight.zero_()


def _pass_picture_down(generator: Generator, trained: dict[str, Tensor]) -> None:
    """Make `down(from_rgb(picture))` equal the trained `from_rgb` on the halved picture.

    Leaky ReLU f of slope s loses nothing in a pair: f(x) - f(-x) = (1 + s) x. So the first six channels carry the
    three colours and their negatives, and the centre of the 3x3 kernel (whose blur has just been applied) puts the
    trained 1x1 layer on top. Other channels start unread, and learn.
    """
    size = generator.config.size
    first = generator.encoder.from_rgb[str(size)]
    second = generator.encoder.down[str(size // 2)]
    name = f"encoder.from_rgb.{size // 2}"
    weight, bias = trained[f"{name}.weight"], trained[f"{name}.bias"]  # (C, 3, 1, 1), (C,)
    if first.weight.shape[0] < 6 or second.weight.shape[0] != weight.shape[0]:
        return  # Too narrow to carry the picture: these two layers learn from random weights.
    second.weight.zero_()
    trained_scale = weight.shape[1] ** -0.5  # of the equalised learning rate
    for color in range(3):
        for channel, sign in ((2 * color, 1.0), (2 * color + 1, -1.0)):
            first.weight[channel] = 0
            first.weight[channel, color] = sign / first.scale
            factor = sign * trained_scale / (second.scale * GAIN * (1 + SLOPE))
            second.weight[:, channel, 1, 1] = weight[:, color, 0, 0] * factor
    second.bias.copy_(bias)
