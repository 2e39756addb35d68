"""Color values of video frames: planes of code values to RGB and back."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .light import LightView


@dataclass(frozen=True)
class PlaneColor:
    """Meaning of the code values in a frame's planes.

    Attributes:
        model: "yuv" for planes Y, Cb, Cr; "rgb" for R, G, B; "gray" for one plane of luma.
        bits: Bits per sample.
        full_range: Whether black and white are the lowest and the highest code; otherwise 16 and 235 at 8 bits, chroma
            16 to 240.
        luma: Weights of R and B in the luma, Kr and Kb; (0.2126, 0.0722) for BT.709.
        light: Transfer function and primaries.
    """

    model: str = "yuv"
    bits: int = 8
    full_range: bool = False
    luma: tuple[float, float] = (0.2126, 0.0722)
    light: LightView = field(default_factory=LightView)

    @property
    def top(self) -> int:
        """The highest code."""
        return 2**self.bits - 1

    def to_rgb(self, planes: Tensor) -> Tensor:
        """Code values (planes, H, W) float -> (3, H, W), -1..1, the SDR view."""
        low, span = self._luma_codes()
        first = (planes[:1] - low) / span
        if self.model == "yuv":
            middle, chroma_span = self._chroma_codes()
            cb, cr = (planes[1:] - middle) / chroma_span
            rgb = self._yuv_to_rgb(first[0], cb, cr)
        else:
            rgb = (planes - low) / span if self.model == "rgb" else first.expand(3, -1, -1)
        return self.light.to_sdr(rgb) * 2.0 - 1.0

    def from_rgb(self, rgb: Tensor) -> Tensor:
        """(3, H, W), -1..1 -> code values (planes, H, W) float, neither rounded nor clipped to `top`."""
        low, span = self._luma_codes()
        values = self.light.from_sdr((rgb * 0.5 + 0.5).clamp(0.0, 1.0))
        if self.model == "rgb":
            return values * span + low
        kr, kb = self.luma
        red, green, blue = values
        luma = kr * red + (1.0 - kr - kb) * green + kb * blue
        if self.model == "gray":
            return luma[None] * span + low
        middle, chroma_span = self._chroma_codes()
        chroma = torch.stack([(blue - luma) / (2.0 - 2.0 * kb), (red - luma) / (2.0 - 2.0 * kr)])
        return torch.cat([luma[None] * span + low, chroma * chroma_span + middle])

    def _yuv_to_rgb(self, luma: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
        kr, kb = self.luma
        red, blue = luma + (2.0 - 2.0 * kr) * cr, luma + (2.0 - 2.0 * kb) * cb
        return torch.stack([red, (luma - kr * red - kb * blue) / (1.0 - kr - kb), blue])

    def _luma_codes(self) -> tuple[float, float]:
        """Code of black, and codes from black to white."""
        step = 2.0 ** (self.bits - 8)
        return (0.0, float(self.top)) if self.full_range else (16.0 * step, 219.0 * step)

    def _chroma_codes(self) -> tuple[float, float]:
        """Code of no color, and codes from the lowest to the highest chroma."""
        step = 2.0 ** (self.bits - 8)
        return 128.0 * step, float(self.top) if self.full_range else 224.0 * step
