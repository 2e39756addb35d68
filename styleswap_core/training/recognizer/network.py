"""The two face recognisers: the demo pack's own, and a differently built one that only judges.

Both map (B, 3, 112, 112), RGB in -1..1, to (B, 512) embeddings that are not normalised. Only operators that
insightface's models use occur, so any loader of those reads the exported files.
"""

from torch import Tensor, nn

EMBEDDING_SIZE = 512
CROP_SIZE = 112


class ConvUnit(nn.Sequential):
    """3x3 convolution, batch normalisation, activation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
        )


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions around a shortcut; the last one is linear, as in ArcFace's residual networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        # The unit starts as the identity: short trainings settle faster.
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.norm(self.second(self.first(features)))


class ResidualRecognizer(nn.Module):
    """The demo recogniser: a small residual network with MobileFaceNet's head.

    The head weighs every place of the 7x7 map on its own (a depthwise 7x7 convolution) instead of averaging:
    in an aligned crop, where a feature lies is part of who it is.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (24, 32, 80, 144), head: int = 256) -> None:
        super().__init__()
        stem, low, middle, high = widths
        self.body = nn.Sequential(
            ConvUnit(3, stem, stride=2),  # 56
            ConvUnit(stem, low, stride=2),  # 28
            ResidualUnit(low),
            ConvUnit(low, middle, stride=2),  # 14
            ResidualUnit(middle),
            ConvUnit(middle, high, stride=2),  # 7
            ResidualUnit(high),
            ConvUnit(high, head, kernel=1),
        )
        self.pool = nn.Conv2d(head, head, 7, groups=head, bias=False)
        self.pool_norm = nn.BatchNorm2d(head)
        self.flatten = nn.Flatten()
        self.project = nn.Linear(head, EMBEDDING_SIZE, bias=False)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, crop: Tensor) -> Tensor:
        pooled = self.pool_norm(self.pool(self.body(crop)))
        return self.embedding_norm(self.project(self.flatten(pooled)))


class SeparableUnit(nn.Module):
    """Depthwise 3x3 then pointwise convolution, each with normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.depthwise_activation = nn.ReLU()
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outputs)
        self.pointwise_activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        features = self.depthwise_activation(self.depthwise_norm(self.depthwise(features)))
        return self.pointwise_activation(self.pointwise_norm(self.pointwise(features)))


class SeparableRecognizer(nn.Module):
    """The judge: depthwise-separable units without shortcuts, and one linear layer over the flattened map.

    It shares no part of its form with the demo recogniser, so that what fools one need not fool the other.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (32, 64, 128, 224), head: int = 24) -> None:
        super().__init__()
        stem, low, middle, high = widths
        self.stem = nn.Conv2d(3, stem, 5, 2, 2, bias=False)  # 56
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stem_activation = nn.ReLU()
        self.body = nn.Sequential(
            SeparableUnit(stem, low, stride=2),  # 28
            SeparableUnit(low, low),
            SeparableUnit(low, middle, stride=2),  # 14
            SeparableUnit(middle, middle),
            SeparableUnit(middle, middle),
            SeparableUnit(middle, high, stride=2),  # 7
            SeparableUnit(high, high),
            SeparableUnit(high, head),
        )
        self.flatten = nn.Flatten()
        self.project = nn.Linear(head * 7 * 7, EMBEDDING_SIZE, bias=False)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, crop: Tensor) -> Tensor:
        features = self.body(self.stem_activation(self.stem_norm(self.stem(crop))))
        return self.embedding_norm(self.project(self.flatten(features)))
