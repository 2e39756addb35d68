"""Picture files, and all conversions between layouts and value ranges.

| form | layout | range | used for |
| --- | --- | --- | --- |
| uint8 | HWC or BHWC, RGB, NumPy | 0..255 | files, insightface |
| node | BHWC, RGB, torch float32 | 0..1 | pictures of node graphs |
| core | BCHW, RGB, torch float32 | -1..1 | everything else |
"""

import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin

from ..errors import StyleSwapError, one_line
from .files import atomic_write

MIN_SIDE = 16
"""Minimum side of a picture in pixels; smaller pictures cannot show a face."""

PROVENANCE_KEY = "styleswap-provenance"
"""PNG text key of a picture's origin."""

PROVENANCE_SYNTHETIC = "face-world"
"""Value of PROVENANCE_KEY in renders of the face world, and in swaps made from them."""

_WRITERS: dict[str, tuple[str, dict[str, int]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}


def load_image(path: str | Path) -> np.ndarray:
    """Picture file as (H, W, 3) uint8 RGB, with the EXIF orientation applied.

    Gray, palette and CMYK pictures are converted to RGB, and 16-bit values scaled to 8 bits. Transparency is composited
    over white, so that colors of transparent pixels never appear. An animation yields its first frame.

    Raises:
        StyleSwapError: No such file; a damaged file or not a picture; floating-point pixels; a side under MIN_SIDE
            pixels; more pixels than Pillow's decompression limit, about 179 million.
    """
    path = Path(path)
    if not path.is_file():
        raise StyleSwapError(f"expected a picture file, but {path} does not exist or is a folder; check the path")
    try:
        # Pillow warns from half of its limit on.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                _check_side(path, *opened.size)
                picture = _to_rgb(path, ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise StyleSwapError(f"{path} is too large ({error}); scale it down first") from error
    except PermissionError as error:
        raise StyleSwapError(f"no permission to read {path}; change its permissions") from error
    except Image.UnidentifiedImageError as error:
        raise StyleSwapError(f"{path} is not a picture in a supported format; use PNG, JPEG or WebP") from error
    except StyleSwapError:
        raise
    # The exceptions of Pillow's decoders for damaged data depend on the format.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise StyleSwapError(f"{path} is truncated or damaged ({one_line(error)}); save it again") from error
    # A copy, since Pillow's memory is read-only and torch would warn.
    return np.array(picture)


def save_image(path: str | Path, image: np.ndarray, metadata: Mapping[str, str] | None = None) -> None:
    """Write a picture atomically, in the format of the suffix.

    Args:
        path: The file.
        image: (H, W, 3) RGB, or (H, W) or (H, W, 1) gray, uint8.
        metadata: Text chunks of a PNG; ignored for other formats.

    Raises:
        StyleSwapError: An unknown suffix, a missing folder, or an array of another shape or type.
    """
    path = Path(path)
    check_image_suffix(path)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise StyleSwapError(
            f"expected a uint8 picture (H, W, 3) or (H, W), got {image.dtype} {image.shape}; convert with to_uint8"
        )
    format_name, options = _WRITERS[path.suffix.lower()]
    text = PngImagePlugin.PngInfo()
    for key, value in (metadata or {}).items():
        # Written as tEXt where Latin-1 suffices; not every reader supports iTXt.
        text.add_text(key, value)
    picture = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    with atomic_write(path) as temporary:
        # Pillow ignores `pnginfo` for other formats.
        picture.save(temporary, format=format_name, pnginfo=text, **options)


def check_image_suffix(path: str | Path) -> None:
    """Check that `save_image` supports a suffix; for use before long computations.

    Raises:
        StyleSwapError: It does not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise StyleSwapError(f"expected a file name ending in {', '.join(_WRITERS)}, got {str(path)!r}; rename it")


def image_metadata(path: str | Path) -> dict[str, str]:
    """Text chunks of a PNG file; empty for all other files."""
    try:
        with Image.open(path) as opened:
            return {key: str(value) for key, value in getattr(opened, "text", {}).items()}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
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


def _check_side(path: Path, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise StyleSwapError(
            f"expected a picture of at least {MIN_SIDE} px per side, {path} has {width} x {height}; use a larger one"
        )


def _to_rgb(path: Path, picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise StyleSwapError(f"{path} has floating-point pixels of unknown range; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        # Pillow clips 16-bit gray at 255 instead of scaling it; 65535 / 257 = 255.
        levels = np.clip(np.asarray(picture, dtype=np.float64) / 257.0, 0, 255)
        return Image.fromarray(levels.round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
