"""Color matching: transfer of a reference picture's colors, measured inside a mask.

A swapped face often differs from its surroundings in tone. Each method gives it the color statistics of the face that
it replaces.

| method | statistics that are matched | source |
| --- | --- | --- |
| mean-std | mean and standard deviation of each CIE Lab channel | Reinhard et al. 2001 |
| linear | mean and covariance of RGB, by the linear Monge-Kantorovich map | Pitie, Kokaram 2007 |
| histogram | distribution of each RGB channel | Gonzalez, Woods |
"""

import torch

from ..errors import StyleSwapError

METHODS = ("none", "mean-std", "linear", "histogram")
# Minimum sum of a mask; fewer pixels have no meaningful statistics, and the picture stays as it is.
_MIN_PIXELS = 16.0
# Maximum factor by which a channel's standard deviation changes; beyond it, noise is amplified.
_MAX_GAIN = 4.0
_QUANTILES = 257
# About a quarter of an 8-bit level, squared: keeps the covariance of a flat color invertible.
_RIDGE = 1e-6


def match_colors(
    picture: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor, method: str = "linear", strength: float = 1.0
) -> torch.Tensor:
    """The picture with the reference's colors.

    Args:
        picture: (B, 3, H, W), -1..1.
        reference: (B, 3, H, W), -1..1.
        mask: (B, 1, H, W), 0..1, the weight of each pixel in the statistics of both pictures.
        method: One of METHODS.
        strength: From 0 (unchanged) to 1 (fully matched).

    Returns:
        (B, 3, H, W), -1..1; pixels outside the mask are mapped as well.

    Raises:
        StyleSwapError: An unknown method, a strength out of range, or shapes that differ.
    """
    if method not in METHODS:
        raise StyleSwapError(f"expected a color matching method out of {', '.join(METHODS)}, got {method!r}")
    if not 0.0 <= strength <= 1.0:
        raise StyleSwapError(f"expected a strength from 0 to 1, got {strength}")
    if picture.shape != reference.shape or mask.shape != picture[:, :1].shape:
        raise StyleSwapError(
            f"expected pictures and a mask of one size, got {tuple(picture.shape)}, {tuple(reference.shape)} and"
            f" {tuple(mask.shape)}"
        )
    if method == "none" or strength == 0.0:
        return picture
    match = {"mean-std": _match_mean_std, "linear": _match_linear, "histogram": _match_histogram}[method]
    rows = [
        (match((own + 1) / 2, (other + 1) / 2, weight) * 2 - 1).clamp(-1.0, 1.0)
        if float(weight.sum()) >= _MIN_PIXELS
        else own
        for own, other, weight in zip(picture, reference, mask, strict=True)
    ]
    return torch.lerp(picture, torch.stack(rows), strength)


def _match_mean_std(picture: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(3, H, W) 0..1, weight (1, H, W) -> (3, H, W)."""
    from kornia.color import lab_to_rgb, rgb_to_lab

    own, other = rgb_to_lab(picture.clamp(0, 1)), rgb_to_lab(reference.clamp(0, 1))
    mean, spread = _moments(own, weight)
    wanted_mean, wanted_spread = _moments(other, weight)
    gain = (wanted_spread / spread.clamp(min=1e-4)).clamp(1.0 / _MAX_GAIN, _MAX_GAIN)
    return lab_to_rgb((own - mean) * gain + wanted_mean)


def _moments(values: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean and standard deviation of each channel, (3, 1, 1)."""
    share = weight / weight.sum()
    mean = (values * share).sum((1, 2), keepdim=True)
    return mean, ((values - mean).square() * share).sum((1, 2), keepdim=True).sqrt()


def _match_linear(picture: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Map colors by T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2, the least motion that turns covariance A into B."""
    mean, own = _covariance(picture, weight)
    wanted_mean, other = _covariance(reference, weight)
    root, inverse_root = _matrix_power(own, 0.5), _matrix_power(own, -0.5)
    transport = inverse_root @ _matrix_power(root @ other @ root, 0.5) @ inverse_root
    # Symmetric and positive definite, so that its norm is its maximum gain.
    transport = transport * min(1.0, _MAX_GAIN / float(torch.linalg.matrix_norm(transport, 2)))
    flat = picture.flatten(1) - mean  # (3, HW)
    return (transport.to(flat) @ flat + wanted_mean).view_as(picture)


def _covariance(picture: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean (3, 1) and covariance (3, 3) of a picture's colors."""
    flat, share = picture.flatten(1), (weight / weight.sum()).flatten(1)  # (3, HW), (1, HW)
    mean = (flat * share).sum(1, keepdim=True)
    centered = flat - mean
    return mean, (centered * share) @ centered.t() + _RIDGE * torch.eye(3).to(flat)


def _matrix_power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """Power of a symmetric positive definite matrix (3, 3)."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=_RIDGE * _RIDGE) ** exponent) @ vectors.t()


def _match_histogram(picture: torch.Tensor, reference: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Map each channel's values to those at the same quantile of the reference's channel."""
    inside = weight[0] >= 0.5 * float(weight.max())
    fractions = torch.linspace(0.0, 1.0, _QUANTILES, device=picture.device)
    matched = []
    for own, other in zip(picture, reference, strict=True):
        levels, wanted = _quantiles(own[inside], fractions), _quantiles(other[inside], fractions)
        matched.append(_interpolate(own, levels, wanted))
    return torch.stack(matched)


def _quantiles(values: torch.Tensor, fractions: torch.Tensor) -> torch.Tensor:
    """Replacement for torch.quantile, which is limited to 16 million values."""
    ordered = values.sort().values
    position = fractions * (len(ordered) - 1)
    low = position.floor().long()
    return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], position - low)


def _interpolate(values: torch.Tensor, levels: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Piecewise linear map of levels (Q,) to wanted (Q,); values beyond the ends are shifted like the nearest end."""
    upper = torch.searchsorted(levels, values.contiguous()).clamp(1, len(levels) - 1)
    low, high = levels[upper - 1], levels[upper]
    share = ((values - low) / (high - low).clamp(min=1e-6)).clamp(0.0, 1.0)
    inner = torch.lerp(wanted[upper - 1], wanted[upper], share)
    return inner + (values - levels[-1]).clamp(min=0.0) + (values - levels[0]).clamp(max=0.0)
