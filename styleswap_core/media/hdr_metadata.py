"""Light levels of HDR video: mastering display (SMPTE ST 2086) and content light level (CTA-861.3)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# FFmpeg's AVMasteringDisplayMetadata: ten fractions (primaries of red, green, blue, the white point, the lowest and the
# highest luminance), and whether the first eight and the last two are known.
_DISPLAY = struct.Struct("=20i2i")
_LIGHT = struct.Struct("=2I")


@dataclass(frozen=True)
class HdrMetadata:
    """Light levels that go with every frame of a video.

    Attributes:
        primaries: CIE x and y of red, green, blue and white; empty if unknown.
        luminance: Lowest and highest luminance of the mastering display, cd/m2; empty if unknown.
        light: Maximum content light level and maximum frame-average light level, cd/m2; empty if unknown.
    """

    primaries: tuple[float, ...] = ()
    luminance: tuple[float, ...] = ()
    light: tuple[int, ...] = ()

    @classmethod
    def of(cls, frame: "VideoFrame") -> "HdrMetadata":
        """Light levels of a frame."""
        from av.sidedata.sidedata import Type

        # PyAV declares the names of its entries only.
        entries = cast(Any, frame.side_data)
        display, light = entries.get(Type.MASTERING_DISPLAY_METADATA), entries.get(Type.CONTENT_LIGHT_LEVEL)
        primaries: tuple[float, ...] = ()
        luminance: tuple[float, ...] = ()
        if display is not None:
            *numbers, has_primaries, has_luminance = _DISPLAY.unpack_from(bytes(display))
            values = tuple(top / bottom if bottom else 0.0 for top, bottom in zip(*[iter(numbers)] * 2, strict=True))
            primaries = values[:8] if has_primaries else ()
            luminance = values[8:] if has_luminance else ()
        return cls(primaries, luminance, () if light is None else _LIGHT.unpack_from(bytes(light)))

    def encoder_parameters(self, encoder: str) -> list[str]:
        """Settings by which an encoder writes them; none for encoders that cannot."""
        if encoder not in ("libx264", "libx265", "libsvtav1"):
            return []
        found = []
        if self.primaries and self.luminance:
            # x264 and x265 count in units of 0.00002 and of 0.0001 cd/m2.
            units = (1.0, 1.0) if encoder == "libsvtav1" else (50000.0, 10000.0)
            name = "mastering-display" if encoder != "libx265" else "master-display"
            found.append(f"{name}={_display(self.primaries, self.luminance, *units)}")
        if self.light:
            name = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}[encoder]
            found.append(f"{name}={self.light[0]},{self.light[1]}")
        return found


def _display(primaries: Sequence[float], luminance: Sequence[float], unit: float, light_unit: float) -> str:
    red, green, blue, white = (primaries[row : row + 2] for row in range(0, 8, 2))
    parts = [
        f"{name}({pair[0] * scale:.{digits}f},{pair[1] * scale:.{digits}f})"
        for name, pair, scale, digits in (
            ("G", green, unit, 0 if unit > 1 else 5),
            ("B", blue, unit, 0 if unit > 1 else 5),
            ("R", red, unit, 0 if unit > 1 else 5),
            ("WP", white, unit, 0 if unit > 1 else 5),
            ("L", (luminance[1], luminance[0]), light_unit, 0 if unit > 1 else 4),
        )
    ]
    return "".join(parts)
