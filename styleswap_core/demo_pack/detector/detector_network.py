"""The demo detector: a small one-stage face detector with SCRFD's outputs.

One network with one set of weights looks at the picture and at its copies of half and quarter size; always at its own
stride of 8, which in the picture are the strides 8, 16 and 32 that insightface reads. So a face that fills a 640 px
frame is learned from every smaller one, and trainings need few large pictures.

insightface decodes per location (x, y) two anchors; they differ in the sizes of faces they answer for
(`anchors.ANCHOR_SIZES`). Inside the network distances are in those sizes, so that all outputs are of order one.
`InsightfaceDetector` turns them into strides.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...export.onnx_writer import AnchorRows
from .anchors import ANCHOR_SIZES, ANCHORS, STRIDES, center_offset


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
        """Features (B, C, H, W) -> (B, C, H, W)."""
        return self.activation(features + self.norm(self.second(self.first(features))))


class DilatedConv2d(nn.Conv2d):
    """A convolution that stays in float32 under autocast.

    oneDNN's bfloat16 gradient of a dilated depthwise weight holds memory it never wrote (seen with torch 2.13 on
    32 x 32 maps: values of 1e29), which ends a training in NaN.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) of any floating type -> (B, C, H, W) float32."""
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


class WideBlock(nn.Module):
    """A dilated 7x7 depthwise convolution, then a pointwise bottleneck, around a shortcut.

    At stride 8 each widens the view by 48 px times its dilation.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        kind = DilatedConv2d if dilation > 1 else nn.Conv2d
        self.look = kind(channels, channels, 7, padding=3 * dilation, dilation=dilation, groups=channels, bias=False)
        self.look_norm = nn.BatchNorm2d(channels)
        self.expand = _unit(channels, channels * 2, kernel=1)
        self.reduce = nn.Conv2d(channels * 2, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) -> (B, C, H, W)."""
        seen = self.look_norm(self.look(features))
        return features + self.norm(self.reduce(self.expand(seen)))


class Detector(nn.Module):
    """(B, 3, H, W) RGB, (x - 127.5) / 128, H and W multiples of 32 -> one `LevelOutput` per stride 8, 16, 32."""

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        half, quarter, channels = widths
        self.body = nn.Sequential(
            _unit(3, half, 2),
            _unit(half, quarter, 2),
            _unit(quarter, channels, 2),
            ResidualBlock(channels),
            # The largest faces measure 184 px at this scale: together these see 288 px.
            WideBlock(channels, 1),
            WideBlock(channels, 2),
            WideBlock(channels, 3),
            _unit(channels, channels),
            _unit(channels, channels),
        )
        self.scores = nn.Conv2d(channels, ANCHORS, 1)
        self.boxes = nn.Conv2d(channels, ANCHORS * 4, 1)
        self.points = nn.Conv2d(channels, ANCHORS * 10, 1)
        # Faces are rare among anchors: start out with "no face" almost everywhere, and with boxes of anchor size.
        nn.init.constant_(self.scores.bias, -4.6)
        nn.init.constant_(self.boxes.bias, 0.5)
        self.halve = nn.AvgPool2d(2)

    def features(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is seen in the picture and in its copies of half and quarter size, (B, C, H/8, W/8) and smaller."""
        half = self.halve(picture)
        return self.body(picture), self.body(half), self.body(self.halve(half))

    def levels(self, picture: Tensor) -> list[LevelOutput]:
        """The raw maps of the strides 8, 16, 32."""
        return [LevelOutput(self.scores(seen), self.boxes(seen), self.points(seen)) for seen in self.features(picture)]


class InsightfaceDetector(nn.Module):
    """A trained `Detector` in the form insightface reads: nine tensors of rows.

    Scores after the sigmoid for strides 8, 16, 32, then boxes, then points, distances in strides; shapes
    (H/s * W/s * 2, 1 | 4 | 10), rows by y, x, anchor. Batches of one.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector)
        self.boxes = nn.ModuleList(_in_strides(detector.boxes, stride, _BOX_SIGNS) for stride in STRIDES)
        self.points = nn.ModuleList(_in_strides(detector.points, stride, _POINT_SIGNS) for stride in STRIDES)
        self.sigmoid = nn.Sigmoid()
        self.score_rows, self.box_rows, self.point_rows = AnchorRows(1), AnchorRows(4), AnchorRows(10)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Picture (1, 3, H, W) as `Detector` takes it -> three tensors of scores, three of boxes, three of points, by stride."""
        levels = self.detector.features(picture)
        return (
            *[self.sigmoid(self.score_rows(self.detector.scores(seen))) for seen in levels],
            *[self.box_rows(boxes(seen)) for boxes, seen in zip(self.boxes, levels, strict=True)],
            *[self.point_rows(points(seen)) for points, seen in zip(self.points, levels, strict=True)],
        )


# How the outputs change when the anchor moves right and down: distances to left and top grow, those to right and
# bottom shrink, and so do the offsets of the points.
_BOX_SIGNS = (1.0, 1.0, -1.0, -1.0)
_POINT_SIGNS = (-1.0,) * 10


@torch.no_grad()
def _in_strides(convolution: nn.Conv2d, stride: int, signs: tuple[float, ...]) -> nn.Conv2d:
    """A copy whose outputs are in strides instead of anchor sizes, and from insightface's anchor centers."""
    copied = copy.deepcopy(convolution)
    factors = (torch.tensor(ANCHOR_SIZES[stride]).repeat_interleave(len(signs)) / stride).to(copied.weight)
    copied.weight.mul_(factors[:, None, None, None])
    moved = torch.tensor(signs * ANCHORS).to(copied.weight) * (center_offset(stride) / stride)
    copied.bias.mul_(factors).sub_(moved)
    return copied
