"""Foreign networks for tests: weights under their original names, and forward passes written from format descriptions.

Deliberately naive and independent of the package: a kernel for each sample, zero insertion, filters as convolutions.
Weights are a dict {name: tensor} with linear weights (out, in).
"""

import math

import torch
import torch.nn.functional as F

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
BLUR = torch.outer(TAPS, TAPS) / 64


class Weights(dict):
    """Builder of a state dict, with one method for each kind of layer."""

    def __init__(self, seed):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def draw(self, *shape, scale=1.0, mean=0.0):
        return torch.randn(*shape, generator=self.random) * scale + mean

    def linear(self, name, inputs, outputs, lr_mul=1.0, bias=0.0):
        self[f"{name}.weight"] = self.draw(outputs, inputs) / lr_mul
        self[f"{name}.bias"] = self.draw(outputs, scale=0.3 / lr_mul, mean=bias)

    def modulated(self, name, inputs, outputs, size, w_dim, scale=1.0):
        self[f"{name}.weight"] = self.draw(1, outputs, inputs, size, size, scale=scale)
        self.linear(f"{name}.modulation", w_dim, inputs, bias=1.0)

    def styled(self, name, inputs, outputs, w_dim, concatenates, upsamples):
        self.modulated(f"{name}.conv", inputs, outputs, 3, w_dim)
        if upsamples:
            self[f"{name}.conv.blur.kernel"] = BLUR * 4
        self[f"{name}.noise.weight"] = self.draw(1, scale=0.3, mean=0.7)
        self[f"{name}.activate.bias"] = self.draw(outputs * (2 if concatenates else 1), scale=0.3)

    def pixels(self, name, inputs, outputs, w_dim, upsamples):
        self.modulated(f"{name}.conv", inputs, outputs, 1, w_dim, scale=0.3 if outputs == 3 else 3.0)
        if outputs == 3:
            self[f"{name}.bias"] = self.draw(1, 3, 1, 1, scale=0.2)
        if upsamples:
            self[f"{name}.upsample.kernel"] = BLUR * 4


def synthesis_weights(weights, prefix, channels, w_dim, layers, mask, concatenates=True):
    """Add a synthesis network with channels {4: ..., 8: ..., ...}; mask: names of ToMask at 4x4 and above, or None."""
    factor = 2 if concatenates else 1
    for index in range(1, layers + 1):
        weights.linear(f"{prefix}style.{index}", w_dim, w_dim, lr_mul=0.01)
    weights[f"{prefix}input.input"] = weights.draw(1, channels[4], 4, 4)
    weights.styled(f"{prefix}conv1", channels[4], channels[4], w_dim, concatenates, False)
    weights.pixels(f"{prefix}to_rgb1", factor * channels[4], 3, w_dim, False)
    if mask:
        weights.pixels(f"{prefix}{mask[0]}", factor * channels[4], 1, w_dim, False)
    before = channels[4]
    for level, resolution in enumerate(sorted(channels)[1:]):
        count = channels[resolution]
        weights.styled(f"{prefix}convs.{2 * level}", factor * before, count, w_dim, concatenates, True)
        weights.styled(f"{prefix}convs.{2 * level + 1}", factor * count, count, w_dim, concatenates, False)
        weights.pixels(f"{prefix}to_rgbs.{level}", factor * count, 3, w_dim, True)
        if mask:
            weights.pixels(f"{prefix}{mask[1]}.{level}", factor * count, 1, w_dim, True)
        before = count


def encoder_weights(weights, channels):
    top, *below = sorted(channels, reverse=True)
    weights["ecd0.0.0.weight"] = weights.draw(channels[top], 3, 1, 1)
    weights["ecd0.0.1.bias"] = weights.draw(channels[top], scale=0.3)
    for index, resolution in enumerate(below, start=1):
        weights[f"ecd{index}.0.0.kernel"] = BLUR.clone()
        weights[f"ecd{index}.0.1.weight"] = weights.draw(channels[resolution], channels[2 * resolution], 3, 3)
        weights[f"ecd{index}.0.2.bias"] = weights.draw(channels[resolution], scale=0.3)


def styleswap_weights(channels, mask, w_dim=24, layers=8, seed=0):
    """StyleSwap with mask names ("to_outtermask1", "to_outtermasks"), ("to_mask1", "to_masks") or None."""
    weights = Weights(seed)
    synthesis_weights(weights, "generator.", channels, w_dim, layers, mask)
    encoder_weights(weights, channels)
    weights.linear("final_linear.0", w_dim, w_dim)
    return dict(weights)


def gpen_weights(channels, w_dim=24, layers=8, seed=0):
    weights = Weights(seed)
    synthesis_weights(weights, "generator.", channels, w_dim, layers, None)
    encoder_weights(weights, channels)
    weights.linear("final_linear.0", 16 * channels[4], w_dim)
    return dict(weights)


def stylegan2_weights(channels, w_dim=24, layers=8, seed=0):
    weights = Weights(seed)
    synthesis_weights(weights, "", channels, w_dim, layers, None, concatenates=False)
    for index in range(2 * len(channels) - 1):
        edge = 4 << (index + 1) // 2
        weights[f"noises.noise_{index}"] = weights.draw(1, 1, edge, edge)
    return dict(weights)


def paddle_layout(weights):
    """The weights with linear ones as (in, out), as in Paddle."""
    return {
        name: value.t().contiguous() if value.ndim == 2 and name.endswith("weight") else value
        for name, value in weights.items()
    }


def activate(x, bias):
    return F.leaky_relu(x + bias.reshape(1, -1, *[1] * (x.ndim - 2)), 0.2) * math.sqrt(2)


def linear(weights, name, x, lr_mul=1.0):
    weight = weights[f"{name}.weight"]
    return x @ (weight * lr_mul / math.sqrt(weight.shape[1])).T, weights[f"{name}.bias"] * lr_mul


def filtered(x, kernel, before, after):
    channels = x.shape[1]
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, kernel.flip(0, 1).expand(channels, 1, 4, 4), groups=channels)


def upsampled(x):
    """Zero insertion, then the filter times 4."""
    batch, channels, height, width = x.shape
    wide = torch.zeros(batch, channels, 2 * height, 2 * width)
    wide[:, :, ::2, ::2] = x
    return filtered(wide, BLUR * 4, 2, 1)


def modulated(weights, name, x, w, demodulate, up=False):
    """Modulated convolution of each sample with its own kernel."""
    kernel = weights[f"{name}.weight"][0]
    inputs, size = kernel.shape[1:3]
    product, bias = linear(weights, f"{name}.modulation", w)
    results = []
    for sample, style in zip(x, product + bias, strict=True):
        own = kernel / math.sqrt(inputs * size * size) * style.reshape(1, -1, 1, 1)
        if demodulate:
            own = own / torch.sqrt(own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        if up:
            grown = F.conv_transpose2d(sample[None], own.transpose(0, 1), stride=2)
            results.append(filtered(grown, BLUR * 4, 1, 1))
        else:
            results.append(F.conv2d(sample[None], own, padding=size // 2))
    return torch.cat(results)


def styled(weights, name, x, w, maps, up=False):
    x = modulated(weights, f"{name}.conv", x, w, True, up)
    if maps is not None:
        x = torch.cat([x, maps * weights[f"{name}.noise.weight"]], dim=1)
    return activate(x, weights[f"{name}.activate.bias"])


def mapping(weights, prefix, x):
    w = x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
    index = 1
    while f"{prefix}style.{index}.weight" in weights:
        w = activate(*linear(weights, f"{prefix}style.{index}", w, lr_mul=0.01))
        index += 1
    return w


def encode(weights, picture):
    """Attributes [full resolution, ..., 4x4]."""
    weight = weights["ecd0.0.0.weight"]
    maps = [activate(F.conv2d(picture, weight / math.sqrt(3)), weights["ecd0.0.1.bias"])]
    index = 1
    while f"ecd{index}.0.1.weight" in weights:
        weight = weights[f"ecd{index}.0.1.weight"]
        x = filtered(maps[-1], BLUR, 2, 2)
        x = F.conv2d(x, weight / math.sqrt(weight.shape[1] * 9), stride=2)
        maps.append(activate(x, weights[f"ecd{index}.0.2.bias"]))
        index += 1
    return maps


def masked_mean(maps, mask):
    """Attributes replaced by their masked mean inside the mask, which has half their resolution."""
    mask = mask.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    mean = (maps * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3))
    return mean[:, :, None, None] * mask + (1 - mask) * maps


def synthesis(weights, prefix, w_plus, maps, mask_names=None):
    """Picture and mask, or None, for w_plus (B, num_ws, w_dim) and maps from 4x4 on, or None."""
    x = weights[f"{prefix}input.input"].repeat(len(w_plus), 1, 1, 1)
    x = styled(weights, f"{prefix}conv1", x, w_plus[:, 0], maps[0] if maps else None)
    rgb = modulated(weights, f"{prefix}to_rgb1.conv", x, w_plus[:, 1], False) + weights[f"{prefix}to_rgb1.bias"]
    mask = None
    if mask_names:
        mask = torch.sigmoid(modulated(weights, f"{prefix}{mask_names[0]}.conv", x, w_plus[:, 1], False))
    level = 0
    while f"{prefix}to_rgbs.{level}.bias" in weights:
        row = 2 * level + 1
        own = maps[level + 1] if maps else None
        if mask is not None and row > 9:
            own = masked_mean(own, mask)
        x = styled(weights, f"{prefix}convs.{2 * level}", x, w_plus[:, row], own, up=True)
        x = styled(weights, f"{prefix}convs.{2 * level + 1}", x, w_plus[:, row + 1], own)
        layer = f"{prefix}to_rgbs.{level}"
        rgb = (
            modulated(weights, f"{layer}.conv", x, w_plus[:, row + 2], False)
            + weights[f"{layer}.bias"]
            + upsampled(rgb)
        )
        if mask is not None:
            raw = modulated(weights, f"{prefix}{mask_names[1]}.{level}.conv", x, w_plus[:, row + 2], False)
            mask = torch.sigmoid(raw + upsampled(mask))
        level += 1
    return rgb, mask


def repeated(w, weights, prefix):
    levels = sum(
        name.startswith(f"{prefix}to_rgbs.") and name.endswith(".bias") and "modulation" not in name for name in weights
    )
    return w[:, None].repeat(1, 2 * levels + 2, 1)


def styleswap(weights, picture, embedding, mask_names):
    """Return (image, rgb, mask or None)."""
    w = mapping(weights, "generator.", activate(*linear(weights, "final_linear.0", embedding)))
    rgb, mask = synthesis(
        weights, "generator.", repeated(w, weights, "generator."), encode(weights, picture)[::-1], mask_names
    )
    return (rgb if mask is None else rgb * mask + (1 - mask) * picture), rgb, mask


def gpen(weights, picture):
    """Return (restored picture, input of the mapping network)."""
    maps = encode(weights, picture)
    code = activate(*linear(weights, "final_linear.0", maps[-1].flatten(1)))
    w = mapping(weights, "generator.", code)
    return synthesis(weights, "generator.", repeated(w, weights, "generator."), maps[::-1])[0], code


def stylegan2(weights, z):
    """Picture without noise."""
    w = mapping(weights, "", z)
    return synthesis(weights, "", repeated(w, weights, ""), None)[0]
