"""A larger generator out of a smaller, trained one, so that most of a training runs cheaply.

After Karras et al. 2018 (progressive growing), in the form that a skip generator allows: the new
levels begin with ToRGB and ToMask at zero, so the grown generator begins as the up-sampled small
one, and no level has to be faded in.
"""

from __future__ import annotations

import torch

from ..errors import StyleSwapError
from .generator import Generator
from .generator_config import GeneratorConfig
from .layers import GAIN, SLOPE, EqualConv2d

# Red, green, blue and their negatives: leaky ReLU(v) - leaky ReLU(-v) = (1 + slope) * v, so six
# channels carry a picture through an activation without loss.
_PASS_CHANNELS = 6
_PASS_FACTOR = GAIN * (1 + SLOPE)


def grow(small: Generator, config: GeneratorConfig) -> Generator:
    """A Generator of `config` with every tensor of `small` that it has a place for.

    Its first rgb is that of `small` on the crop that StyleGAN2's filter has halved, up-sampled; with
    mask_accumulation "logits" its first mask is the up-sampled one too ("sigmoid" applies a further
    sigmoid at each new level and cannot begin there). `unmatched` lists what was not transferred.
    StyleSwapError when the configuration does not continue the small one.
    """
    if config.size <= small.config.size:
        raise StyleSwapError(f"a grown generator must be larger than {small.config.size} px; got size {config.size}")
    for resolution in config.resolutions:
        if resolution > small.config.size and config.channels_at(resolution) < _PASS_CHANNELS:
            raise StyleSwapError(
                f"growing needs {_PASS_CHANNELS} channels or more at {resolution} px; "
                f"got {config.channels_at(resolution)}"
            )
    large = Generator(config)
    targets = large.state_dict()
    for name, tensor in small.state_dict().items():
        if name in targets and targets[name].shape != tensor.shape:
            raise StyleSwapError(
                f"{name} must have the same shape in both sizes; got {tuple(tensor.shape)} and "
                f"{tuple(targets[name].shape)}; give the large configuration the small one's settings"
            )
    with torch.no_grad():
        for name, tensor in small.state_dict().items():
            if name in targets:
                targets[name].copy_(tensor)
        _silence_new_levels(small, large)
        _pass_picture_down(small, large)
    return large


def unmatched(small: Generator, large: Generator) -> tuple[list[str], list[str]]:
    """Names of tensors that only `large` has (they start fresh) and that only `small` has (they are dropped)."""
    ours, theirs = set(large.state_dict()), set(small.state_dict())
    return sorted(ours - theirs), sorted(theirs - ours)


def _new_levels(small: Generator, large: Generator) -> list[int]:
    """Resolutions that only the large generator has, from the top down."""
    return [resolution for resolution in reversed(large.config.resolutions) if resolution > small.config.size]


def _silence_new_levels(small: Generator, large: Generator) -> None:
    for resolution in _new_levels(small, large):
        block = large.synthesis.blocks[str(resolution)]
        block.to_rgb.weight.zero_()
        if block.to_mask is not None:
            block.to_mask.weight.zero_()


def _pass_picture_down(small: Generator, large: Generator) -> None:
    """Lets the encoder's new levels halve the picture and no more, down to where `small` reads it."""
    top, *below = _new_levels(small, large)
    signs = torch.cat([torch.eye(3), -torch.eye(3)])  # (6, 3)
    first = large.encoder.from_rgb[str(top)]
    _set_picture_weight(first, signs / first.scale)
    for resolution in below:
        down = large.encoder.down[str(resolution)]
        _set_picture_weight(down, signs @ signs.T[:, :_PASS_CHANNELS] / (_PASS_FACTOR * down.scale))
    read = small.encoder.from_rgb[str(small.config.size)]
    down = large.encoder.down[str(small.config.size)]
    weight = read.weight[:, :, 0, 0] * read.scale  # (C, 3)
    _set_picture_weight(down, weight @ signs.T / (_PASS_FACTOR * down.scale))
    down.bias.copy_(read.bias)


def _set_picture_weight(conv: EqualConv2d, weight: torch.Tensor) -> None:
    """The first rows read the first columns through the kernel's center and nothing else."""
    rows, columns = weight.shape
    center = conv.kernel_size // 2
    conv.weight[:rows].zero_()
    conv.weight[:rows, :columns, center, center] = weight.to(conv.weight)
