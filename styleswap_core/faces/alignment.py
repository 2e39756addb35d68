"""Face alignment: from five facial points to an aligned crop.

Conventions of this module:

- Points are (x, y) in continuous pixels: the center of the first pixel is (0.5, 0.5), and the picture spans 0..width
  and 0..height (`align_corners=False`). insightface and OpenCV place that center at (0, 0); `recognizer_crop` alone
  follows them, and shifts by half a pixel.
- A crop template holds the five points as shares of the crop's side, in continuous pixels. `NAME@SIZE` is the template
  as other programs apply it to a crop of SIZE pixels with OpenCV, where the center of the first pixel is (0, 0): half
  a pixel of that crop further right and down (`template_points`).
- The five points are left eye, right eye, nose tip, left mouth corner and right mouth corner, with left and right as
  seen in the picture.
- `matrix` (B, 2, 3) maps picture coordinates to crop coordinates.
- Pictures are (B, C, H, W) float of any range, in `recognizer_crop` -1..1.
"""

import math

import torch
import torch.nn.functional as F

from ..devices import grid_sample
from ..errors import StyleSwapError

# insightface's ArcFace template for a 112 x 112 crop.
_ARCFACE_112_PX = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
# facexlib's FFHQ template for a 512 x 512 crop.
_FFHQ_512_PX = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)

TEMPLATES: dict[str, tuple[tuple[float, float], ...]] = {
    "ffhq": tuple((x / 512, y / 512) for x, y in _FFHQ_512_PX),
    "gpen": (
        (0.394611, 0.474383),
        (0.604356, 0.473223),
        (0.500150, 0.593670),
        (0.413984, 0.716461),
        (0.587678, 0.715501),
    ),
    "arcface_112": tuple((x / 112, y / 112) for x, y in _ARCFACE_112_PX),
    "arcface_128": tuple(((x + 8) / 128, y / 128) for x, y in _ARCFACE_112_PX),
    # Those below are used by swapping networks of other programs, as `NAME@SIZE`; the values are those of facefusion.
    "arcface_112_v1": (
        (0.35473214, 0.45658929),
        (0.64526786, 0.45658929),
        (0.5, 0.61154464),
        (0.37913393, 0.776875),
        (0.62086607, 0.776875),
    ),
    "arcface_112_v2": (
        (0.34191607, 0.46157411),
        (0.65653393, 0.45983393),
        (0.50022500, 0.64050536),
        (0.37097589, 0.82469196),
        (0.63151696, 0.82325089),
    ),
    "ffhq_512": (
        (0.37691676, 0.46864664),
        (0.62285697, 0.46912813),
        (0.50123859, 0.61331904),
        (0.39308822, 0.725411),
        (0.61150205, 0.72490465),
    ),
    "dfl_whole_face": (
        (0.35342266, 0.39285716),
        (0.62797622, 0.39285716),
        (0.48660713, 0.5401786),
        (0.38839287, 0.68750011),
        (0.59821427, 0.68750011),
    ),
    "mtcnn_512": (
        (0.36562865, 0.46733799),
        (0.63305391, 0.46585885),
        (0.50019127, 0.61942959),
        (0.39032951, 0.77598822),
        (0.61178945, 0.77476328),
    ),
}
"""Crop templates: five (x, y) as fractions of the crop's side, by name."""

RECOGNIZER_SIZE = 112
# Maximum number of points sampled at once on a CPU, so that the sampling grid stays in its cache.
_MAX_GRID_POINTS = 2**18


def template_points(name: str, size: int) -> torch.Tensor:
    """The five points of a template in a crop of size x size pixels, (5, 2) float32.

    Args:
        name: Key of TEMPLATES, or `NAME@SIZE` for a network that other programs feed with crops of SIZE pixels, cut
            with OpenCV. Its points are NAME's plus half a pixel of a crop of SIZE, whatever the size of this crop.
        size: Side of the crop in pixels.

    Raises:
        StyleSwapError: An unknown template.
    """
    base, marked, native = name.partition("@")
    if base not in TEMPLATES or (marked and not (native.isdecimal() and int(native))):
        raise StyleSwapError(f"expected a crop template out of {', '.join(sorted(TEMPLATES))}, got {name!r}")
    points = torch.tensor(TEMPLATES[base], dtype=torch.float32) * size
    return points + 0.5 * size / int(native) if marked else points


def opencv_template(name: str, size: int) -> str:
    """Name of a template as other programs apply it, with OpenCV, to crops of `size` pixels; see `template_points`."""
    return f"{name}@{size}"


def estimate_similarity(points: torch.Tensor, template_px: torch.Tensor) -> torch.Tensor:
    """Least-squares similarity transform of `points` onto `template_px`.

    Umeyama's problem (PAMI 1991), which has a closed form in the plane without reflections: with the centered points
    as complex numbers p and q, rotation and scale are sum(conj(p) q) / sum(|p|^2).

    Args:
        points: (B, N, 2) picture coordinates.
        template_px: (N, 2) or (B, N, 2) crop coordinates.

    Returns:
        (B, 2, 3), picture -> crop.

    Raises:
        StyleSwapError: Other shapes, points that are not finite, or points that all coincide.
    """
    if points.ndim != 3 or points.shape[-1] != 2 or template_px.shape[-2:] != points.shape[-2:]:
        raise StyleSwapError(
            f"expected points (B, N, 2) and a template (N, 2), got {tuple(points.shape)} and {tuple(template_px.shape)}"
        )
    template_px = template_px.to(points).expand_as(points)
    center, template_center = points.mean(1), template_px.mean(1)  # (B, 2)
    p, q = points - center[:, None], template_px - template_center[:, None]  # (B, N, 2)
    spread = p.square().sum((1, 2))  # (B,)
    # `not all >` instead of `any <=`, which would accept NaN.
    if not bool((spread > 1e-6).all()) or not bool(torch.isfinite(spread).all()):
        raise StyleSwapError("expected distinct, finite face points, got points that coincide or are not finite")
    cosine = (p * q).sum((1, 2)) / spread
    sine = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    linear = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], 1)  # (B, 2, 2)
    shift = template_center - (linear @ center[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], 2)


def invert_affine(matrix: torch.Tensor) -> torch.Tensor:
    """Inverse of affine maps (B, 2, 3)."""
    (a, b, c), (d, e, f) = matrix[:, 0].unbind(-1), matrix[:, 1].unbind(-1)
    determinant = a * e - b * d
    rows = [[e, -b, b * f - c * e], [-d, a, c * d - a * f]]
    return torch.stack([torch.stack(row, -1) for row in rows], 1) / determinant[:, None, None]


def transform_points(matrix: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (B, N, 2) mapped by matrices (B, 2, 3)."""
    return points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]


def shift_origin(matrix: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
    """Matrices (B, 2, 3) for the part of each picture that starts at pixel `origin` (B, 2), x and y."""
    shift = matrix[:, :, 2] + (matrix[:, :, :2] @ origin.to(matrix)[..., None])[..., 0]
    return torch.cat([matrix[:, :, :2], shift[..., None]], 2)


def eye_mouth_distance(points: torch.Tensor) -> torch.Tensor:
    """Distances (...) from the midpoint of the eyes to that of the mouth corners, for points (..., 5, 2)."""
    return (points[..., 0:2, :].mean(-2) - points[..., 3:5, :].mean(-2)).norm(dim=-1)


def matrix_scale(matrix: torch.Tensor) -> torch.Tensor:
    """Scale of each matrix (B, 2, 3) in crop pixels per picture pixel, (B,)."""
    linear = matrix[:, :, :2]
    return (linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]).abs().sqrt()


def warp(
    image: torch.Tensor,
    matrix: torch.Tensor,
    size: int | tuple[int, int],
    antialias: bool = True,
    padding: str = "reflection",
    mode: str = "bilinear",
) -> torch.Tensor:
    """Resample pictures into crops; differentiable.

    Args:
        image: (B, C, H, W).
        matrix: (B, 2, 3), picture -> crop, on the device of the pictures or on the CPU, from which its scale is known
            without waiting for the device.
        size: Side of the crop in pixels, or (height, width).
        antialias: Average over source pixels where the crop is smaller than its part of the picture.
        padding: Values beyond the picture: "reflection", "border" (the edge repeated) or "zeros".
        mode: "bilinear", or "bicubic", which is sharper when enlarging and may overshoot the range.

    Returns:
        (B, C, height, width) of the image's type.

    Raises:
        StyleSwapError: Other shapes.
    """
    if image.ndim != 4 or matrix.shape != (image.shape[0], 2, 3):
        raise StyleSwapError(
            f"expected a picture (B, C, H, W) and a matrix (B, 2, 3), got {tuple(image.shape)} and "
            f"{tuple(matrix.shape)}"
        )
    size = (size, size) if isinstance(size, int) else size
    if not antialias:
        return _sample(image, matrix, size, padding, mode, oversample=1)
    shrink = [1.0 / max(scale, 1e-6) for scale in matrix_scale(matrix.detach()).tolist()]
    factors = [max(1, math.floor(value + 1e-4)) for value in shrink]
    oversample = [2 if value / factor > 1.01 else 1 for value, factor in zip(shrink, factors, strict=True)]
    kinds = list(zip(factors, oversample, strict=True))
    if len(set(kinds)) == 1:
        return _warp_reduced(image, matrix, size, padding, mode, *kinds[0])
    # Faces of one batch may need different prefilters.
    rows = [
        _warp_reduced(image[i : i + 1], matrix[i : i + 1], size, padding, mode, *kind) for i, kind in enumerate(kinds)
    ]
    return torch.cat(rows)


def _warp_reduced(
    image: torch.Tensor,
    matrix: torch.Tensor,
    size: tuple[int, int],
    padding: str,
    mode: str,
    factor: int,
    oversample: int,
) -> torch.Tensor:
    """Sample after averaging blocks of factor x factor pixels, so that no pixel is skipped."""
    if factor > 1:
        bottom, right = -image.shape[2] % factor, -image.shape[3] % factor
        if bottom or right:
            image = F.pad(image, (0, right, 0, bottom), mode="constant" if padding == "zeros" else "replicate")
        image = _block_means(image, factor)
        # Continuous coordinates scale by 1 / factor without a half-pixel term.
        matrix = torch.cat([matrix[:, :, :2] * factor, matrix[:, :, 2:]], 2)
    return _sample(image, matrix, size, padding, mode, oversample)


def _sample(
    image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], padding: str, mode: str, oversample: int
) -> torch.Tensor:
    height, width = size
    to_picture = invert_affine(matrix).to(image.device)
    # grid_sample expects -1..1. With the matrix scaled to that range, and the terms of columns and rows computed apart,
    # only their sum takes a pass over the whole grid.
    dtype, device = matrix.dtype, image.device
    unit = (2.0 / torch.tensor([image.shape[3], image.shape[2]], dtype=dtype)).to(device)
    linear = to_picture[:, None, None, :, :2] * unit[:, None]  # (B, 1, 1, 2, 2)
    x, y = (
        (torch.arange(side * oversample, dtype=dtype, device=device) + 0.5) / oversample for side in (width, height)
    )
    across = linear[..., 0] * x[:, None]  # (B, 1, w, 2)
    down = linear[..., 1] * y[:, None, None] + (to_picture[:, None, None, :, 2] * unit - 1.0)  # (B, h, 1, 2)
    bands = []
    for part in down.split(_rows_at_once(image, len(x), len(y), oversample), 1):
        grid = (across + part).to(image.dtype)  # (B, rows, w, 2)
        band = grid_sample(image, grid, mode, padding)
        bands.append(_block_means(band, oversample) if oversample > 1 else band)
    return bands[0] if len(bands) == 1 else torch.cat(bands, 2)


def _rows_at_once(image: torch.Tensor, width: int, height: int, multiple: int) -> int:
    """Number of grid rows to sample at once, a multiple of `multiple`.

    On a CPU so few that grid and samples stay in its cache: allocating memory for the whole batch takes as long as
    sampling it.
    """
    if image.device.type != "cpu":
        return height
    return max(1, _MAX_GRID_POINTS // (len(image) * width * multiple)) * multiple


def _block_means(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Average over blocks, (B, C, H, W) -> (B, C, H / factor, W / factor) without remainder.

    Sums of strided slices are several times as fast on a CPU as `avg_pool2d`.
    """
    rows = sum(image[:, :, start::factor] for start in range(1, factor))
    rows = rows + image[:, :, ::factor]
    columns = sum(rows[..., start::factor] for start in range(1, factor))
    return (columns + rows[..., ::factor]) * (1.0 / factor**2)


def crop_box(
    matrix: torch.Tensor,
    crop_size: int,
    picture_size: tuple[int, int],
    margin: int = 0,
    part: tuple[int, int, int, int] | None = None,
) -> torch.Tensor:
    """Axis-aligned boxes around crops, within their pictures and all of one size, so that they can be stacked.

    Args:
        matrix: (B, 2, 3), picture -> crop.
        crop_size: Side of the crop in pixels.
        picture_size: (height, width).
        margin: Picture pixels to add on every side.
        part: x0, y0, x1, y1 of the relevant part of the crop; by default all of it.

    Returns:
        (B, 4) int64 on the CPU: x0, y0, x1, y1, the last two exclusive. Boxes that would leave the picture are moved
        inward.
    """
    x0, y0, x1, y1 = (0, 0, crop_size, crop_size) if part is None else part
    corners = torch.tensor([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]).to(matrix).expand(len(matrix), 4, 2)
    corners = transform_points(invert_affine(matrix), corners).detach().cpu()
    limit = torch.tensor([picture_size[1], picture_size[0]])
    low = (corners.amin(1).floor().long() - margin).clamp(min=0).minimum(limit - 1)
    high = (corners.amax(1).ceil().long() + margin).clamp(min=1).minimum(limit)
    extent = (high - low).clamp(min=1).amax(0)  # (2,)
    low = low.minimum(limit - extent)
    return torch.cat([low, low + extent], 1)


def recognizer_points(size: int = RECOGNIZER_SIZE) -> torch.Tensor:
    """Template of insightface's recognizers, (5, 2) float32, in pixels whose centers are integers.

    Raises:
        StyleSwapError: A size that is a multiple of neither 112 nor 128.
    """
    template = torch.tensor(_ARCFACE_112_PX)
    if size % 112 == 0:
        return template * (size / 112)
    if size % 128 == 0:
        return (template + torch.tensor([8.0, 0.0])) * (size / 128)
    raise StyleSwapError(f"expected a recognizer size that is a multiple of 112 or 128, got {size}")


def recognizer_crop(picture: torch.Tensor, points: torch.Tensor, size: int = RECOGNIZER_SIZE) -> torch.Tensor:
    """Crop for a face recognizer: insightface's `norm_crop`, differentiable.

    Like the original it is sampled bilinearly without antialiasing, and black beyond the picture; otherwise embeddings
    would drift.

    Args:
        picture: (B, 3, H, W) float, -1..1.
        points: (B, 5, 2), continuous picture coordinates.
        size: Side of the crop in pixels: a multiple of 112, or of 128, which adds a margin of 8/128 left and right.

    Returns:
        (B, 3, size, size) RGB, -1..1.

    Raises:
        StyleSwapError: Another size, or points that coincide.
    """
    # Both sides in insightface's coordinates, where pixel centers are integers.
    template = recognizer_points(size).to(points.device)
    matrix = estimate_similarity(points.to(torch.float32) - 0.5, template)
    # c - 0.5 = A (p - 0.5) + t  =>  c = A p + t + 0.5 - A 0.5
    half = torch.full_like(matrix[:, :, 2], 0.5)
    matrix = torch.cat([matrix[:, :, :2], (matrix[:, :, 2] + half)[..., None]], 2)
    matrix = shift_origin(matrix, -half)
    # Shifted so that the zeros of the padding are black.
    return warp(picture + 1.0, matrix, size, antialias=False, padding="zeros") - 1.0
