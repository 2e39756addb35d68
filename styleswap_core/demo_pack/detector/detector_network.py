"""Network of the demo detector: a small one-stage face detector with the outputs of SCRFD.

The same weights are applied to the picture and to copies of half and quarter size, each time at stride 8; in the
picture these are the strides 8, 16 and 32 that insightface expects. A face that fills a frame of 640 px is thereby
learned from smaller ones, and training needs few large pictures.

insightface decodes two anchors per location; they differ in the sizes of faces that they are responsible for
(`anchors.ANCHOR_SIZES`). The network's distances are in units of these sizes, so that all outputs are of order one.
`InsightfaceDetector` converts them to strides.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...export.onnx_writer import AnchorRows
from .anchors import ANCHOR_SIZES, ANCHORS, STRIDES, center_offset


class LevelOutput(NamedTuple):
    """Outputs of one stride; channels are ordered by anchor, then value.

    Attributes:
        scores: Logits (B, 2, H, W).
        boxes: Distances (B, 2 * 4, H, W) left, top, right, bottom, in anchor sizes.
        points: Offsets (B, 2 * 10, H, W) x, y of the five points, in anchor sizes.
    """

    scores: Tensor
    boxes: Tensor
    points: Tensor


def _unit(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them."""

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
    """Convolution that stays in float32 under autocast.

    oneDNN's bfloat16 gradient of dilated depthwise weights contains uninitialized memory (values of 1e29, seen with
    torch 2.13 on maps of 32 x 32), which turns the weights into NaN.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) of any floating type -> (B, C, H, W) float32."""
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


class WideBlock(nn.Module):
    """Dilated 7x7 depthwise convolution and pointwise bottleneck with a shortcut around them.

    At stride 8, each block widens the receptive field by 48 px times its dilation.
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
    """Face detector for pictures (B, 3, H, W), RGB normalized as (x - 127.5) / 128, H and W multiples of 32.

    Args:
        widths: Channels at strides 2, 4 and 8.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        half, quarter, channels = widths
        self.body = nn.Sequential(
            _unit(3, half, 2),
            _unit(half, quarter, 2),
            _unit(quarter, channels, 2),
            ResidualBlock(channels),
            # Together these see 288 px; the largest faces have 184 px at this scale.
            WideBlock(channels, 1),
            WideBlock(channels, 2),
            WideBlock(channels, 3),
            _unit(channels, channels),
            _unit(channels, channels),
        )
        self.scores = nn.Conv2d(channels, ANCHORS, 1)
        self.boxes = nn.Conv2d(channels, ANCHORS * 4, 1)
        self.points = nn.Conv2d(channels, ANCHORS * 10, 1)
        # Most anchors have no face: start with scores of 0.01 and with boxes of anchor size.
        nn.init.constant_(self.scores.get_parameter("bias"), -4.6)
        nn.init.constant_(self.boxes.get_parameter("bias"), 0.5)
        self.halve = nn.AvgPool2d(2)

    def features(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, C, H / s, W / s) at the strides s of 8, 16 and 32."""
        half = self.halve(picture)
        return self.body(picture), self.body(half), self.body(self.halve(half))

    def levels(self, picture: Tensor) -> list[LevelOutput]:
        """Outputs at the strides 8, 16 and 32."""
        return [LevelOutput(self.scores(seen), self.boxes(seen), self.points(seen)) for seen in self.features(picture)]


class InsightfaceDetector(nn.Module):
    """A trained `Detector` with the outputs that insightface expects, for batches of one picture.

    The nine outputs are the scores (after the sigmoid) of strides 8, 16, 32, then their boxes, then their points, with
    distances in strides. Their shapes are (H / s * W / s * 2, 1 | 4 | 10), with rows ordered by y, x, anchor.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector)
        self.boxes = nn.ModuleList(_in_strides(detector.boxes, stride, _BOX_SIGNS) for stride in STRIDES)
        self.points = nn.ModuleList(_in_strides(detector.points, stride, _POINT_SIGNS) for stride in STRIDES)
        self.sigmoid = nn.Sigmoid()
        self.score_rows, self.box_rows, self.point_rows = AnchorRows(1), AnchorRows(4), AnchorRows(10)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Scores, boxes and points of a picture (1, 3, H, W), three tensors each."""
        levels = self.detector.features(picture)
        return (
            *[self.sigmoid(self.score_rows(self.detector.scores(seen))) for seen in levels],
            *[self.box_rows(boxes(seen)) for boxes, seen in zip(self.boxes, levels, strict=True)],
            *[self.point_rows(points(seen)) for points, seen in zip(self.points, levels, strict=True)],
        )


# Change of the outputs when an anchor moves right and down: distances to left and top grow, distances to right and
# bottom and the offsets of the points shrink.
_BOX_SIGNS = (1.0, 1.0, -1.0, -1.0)
_POINT_SIGNS = (-1.0,) * 10


@torch.no_grad()
def _in_strides(convolution: nn.Conv2d, stride: int, signs: tuple[float, ...]) -> nn.Conv2d:
    """Copy of a convolution whose outputs are in strides, not anchor sizes, and relative to insightface's anchors."""
    copied = copy.deepcopy(convolution)
    factors = (torch.tensor(ANCHOR_SIZES[stride]).repeat_interleave(len(signs)) / stride).to(copied.weight)
    copied.weight.mul_(factors[:, None, None, None])
    shift = torch.tensor(signs * ANCHORS).to(copied.weight) * (center_offset(stride) / stride)
    copied.get_parameter("bias").mul_(factors).sub_(shift)
    return copied
