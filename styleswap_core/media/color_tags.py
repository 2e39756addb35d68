"""Color tags of video files, and what untagged files mean.

The numbers are those of ITU-T H.273, which FFmpeg uses as well.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..compositing.light import LightView
from ..compositing.plane_color import PlaneColor
from ..errors import StyleSwapError
from .pixel_formats import PixelFormat

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LIMITED_RANGE, FULL_RANGE = 1, 2
"""Ranges of code values, as FFmpeg numbers them."""

_UNKNOWN = 2
_BT2020_NCL = 9
# Kr and Kb by matrix coefficients.
_LUMA = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
_TRANSFERS = {16: "pq", 18: "hlg"}
_PRIMARIES = {9: "bt2020", 11: "p3", 12: "p3"}
# swscale's names of matrices; PyAV's enumeration has them since version 16.
_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}


@dataclass(frozen=True)
class ColorTags:
    """Color tags, as numbers of H.273; `range` is 1 for limited, 2 for full, 0 for unknown."""

    matrix: int = _UNKNOWN
    range: int = 0
    transfer: int = _UNKNOWN
    primaries: int = _UNKNOWN

    @classmethod
    def of(cls, frame: "VideoFrame", stream: "VideoStream") -> "ColorTags":
        """Tags of a frame, or else of its stream."""
        codec = stream.codec_context

        def first(name: str, unknown: int) -> int:
            values = (int(getattr(owner, name, unknown)) for owner in (frame, codec))
            return next((value for value in values if value != unknown), unknown)

        return cls(
            first("colorspace", _UNKNOWN),
            first("color_range", 0),
            first("color_trc", _UNKNOWN),
            first("color_primaries", _UNKNOWN),
        )

    def write_to(self, codec: "CodecContext") -> None:
        """Set the tags of an encoder."""
        for name, value in (
            ("colorspace", self.matrix),
            ("color_range", self.range),
            ("color_trc", self.transfer),
            ("color_primaries", self.primaries),
        ):
            setattr(codec, name, value)

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer function is PQ or HLG."""
        return self.transfer in _TRANSFERS

    def matrix_or_usual(self, width: int, height: int) -> int:
        """The matrix, or the usual one for an untagged video of this size: BT.709 for HD, BT.601 below."""
        if self.matrix != _UNKNOWN:
            return self.matrix
        if self.is_hdr:
            return _BT2020_NCL
        return 1 if max(width, height) >= 1280 or min(width, height) >= 720 else 6

    def swscale_matrix(self, width: int, height: int) -> int:
        """Number of the matrix in swscale."""
        return _SWSCALE.get(self.matrix_or_usual(width, height), 1)

    def is_full_range(self, pixel_format: str) -> bool:
        """Whether code values of a YUV or gray format span the full range."""
        return self.range == FULL_RANGE or pixel_format.startswith("yuvj")

    def plane_color(self, name: str, form: PixelFormat, width: int, height: int) -> PlaneColor:
        """Meaning of code values.

        Args:
            name: FFmpeg's name of the pixel format.
            form: What it stores.
            width: Width of the frame, by which untagged colors are understood.
            height: Height of the frame.

        Raises:
            StyleSwapError: Colors that cannot be converted region by region, such as ICtCp.
        """
        transfer = _TRANSFERS.get(self.transfer, "sdr")
        usual = "bt2020" if self.is_hdr and self.primaries == _UNKNOWN else "bt709"
        light = LightView(transfer, _PRIMARIES.get(self.primaries, usual))
        if form.model == "rgb":
            return PlaneColor("rgb", form.bits, True, light=light)
        matrix = self.matrix_or_usual(width, height)
        if matrix not in _LUMA and form.model == "yuv":
            raise StyleSwapError(
                f"expected colors in RGB, BT.601, BT.709 or BT.2020, got matrix {matrix} of H.273 (such as ICtCp in"
                " Dolby Vision profile 5); convert the video first, with: ffmpeg -i in.mp4 -vf"
                " scale=out_color_matrix=bt709 out.mkv"
            )
        luma = _LUMA.get(matrix, _LUMA[1])
        return PlaneColor(form.model, form.bits, self.is_full_range(name), luma, light)
