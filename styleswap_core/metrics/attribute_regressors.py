"""Pose, expression and gaze of a face, estimated by a small network trained on the face world.

The network serves comparisons only: it reads the target and the swapped picture in the same aligned crop, and the
distance between its two estimates is the error of the swap. The network's own error is what it measures between the
target and the exact swap, so that figures of a swapper are reported next to that ceiling.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import StyleSwapError, decoding
from ..faces.alignment import estimate_similarity, template_points, warp
from ..io.files import atomic_write, require_file
from ..io.json_text import parse_json, require_table

FORMAT = "styleswap-regressors"


@dataclass(frozen=True)
class RegressorConfig:
    """Shape of an `AttributeRegressor`.

    Attributes:
        size: Side of the aligned crop in pixels.
        template: Crop template.
        expressions: Number of expression parameters, E.
    """

    size: int = 128
    template: str = "ffhq"
    expressions: int = 6


class Estimate(NamedTuple):
    """Attributes of a batch of aligned crops.

    Attributes:
        pose: (B, 3) yaw, pitch and roll relative to the crop, in degrees.
        expression: (B, E) expression parameters of the face world.
        gaze: (B, 2) in degrees.
    """

    pose: Tensor
    expression: Tensor
    gaze: Tensor


class AttributeRegressor(nn.Module):
    """Convolutional network of about 0.35 M parameters, from aligned crops to an `Estimate`.

    The last feature map is flattened rather than averaged, since gaze and pose depend on where features are.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: RegressorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RegressorConfig()
        outputs = 3 + config.expressions + 2
        self.body = nn.Sequential(
            _conv(3, 16, 5, 2),
            _conv(16, 32, 3, 2),
            _conv(32, 32, 3, 1),
            _conv(32, 64, 3, 2),
            _conv(64, 64, 3, 1),
            _conv(64, 88, 3, 2),
            _conv(88, 88, 3, 1),
            _conv(88, 96, 3, 2),
            _conv(96, 32, 1, 1),
            nn.Flatten(),
        )
        cells = (config.size // 32) ** 2
        self.head = nn.Sequential(nn.Linear(32 * cells, 96), nn.ReLU(), nn.Linear(96, outputs))
        # Training targets are standardized, so that degrees do not outweigh expression parameters.
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def standardized(self, crops: Tensor) -> Tensor:
        """Standardized pose, expression and gaze (B, 3 + E + 2) of crops (B, 3, H, W)."""
        size = self.config.size
        if crops.shape[-2:] != (size, size):
            crops = F.interpolate(crops, (size, size), mode="bilinear", align_corners=False, antialias=True)
        return self.head(self.body(crops))

    def forward(self, crops: Tensor) -> Estimate:
        """Estimate for crops (B, 3, H, W) RGB in -1..1 of any size, aligned to the configuration's template."""
        values = self.standardized(crops).float() * self.spread + self.mean
        return Estimate(*values.split((3, self.config.expressions, 2), dim=1))


def read_attributes(regressor: AttributeRegressor, pictures: Tensor, target_points: Tensor) -> Estimate:
    """Attributes of faces, read in crops that align the points of the target with the regressor's template.

    Target and result are both cropped with the target's points, so that a difference of detected points does not count.

    Args:
        regressor: The network.
        pictures: (B, 3, H, W) RGB in -1..1, targets or results.
        target_points: (B, 5, 2) of the targets, in pixels.
    """
    size = regressor.config.size
    template = template_points(regressor.config.template, size).to(pictures.device)
    return regressor(warp(pictures, estimate_similarity(target_points, template), size))


def pose_error_deg(first: Tensor, second: Tensor) -> Tensor:
    """L2 distance (B,) of two sets of pose angles (B, 3), in degrees."""
    return (first - second).norm(dim=1)


def expression_error(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference (B,) of two sets of expression parameters (B, E), each in 0..1 or -1..1."""
    return (first - second).abs().mean(dim=1)


def gaze_error_deg(first: Tensor, second: Tensor) -> Tensor:
    """L2 distance (B,) of two sets of gaze angles (B, 2), in degrees."""
    return (first - second).norm(dim=1)


def save_regressor(path: str | Path, regressor: AttributeRegressor, metadata: dict[str, str] | None = None) -> None:
    """Write weights, in half precision, and configuration to one safetensors file, atomically."""
    tensors = {
        name: value.half() if value.is_floating_point() else value for name, value in regressor.state_dict().items()
    }
    header = {"format": FORMAT, "version": "1", "config": json.dumps(asdict(regressor.config)), **(metadata or {})}
    with atomic_write(path) as temporary:
        temporary.write_bytes(
            save({name: value.contiguous().cpu() for name, value in tensors.items()}, metadata=header)
        )


def load_regressor(path: str | Path) -> AttributeRegressor:
    """Load a file of `save_regressor`, in evaluation mode.

    Raises:
        StyleSwapError: The file is missing, damaged or of another kind.
    """
    advice = "train one with `styleswap train-regressors`"
    require_file(path, "a file of regressors")
    with decoding(f"cannot read regressors from {path}", advice), safe_open(str(path), framework="pt") as stream:
        header = stream.metadata() or {}
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not iterable
    if header.get("format") != FORMAT:
        raise StyleSwapError(f"{path}: expected a {FORMAT} file, got {header.get('format')}; {advice}")
    problem = f"{path}: configuration and weights do not fit together"
    config = require_table(parse_json(header.get("config", ""), problem, advice), problem, advice)
    with decoding(problem, advice):
        regressor = AttributeRegressor(RegressorConfig(**config))
        regressor.load_state_dict(tensors)
    return regressor.eval()


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
