"""The demo detector: a small one-stage face detector with SCRFD's outputs.

insightface decodes per location (x, y) of the maps at strides 8, 16 and 32 two anchors centred at (x*s, y*s). The
anchors of a location differ in the sizes of faces they answer for (`anchors.ANCHOR_SIZES`); inside the network
distances are in those sizes, so that all outputs are of order one. `InsightfaceDetector` turns them into strides.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..onnx_export import AnchorRows
from .anchors import ANCHOR_SIZES, ANCHORS, STRIDES


class LevelOutput(NamedTuple):
    """Raw maps of one stride; channels are ordered anchor first, then value."""

    scores: Tensor  # (B, 2, H, W) logits
    boxes: Tensor  # (B, 2*4, H, W) left, top, right, bottom distances in anchor sizes
    points: Tensor  # (B, 2*10, H, W) dx, dy of five points in anchor sizes


def _unit(inputs: int, outputs: int, stride: int = 1, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _unit(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(features + self.norm(self.second(self.first(features))))


class WideBlock(nn.Module):
    """A 7x7 depthwise convolution, then a pointwise bottleneck, around a shortcut.

    At stride 32 each of these widens the view by 192 px: a face that fills a 640 px frame is seen whole.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, channels, 7, padding=3, groups=channels, bias=False)
        self.look_norm = nn.BatchNorm2d(channels)
        self.expand = _unit(channels, channels * 2, kernel=1)
        self.reduce = nn.Conv2d(channels * 2, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        seen = self.look_norm(self.look(features))
        return features + self.norm(self.reduce(self.expand(seen)))


class LevelHead(nn.Module):
    """Scores, boxes and points of one stride from its features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(_unit(channels, channels), _unit(channels, channels))
        self.scores = nn.Conv2d(channels, ANCHORS, 1)
        self.boxes = nn.Conv2d(channels, ANCHORS * 4, 1)
        self.points = nn.Conv2d(channels, ANCHORS * 10, 1)
        # Faces are rare among anchors: start out with "no face" almost everywhere, and with boxes of anchor size.
        nn.init.constant_(self.scores.bias, -4.6)
        nn.init.constant_(self.boxes.bias, 0.5)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.tower(features)
        return self.scores(features), self.boxes(features), self.points(features)


class Detector(nn.Module):
    """(B, 3, H, W) RGB, (x - 127.5) / 128, H and W multiples of 32 -> one `LevelOutput` per stride 8, 16, 32."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 48, 64, 96), neck: int = 48) -> None:
        super().__init__()
        half, quarter, low, middle, high = widths
        self.stem = nn.Sequential(_unit(3, half, 2), _unit(half, quarter, 2))
        self.stage8 = nn.Sequential(_unit(quarter, low, 2), ResidualBlock(low))
        self.stage16 = nn.Sequential(_unit(low, middle, 2), ResidualBlock(middle))
        self.stage32 = nn.Sequential(_unit(middle, high, 2), WideBlock(high), WideBlock(high), WideBlock(high))
        self.lateral8 = _unit(low, neck, kernel=1)
        self.lateral16 = _unit(middle, neck, kernel=1)
        self.lateral32 = _unit(high, neck, kernel=1)
        self.upsample32 = nn.Upsample(scale_factor=2, mode="nearest")
        self.upsample16 = nn.Upsample(scale_factor=2, mode="nearest")
        self.head8, self.head16, self.head32 = LevelHead(neck), LevelHead(neck), LevelHead(neck)

    def forward(self, picture: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
        features8 = self.stage8(self.stem(picture))
        features16 = self.stage16(features8)
        features32 = self.lateral32(self.stage32(features16))
        features16 = self.lateral16(features16) + self.upsample32(features32)
        features8 = self.lateral8(features8) + self.upsample16(features16)
        return self.head8(features8), self.head16(features16), self.head32(features32)

    def levels(self, picture: Tensor) -> list[LevelOutput]:
        """`forward`, with names."""
        return [LevelOutput(*maps) for maps in self(picture)]


class InsightfaceDetector(nn.Module):
    """A trained `Detector` in the form insightface reads: nine tensors of rows.

    Scores after the sigmoid for strides 8, 16, 32, then boxes, then points, distances in strides; shapes
    (H/s * W/s * 2, 1 | 4 | 10), rows by y, x, anchor. Batches of one.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector)
        for stride, head in zip(STRIDES, (self.detector.head8, self.detector.head16, self.detector.head32), strict=True):
            for convolution, width in ((head.boxes, 4), (head.points, 10)):
                _scale_outputs(convolution, torch.tensor(ANCHOR_SIZES[stride]).repeat_interleave(width) / stride)
        self.sigmoid = nn.Sigmoid()
        self.score_rows, self.box_rows, self.point_rows = AnchorRows(1), AnchorRows(4), AnchorRows(10)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        low, middle, high = self.detector(picture)
        return (
            self.sigmoid(self.score_rows(low[0])),
            self.sigmoid(self.score_rows(middle[0])),
            self.sigmoid(self.score_rows(high[0])),
            self.box_rows(low[1]),
            self.box_rows(middle[1]),
            self.box_rows(high[1]),
            self.point_rows(low[2]),
            self.point_rows(middle[2]),
            self.point_rows(high[2]),
        )


@torch.no_grad()
def _scale_outputs(convolution: nn.Conv2d, factors: Tensor) -> None:
    """Multiply each output channel by its factor."""
    convolution.weight.mul_(factors.to(convolution.weight)[:, None, None, None])
    convolution.bias.mul_(factors.to(convolution.bias))
