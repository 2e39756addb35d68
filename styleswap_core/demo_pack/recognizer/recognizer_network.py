"""Networks of the two face recognizers: that of the demo pack, and the judge, which is used for evaluation only.

Both map crops (B, 3, 112, 112), RGB in -1..1, to embeddings (B, 512) that are not normalized. They consist of operators
that occur in insightface's models, so whatever loads those loads the exported files.
"""

from torch import Tensor, nn

EMBEDDING_SIZE = 512
CROP_SIZE = 112


class ConvUnit(nn.Sequential):
    """Convolution, batch normalization, PReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
        )


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions with a shortcut around them; the last is linear, as in ArcFace's residual networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        # The unit starts as the identity, with which short trainings converge faster.
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) of features (B, C, H, W)."""
        return features + self.norm(self.second(self.first(features)))


class ResidualRecognizer(nn.Module):
    """The demo recognizer: a small residual network with the head of MobileFaceNet.

    The head is a depthwise 7x7 convolution, which weights every location of the 7x7 map separately, rather than an
    average: in an aligned crop, the position of a feature is part of the identity.

    Args:
        widths: Channels of the maps of 56, 28, 14 and 7 px.
        head: Channels of the head.
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
        """Embeddings (B, 512), not normalized, of crops (B, 3, 112, 112), RGB in -1..1."""
        pooled = self.pool_norm(self.pool(self.body(crop)))
        return self.embedding_norm(self.project(self.flatten(pooled)))


class PlainUnit(nn.Sequential):
    """3x3 convolution, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class PlainRecognizer(nn.Module):
    """The judge: plain convolutions without shortcuts, as in VGG, and one linear layer on the flattened map.

    Its architecture differs from that of the demo recognizer, so that what deceives one need not deceive the other.
    (Depthwise-separable convolutions reached only 94.4 % verification in the same training time.)

    Args:
        widths: Channels of the maps of 56, 28, 14 and 7 px.
        head: Channels of the last map.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (24, 48, 96, 160), head: int = 20) -> None:
        super().__init__()
        stem, low, middle, high = widths
        self.stem = nn.Conv2d(3, stem, 5, 2, 2, bias=False)  # 56
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stem_activation = nn.ReLU()
        self.body = nn.Sequential(
            PlainUnit(stem, low, stride=2),  # 28
            PlainUnit(low, low),
            PlainUnit(low, middle, stride=2),  # 14
            PlainUnit(middle, middle),
            PlainUnit(middle, high, stride=2),  # 7
            PlainUnit(high, high),
            nn.Conv2d(high, head, 1, bias=False),
            nn.BatchNorm2d(head),
            nn.ReLU(),
        )
        self.flatten = nn.Flatten()
        self.project = nn.Linear(head * 7 * 7, EMBEDDING_SIZE, bias=False)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, crop: Tensor) -> Tensor:
        """Embeddings (B, 512), not normalized, of crops (B, 3, 112, 112), RGB in -1..1."""
        features = self.body(self.stem_activation(self.stem_norm(self.stem(crop))))
        return self.embedding_norm(self.project(self.flatten(features)))
