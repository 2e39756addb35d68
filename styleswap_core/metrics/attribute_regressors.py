"""Pose, expression and gaze read from a picture by a small network trained on the face world.

The network only compares: it reads the target and the swapped picture through the same window, and the distance of
its two answers is the error (method.md, "What is measured": swapped against target). What it answers on the exact
swap states its own error, so a swapper's figure stands beside that.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import StyleSwapError
from ..faces.alignment import estimate_similarity, template_points, warp
from ..io.files import atomic_write

FORMAT = "styleswap-regressors"


@dataclass(frozen=True)
class RegressorConfig:
    """size: side of the crop; template: its alignment; expressions: length of the expression vector."""

    size: int = 128
    template: str = "ffhq"
    expressions: int = 6


class Estimate(NamedTuple):
    """pose (B,3) yaw, pitch, roll within the crop, deg; expression (B,E), the world's units; gaze (B,2) deg."""

    pose: Tensor
    expression: Tensor
    gaze: Tensor


class AttributeRegressor(nn.Module):
    """Aligned crops (B,3,S,S) RGB in -1..1, S any size, to an `Estimate`. About 0.35 M parameters.

    The last map is flattened and not averaged: where a feature lies is what gaze and pose are made of.
    """

    def __init__(self, config: RegressorConfig = RegressorConfig()):
        super().__init__()
        self.config = config
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
        # Outputs are learned in units of their spread, so that degrees do not outweigh expression parameters.
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def standardized(self, crops: Tensor) -> Tensor:
        """(B, 3 + E + 2): pose, expression and gaze, less their mean, in units of their spread."""
        size = self.config.size
        if crops.shape[-2:] != (size, size):
            crops = F.interpolate(crops, (size, size), mode="bilinear", align_corners=False, antialias=True)
        return self.head(self.body(crops))

    def forward(self, crops: Tensor) -> Estimate:
        """Crops (B, 3, H, W) RGB -1..1, aligned to the config's template -> degrees and parameters, see `Estimate`."""
        values = self.standardized(crops).float() * self.spread + self.mean
        return Estimate(*values.split((3, self.config.expressions, 2), dim=1))


def read_attributes(regressor: AttributeRegressor, pictures: Tensor, target_points: Tensor) -> Estimate:
    """What the regressor sees in pictures (B,3,H,W) in -1..1, always through the window that aligns the target's points
    (B,5,2) px, so that target and result are read alike.
    """
    size = regressor.config.size
    template = template_points(regressor.config.template, size).to(pictures.device)
    return regressor(warp(pictures, estimate_similarity(target_points, template), size))


def pose_error_deg(first: Tensor, second: Tensor) -> Tensor:
    """L2 distance of two sets of pose angles (B,3), degrees: (B,)."""
    return (first - second).norm(dim=1)


def expression_error(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of two sets of expression parameters (B,E), whose ranges are 0..1 or -1..1: (B,)."""
    return (first - second).abs().mean(dim=1)


def gaze_error_deg(first: Tensor, second: Tensor) -> Tensor:
    """L2 distance of two sets of gaze angles (B,2), degrees: (B,)."""
    return (first - second).norm(dim=1)


def save_regressor(path: str | Path, regressor: AttributeRegressor, metadata: dict[str, str] | None = None) -> None:
    """Write weights and configuration as one safetensors file, in half precision, atomically."""
    tensors = {
        name: value.half() if value.is_floating_point() else value for name, value in regressor.state_dict().items()
    }
    header = {"format": FORMAT, "version": "1", "config": json.dumps(asdict(regressor.config)), **(metadata or {})}
    with atomic_write(path) as temporary:
        temporary.write_bytes(
            save({name: value.contiguous().cpu() for name, value in tensors.items()}, metadata=header)
        )


def load_regressor(path: str | Path) -> AttributeRegressor:
    """Read what `save_regressor` wrote, ready to evaluate.

    Raises:
        StyleSwapError: the file is missing, damaged or of another kind.
    """
    advice = "train one with `styleswap train-regressors`"
    try:
        with safe_open(str(path), framework="pt") as stream:
            header = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not iterable
    except (OSError, SafetensorError) as error:
        raise StyleSwapError(f"{path} is not a readable regressor file; {advice}") from error
    if header.get("format") != FORMAT:
        raise StyleSwapError(f"{path}: expected a {FORMAT} file, got {header.get('format')}; {advice}")
    regressor = AttributeRegressor(RegressorConfig(**json.loads(header["config"])))
    regressor.load_state_dict(tensors)
    return regressor.eval()


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
