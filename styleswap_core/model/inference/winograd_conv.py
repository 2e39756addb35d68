"""3x3 convolution in a quarter of the multiplications, by Winograd's algorithm.

A tile of 6 x 6 input pixels is transformed, multiplied with the transformed weight element by element over all
channels, and transformed back to 4 x 4 output pixels: F(4x4, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks" (CVPR 2016), section 4. The products are 36 matrix products, tiles by channels.

The transforms cost time that does not depend on the number of output channels, so it pays from some number of channels
on. Results differ from those of a direct convolution by about 1e-5 of the largest value.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers import SLOPE

_OUT, _IN = 4, 6
_BORDER = 1
# B^T, G and A^T of the paper (A.4), for the points 0, 1, -1, 2, -2 and infinity.
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

_MIN_CHANNELS = {"AVX512": 128}
_MIN_CHANNELS_ELSEWHERE = 64
"""Least number of input and output channels; more where the direct convolution is faster relative to memory."""
_MIN_SIDE = 16
"""Smallest side of the maps; below, reading the transformed weight, four times as large, takes longest."""
_BLOCK_TILES = 128
"""Tiles that are transformed and multiplied together: enough for the matrix products, few enough for the cache."""


def suits_winograd(weight: Tensor, input_size: tuple[int, ...], stride: int, padding: int) -> bool:
    """Whether this is the faster way on a CPU for a convolution.

    Args:
        weight: (out, in / groups, k, k).
        input_size: (B, in, H, W).
        stride: Stride of the convolution.
        padding: Its padding.
    """
    out_channels, in_channels, *kernel = weight.shape
    least = _MIN_CHANNELS.get(torch.backends.cpu.get_cpu_capability(), _MIN_CHANNELS_ELSEWHERE)
    return (
        (weight.dtype, kernel, stride, padding) == (torch.float32, [3, 3], 1, _BORDER)
        and in_channels == input_size[1]
        and min(in_channels, out_channels) >= least
        and min(input_size[2:]) >= _MIN_SIDE
    )


class WinogradConv:
    """(B, in, H, W) -> (B, out, H, W): convolution with zeros beyond the border, bias, leaky ReLU if `activate`.

    Attributes:
        weight: (36, in, out), transformed.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activate: bool) -> None:
        """Transform a weight.

        Args:
            weight: (out, in, 3, 3) float32.
            bias: (out,).
            activate: Whether a leaky ReLU follows.
        """
        of_weight = torch.tensor(_WEIGHT, dtype=torch.float64)
        transformed = torch.einsum("ai,ocij,bj->abco", of_weight, weight.double(), of_weight)
        self.weight = transformed.reshape(_IN * _IN, *transformed.shape[2:]).float().contiguous()
        self.bias, self.activate = bias, activate
        # Both axes of a tile in one matrix product.
        of_input, of_output = (torch.tensor(rows, dtype=torch.float32) for rows in (_INPUT, _OUTPUT))
        self._to_products, self._from_products = torch.kron(of_input, of_input), torch.kron(of_output, of_output)

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Output in channels_last for x (B, in, H, W); `onto` (B, out, H, W) is added before the activation."""
        batch, _, height, width = x.shape
        down, across = -(-height // _OUT), -(-width // _OUT)
        right, bottom = across * _OUT - width + _BORDER, down * _OUT - height + _BORDER
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, _BORDER, right, _BORDER, bottom)).contiguous()
        out = x.new_empty(batch, down, _OUT, across, _OUT, self.weight.shape[2])
        rows = min(down, max(1, _BLOCK_TILES // across))
        pictures = max(1, _BLOCK_TILES // (down * across))
        activate = self.activate and onto is None
        for first in range(0, batch, pictures):
            for row in range(0, down, rows):
                block = out[first : first + pictures, row : row + rows]
                self._convolve_tiles(padded[first : first + pictures, row * _OUT :], block, activate)
        maps = out.view(batch, down * _OUT, across * _OUT, -1)[:, :height, :width].permute(0, 3, 1, 2)
        if onto is None:
            return maps
        maps = onto.add_(maps)
        return F.leaky_relu_(maps, SLOPE) if self.activate else maps

    def _convolve_tiles(self, padded: Tensor, out: Tensor, activate: bool) -> None:
        """Fill out (b, rows, 4, columns, 4, out) from the upper left part of padded (b, h, w, in)."""
        pictures, rows, _, across, _, _ = out.shape
        _, channels, out_channels = self.weight.shape
        of_picture, of_row, of_pixel, of_channel = padded.stride()
        tiles = padded.as_strided(
            (_IN, _IN, pictures, rows, across, channels),
            (of_row, of_pixel, of_picture, _OUT * of_row, _OUT * of_pixel, of_channel),
        )
        points = self._to_products @ tiles.reshape(_IN * _IN, -1)
        products = torch.bmm(points.view(_IN * _IN, -1, channels), self.weight)
        result = (self._from_products @ products.view(_IN * _IN, -1)).view(-1, out_channels)
        if self.bias is not None:
            result += self.bias
        if activate:
            F.leaky_relu_(result, SLOPE)
        out.copy_(result.view(_OUT, _OUT, pictures, rows, across, out_channels).permute(2, 3, 0, 4, 1, 5))
