"""Progressive growing: a larger generator is initialized from a smaller, trained one, which makes training cheaper.

After Karras et al. 2018, adapted to skip generators: ToRGB and ToMask of the new resolutions start at zero, so the
grown generator initially returns the upsampled output of the small one, and no resolution has to be faded in.
"""

from __future__ import annotations

import torch

from ..errors import StyleSwapError
from .generator import Generator
from .generator_config import GeneratorConfig
from .layers import GAIN, SLOPE, EqualConv2d

# Red, green, blue and their negatives: leaky ReLU(v) - leaky ReLU(-v) = (1 + slope) * v, so six channels carry a
# picture through an activation without loss.
_PICTURE_CHANNELS = 6
_PICTURE_FACTOR = GAIN * (1 + SLOPE)


def grow(small: Generator, config: GeneratorConfig) -> Generator:
    """A Generator of `config` with every tensor of `small` that exists in both.

    Its initial rgb is the upsampled rgb of `small` for the crop downsampled with StyleGAN2's filter. The same holds for
    its mask with mask_accumulation "logits", but not with "sigmoid", which applies another sigmoid at each new
    resolution. `unmatched` lists the tensors that are not transferred.

    Raises:
        StyleSwapError: The configuration does not extend that of `small`.
    """
    if config.size <= small.config.size:
        raise StyleSwapError(f"a grown generator must be larger than {small.config.size} px; got size {config.size}")
    for resolution in config.resolutions:
        if resolution > small.config.size and config.channels_at(resolution) < _PICTURE_CHANNELS:
            raise StyleSwapError(
                f"growing needs {_PICTURE_CHANNELS} channels or more at {resolution} px; "
                f"got {config.channels_at(resolution)}"
            )
    large = Generator(config)
    targets = large.state_dict()
    for name, tensor in small.state_dict().items():
        if name in targets and targets[name].shape != tensor.shape:
            raise StyleSwapError(
                f"{name} must have the same shape in both sizes; got {tuple(tensor.shape)} and "
                f"{tuple(targets[name].shape)}; use the settings of the small configuration"
            )
    with torch.no_grad():
        for name, tensor in small.state_dict().items():
            if name in targets:
                targets[name].copy_(tensor)
        _zero_new_outputs(small, large)
        _initialize_new_encoder_levels(small, large)
    return large


def unmatched(small: Generator, large: Generator) -> tuple[list[str], list[str]]:
    """Names of the tensors that only `large` has, which are newly initialized, and that only `small` has."""
    new, old = set(large.state_dict()), set(small.state_dict())
    return sorted(new - old), sorted(old - new)


def _new_resolutions(small: Generator, large: Generator) -> list[int]:
    """Resolutions that only the large generator has, from the highest down."""
    return [resolution for resolution in reversed(large.config.resolutions) if resolution > small.config.size]


def _zero_new_outputs(small: Generator, large: Generator) -> None:
    for resolution in _new_resolutions(small, large):
        block = large.synthesis.block(resolution)
        block.to_rgb.weight.zero_()
        if block.to_mask is not None:
            block.to_mask.weight.zero_()


def _initialize_new_encoder_levels(small: Generator, large: Generator) -> None:
    """Initialize the encoder's new levels to downsample the picture to the input size of `small`."""
    top, *below = _new_resolutions(small, large)
    signs = torch.cat([torch.eye(3), -torch.eye(3)])  # (6, 3)
    first = large.encoder.conv_to(top)
    _set_picture_weight(first, signs / first.scale)
    for resolution in below:
        down = large.encoder.conv_to(resolution)
        _set_picture_weight(down, signs @ signs.T[:, :_PICTURE_CHANNELS] / (_PICTURE_FACTOR * down.scale))
    read = small.encoder.conv_to(small.config.size)
    down = large.encoder.conv_to(small.config.size)
    weight = read.weight[:, :, 0, 0] * read.scale  # (C, 3)
    _set_picture_weight(down, weight @ signs.T / (_PICTURE_FACTOR * down.scale))
    assert down.bias is not None and read.bias is not None
    down.bias.copy_(read.bias)


def _set_picture_weight(conv: EqualConv2d, weight: torch.Tensor) -> None:
    """Connect the first outputs to the first inputs only, through the center of the kernel."""
    rows, columns = weight.shape
    center = conv.kernel_size // 2
    conv.weight[:rows].zero_()
    conv.weight[:rows, :columns, center, center] = weight.to(conv.weight)
