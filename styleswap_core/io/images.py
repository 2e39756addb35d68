"""Picture files, and all conversions between layouts and value ranges.

| form | layout | range | used for |
| --- | --- | --- | --- |
| uint8 | HWC or BHWC, RGB, NumPy | 0..255 | files, insightface |
| node | BHWC, RGB, torch float32 | 0..1 | pictures of node graphs |
| core | BCHW, RGB, torch float32 | -1..1 | everything else |
"""

from pathlib import Path

import numpy as np
import torch

from ..errors import StyleSwapError
from .picture_file import MIN_SIDE as MIN_SIDE
from .picture_file import read_picture, read_texts
from .picture_writing import check_image_suffix as check_image_suffix
from .picture_writing import save_image as save_image

PROVENANCE_KEY = "styleswap-provenance"
"""PNG text key of a picture's origin."""

PROVENANCE_SYNTHETIC = "face-world"
"""Value of PROVENANCE_KEY in renders of the face world, and in swaps made from them."""


def load_image(path: str | Path) -> np.ndarray:
    """Picture file as (H, W, 3) uint8 RGB, with the EXIF orientation applied.

    Gray, palette and CMYK pictures are converted to RGB, color profiles to sRGB, and samples scaled to 8 bits.
    Transparency is composited over white, so that colors of transparent pixels never appear. An animation yields its
    first frame.

    Raises:
        StyleSwapError: As for `picture_file.read_picture`.
    """
    return read_picture(path).seen


def load_mask(path: str | Path) -> torch.Tensor:
    """Picture file as a mask (h, w) float, 0..1, of its brightness.

    Raises:
        StyleSwapError: As for `picture_file.read_picture`.
    """
    return torch.from_numpy(load_image(path)).float().mean(2) / 255


def image_metadata(path: str | Path) -> dict[str, str]:
    """Text chunks of a PNG file; empty for all other files."""
    try:
        return read_texts(path)
    except StyleSwapError:
        return {}


def from_uint8(image: np.ndarray | torch.Tensor) -> torch.Tensor:
    """(H, W, 3) or (B, H, W, 3) uint8 -> (B, 3, H, W) float32, -1..1.

    Raises:
        StyleSwapError: Another type or shape.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(image)) if isinstance(image, np.ndarray) else image
    if tensor.dtype != torch.uint8 or tensor.ndim not in (3, 4) or tensor.shape[-1] != 3:
        raise StyleSwapError(
            f"expected uint8 of shape (H, W, 3) or (B, H, W, 3), got {tensor.dtype} {tuple(tensor.shape)}"
        )
    if tensor.ndim == 3:
        tensor = tensor[None]
    # (B, H, W, 3) -> (B, 3, H, W) in one copy, then in place, since it may be a large frame.
    planes = tensor.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes.div_(127.5).sub_(1.0)


def to_uint8(image: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) float, clipped to -1..1 -> (B, H, W, 3) uint8; the exact inverse of `from_uint8`.

    Raises:
        StyleSwapError: Another shape.
    """
    _check_bchw(image)
    levels = image.detach().float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def bhwc_to_bchw(image: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3 or 4) float, 0..1 -> (B, 3, H, W) float32, -1..1, composited over white by the alpha channel, if any.

    Raises:
        StyleSwapError: Another shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise StyleSwapError(f"expected a picture of shape (B, H, W, 3 or 4), got {tuple(image.shape)}")
    return over_white(image.to(torch.float32)).permute(0, 3, 1, 2).mul(2.0).sub(1.0).contiguous()


def over_white(image: torch.Tensor) -> torch.Tensor:
    """(..., 3 or 4) float, 0..1 -> (..., 3), composited over white; without an alpha channel the input itself."""
    if image.shape[-1] == 3:
        return image
    color, alpha = image[..., :3], image[..., 3:]
    return color * alpha + (1.0 - alpha)


def bchw_to_bhwc(image: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) float, clipped to -1..1 -> (B, H, W, 3) float32, 0..1.

    Raises:
        StyleSwapError: Another shape.
    """
    _check_bchw(image)
    return image.to(torch.float32).add(1.0).mul(0.5).clamp(0.0, 1.0).permute(0, 2, 3, 1).contiguous()


def repair(frames: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Pictures or masks (B, ...) as float32 on the CPU, clipped to 0..1 and with 0 for NaN, and the changed rows."""
    frames = frames.detach().to("cpu", torch.float32)
    # aminmax propagates NaN, which compares false.
    ends = [frame.aminmax() if frame.numel() else (0.0, 1.0) for frame in frames]
    broken = [row for row, (low, high) in enumerate(ends) if not (low >= 0 and high <= 1)]
    if broken:
        frames = torch.nan_to_num(frames, nan=0.0, posinf=1.0, neginf=0.0).clamp(0.0, 1.0)
    return frames, broken


def _check_bchw(image: torch.Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3:
        raise StyleSwapError(f"expected a picture of shape (B, 3, H, W), got {tuple(image.shape)}")
