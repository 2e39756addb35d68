"""Display-referred SDR views of HDR and wide-gamut colors, and back.

A swapping network expects the colors of photographs: BT.709 primaries, an sRGB-like curve, and white where a diffuse
white surface is. `LightView.to_sdr` shows colors of other kinds that way, `LightView.from_sdr` is its inverse.

Transfer functions: ITU-R BT.2100 (PQ, HLG with a nominal peak of 1000 cd/m2), IEC 61966-2-1 (sRGB). Diffuse white:
203 cd/m2, ITU-R BT.2408.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

TRANSFERS = ("sdr", "pq", "hlg")
# Linear RGB to linear BT.709 RGB, for D65 white: ITU-R BT.2087 for BT.2020.
_TO_BT709 = {
    "bt2020": ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    "p3": ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
}
PRIMARIES = ("bt709", *_TO_BT709)
_WHITE = 203.0
_PEAK = 1000.0
# Light up to this share of diffuse white is shown unchanged, light above is compressed.
_KNEE = 0.8
_PQ_M1, _PQ_M2, _PQ_C1, _PQ_C2, _PQ_C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C, _HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
_HLG_LUMA = (0.2627, 0.6780, 0.0593)


@dataclass(frozen=True)
class LightView:
    """How the color values of a video relate to an SDR picture.

    Attributes:
        transfer: One of TRANSFERS.
        primaries: One of PRIMARIES.
    """

    transfer: str = "sdr"
    primaries: str = "bt709"

    @property
    def is_identity(self) -> bool:
        """Whether the values are those of an SDR picture with BT.709 primaries."""
        return self == LightView()

    def to_sdr(self, rgb: Tensor) -> Tensor:
        """(3, H, W), 0..1 in the video's transfer function and primaries -> (3, H, W), 0..1 SDR."""
        if self.is_identity:
            return rgb.clamp(0.0, 1.0)
        light = _LINEAR[self.transfer][0](rgb.clamp(0.0, 1.0))
        if self.primaries != "bt709":
            light = _mix(_TO_BT709[self.primaries], light)
        if self.transfer != "sdr":
            light = _compress(light)
        return _srgb_encode(light.clamp(0.0, 1.0))

    def from_sdr(self, rgb: Tensor) -> Tensor:
        """Inverse of `to_sdr`, for colors inside BT.709 and up to the nominal peak of 1000 cd/m2."""
        if self.is_identity:
            return rgb
        light = _srgb_decode(rgb)
        if self.transfer != "sdr":
            light = _expand(light)
        if self.primaries != "bt709":
            matrix = torch.tensor(_TO_BT709[self.primaries], dtype=torch.float64).inverse()
            light = _mix(matrix.tolist(), light)
        return _LINEAR[self.transfer][1](light.clamp(min=0.0))


def _mix(matrix: "tuple[tuple[float, ...], ...] | list[list[float]]", rgb: Tensor) -> Tensor:
    return torch.tensordot(torch.tensor(matrix, dtype=rgb.dtype, device=rgb.device), rgb, dims=1)


def _compress(light: Tensor) -> Tensor:
    """Light relative to diffuse white -> 0..1: unchanged up to the knee, an exponential shoulder above."""
    above = (light - _KNEE).clamp(min=0.0) / (1.0 - _KNEE)
    return torch.where(light > _KNEE, _KNEE + (1.0 - _KNEE) * -torch.expm1(-above), light)


def _expand(light: Tensor) -> Tensor:
    """Inverse of `_compress`, up to the nominal peak."""
    above = ((light - _KNEE) / (1.0 - _KNEE)).clamp(0.0, 1.0)
    opened = _KNEE - (1.0 - _KNEE) * torch.log1p(-above)
    return torch.where(light > _KNEE, opened, light).clamp(max=_PEAK / _WHITE)


def _srgb_decode(value: Tensor) -> Tensor:
    return torch.where(value <= 0.04045, value / 12.92, ((value.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def _srgb_encode(light: Tensor) -> Tensor:
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0) ** (1 / 2.4) - 0.055)


def _pq_decode(value: Tensor) -> Tensor:
    """PQ value -> light relative to diffuse white."""
    root = value ** (1.0 / _PQ_M2)
    return ((root - _PQ_C1).clamp(min=0.0) / (_PQ_C2 - _PQ_C3 * root)) ** (1.0 / _PQ_M1) * (10000.0 / _WHITE)


def _pq_encode(light: Tensor) -> Tensor:
    power = (light * (_WHITE / 10000.0)).clamp(0.0, 1.0) ** _PQ_M1
    return ((_PQ_C1 + _PQ_C2 * power) / (1.0 + _PQ_C3 * power)) ** _PQ_M2


def _hlg_decode(value: Tensor) -> Tensor:
    """HLG value -> displayed light relative to diffuse white, on a display of the nominal peak."""
    scene = torch.where(value <= 0.5, value**2 / 3.0, (torch.exp((value - _HLG_C) / _HLG_A) + _HLG_B) / 12.0)
    return scene * _hlg_luma(scene) ** (_HLG_GAMMA - 1.0) * (_PEAK / _WHITE)


def _hlg_encode(light: Tensor) -> Tensor:
    shown = light * (_WHITE / _PEAK)
    scene = shown * _hlg_luma(shown) ** (1.0 / _HLG_GAMMA - 1.0)
    low = (3.0 * scene).clamp(0.0, 1.0).sqrt()
    return torch.where(scene <= 1 / 12, low, _HLG_A * torch.log((12.0 * scene - _HLG_B).clamp(min=1e-6)) + _HLG_C)


def _hlg_luma(rgb: Tensor) -> Tensor:
    # Not 0, whose negative powers are infinite.
    return _mix((_HLG_LUMA,), rgb).clamp(min=1e-6)


_LINEAR = {
    "sdr": (_srgb_decode, _srgb_encode),
    "pq": (_pq_decode, _pq_encode),
    "hlg": (_hlg_decode, _hlg_encode),
}
