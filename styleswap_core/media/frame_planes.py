"""Planes of decoded frames as pictures that can be swapped in place."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..compositing.axis_sampling import Axis
from ..compositing.plane_color import PlaneColor
from ..compositing.video_picture import PlaneGrid, VideoPicture, VideoPixels
from ..errors import StyleSwapError
from .color_tags import FULL_RANGE, LIMITED_RANGE, ColorTags
from .orientation import Orientation
from .pixel_formats import describe_format, planar_name

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Codecs whose chroma samples lie in the middle of their luma samples; others have them below the left ones.
_CENTERED = ("mjpeg", "mpeg1video")
# An aspect ratio beyond this is an error of the file.
_MAX_ASPECT = 4


def planar(frame: "VideoFrame") -> "VideoFrame":
    """The frame in its planar format, without loss."""
    name = planar_name(frame.format.name)
    return frame if name == frame.format.name else frame.reformat(format=name)


@dataclass(frozen=True)
class FrameLayout:
    """What turns the decoded frames of a video into pictures.

    Attributes:
        pixel_format: FFmpeg's name of the planar format.
        width: Width of decoded frames.
        height: Height of decoded frames.
        tags: Color tags.
        orientation: How frames are shown.
        aspect: Width of a sample divided by its height.
        color: Meaning of the code values.
        grids: One per plane of color, upright.
    """

    pixel_format: str
    width: int
    height: int
    tags: ColorTags
    orientation: Orientation
    aspect: Fraction
    color: PlaneColor
    grids: tuple[PlaneGrid, ...]

    @classmethod
    def of(
        cls, frame: "VideoFrame", tags: ColorTags, orientation: Orientation, aspect: Fraction, codec: str
    ) -> "FrameLayout":
        """Layout of a video, from its first frame in planar form.

        Raises:
            StyleSwapError: A pixel format or colors that cannot be swapped in place.
        """
        name, width, height = frame.format.name, frame.width, frame.height
        form = describe_format(name)
        if form is None:
            raise StyleSwapError(
                f"expected video in YUV, RGB or gray of 8 to 16 bits, got the pixel format {name}; convert it first,"
                " with: ffmpeg -i in.mov -pix_fmt yuv422p10le -c:v ffv1 out.mkv"
            )
        color = tags.plane_color(name, form, width, height)
        luma = _grid(width, height, aspect, (1, 1), True)
        chroma = _grid(width, height, aspect, form.steps, codec in _CENTERED)
        grids = (luma,) if form.model == "gray" else (luma, chroma, chroma)
        upright = tuple(orientation.upright_grid(grid) for grid in grids)
        return cls(name, width, height, tags, orientation, aspect, color, upright)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.grids[0].y.pixels, self.grids[0].x.pixels

    def picture(self, frame: "VideoFrame") -> VideoPicture:
        """A frame in planar form as a picture, whose result is the frame's own memory.

        The frame keeps its side data, such as captions and light levels, and can be encoded after the swap.
        """
        target = self.copied(frame)
        # A decoder still reads the memory of frames to which others refer.
        frame.make_writable()
        view = partial(self._fast_rgb, target) if self.color.light.is_identity else None
        return VideoPicture(self._colors(target), self._colors(frame), self.color, self.grids, view)

    def copied(self, frame: "VideoFrame") -> "VideoFrame":
        """The samples of a frame in planar form, in memory of their own."""
        from av.video.frame import VideoFrame

        copy = VideoFrame(self.width, self.height, self.pixel_format)
        for mine, other in zip(_planes(copy), _planes(frame), strict=True):
            mine[:] = other
        return copy

    def look(self, frame: "VideoFrame") -> VideoPicture:
        """A frame in planar form as a picture to look at, which shares its memory."""
        planes = self._colors(frame)
        view = partial(self._fast_rgb, frame) if self.color.light.is_identity else None
        return VideoPicture(planes, planes, self.color, self.grids, view)

    def rgb(self, frame: "VideoFrame") -> np.ndarray:
        """A frame in planar form as an upright picture with square pixels, (H, W, 3) uint8 RGB."""
        if self.color.light.is_identity:
            return self._fast_rgb(frame)
        return VideoPixels(self.look(frame)).uint8()

    @property
    def has_alpha(self) -> bool:
        """Whether frames have transparency."""
        form = describe_format(self.pixel_format)
        return form is not None and form.alpha

    def shown(self, frame: "VideoFrame") -> np.ndarray:
        """`rgb`, with a fourth channel if there is transparency."""
        rgb = self.rgb(frame)
        if not self.has_alpha:
            return rgb
        alpha = self.orientation.upright(_planes(frame)[3])
        if alpha.dtype != np.uint8:
            alpha = (alpha >> (self.color.bits - 8)).astype(np.uint8)
        if alpha.shape != rgb.shape[:2]:
            rows, columns = (
                np.arange(wanted) * given // wanted for wanted, given in zip(rgb.shape[:2], alpha.shape, strict=True)
            )
            alpha = alpha[rows][:, columns]
        return np.dstack([rgb, alpha])

    def extended(self, frame: "VideoFrame", width: int, height: int) -> "VideoFrame":
        """A frame in planar form with the last column and row repeated up to a larger size."""
        from av.video.frame import VideoFrame

        larger = VideoFrame(width, height, self.pixel_format)
        larger.pts, larger.time_base = frame.pts, frame.time_base
        for mine, other in zip(_planes(larger), _planes(frame), strict=True):
            missing = [(0, mine.shape[0] - other.shape[0]), (0, mine.shape[1] - other.shape[1])]
            mine[:] = np.pad(other, missing, mode="edge")
        return larger

    def _fast_rgb(self, frame: "VideoFrame") -> np.ndarray:
        """`rgb` by swscale, for SDR video."""
        height, width = self.size
        if self.orientation.transposed:
            height, width = width, height
        full = self.color.full_range
        rgb = frame.reformat(
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=self.tags.swscale_matrix(self.width, self.height),
            src_color_range=FULL_RANGE if full else LIMITED_RANGE,
            dst_color_range=FULL_RANGE,
        )
        return np.ascontiguousarray(self.orientation.upright(rgb.to_ndarray()))

    def _colors(self, frame: "VideoFrame") -> tuple[np.ndarray, ...]:
        """Upright views of the planes of color."""
        planes = _planes(frame)
        if self.color.model == "rgb":
            planes = [planes[2], planes[0], planes[1]]
        return tuple(self.orientation.upright(plane) for plane in planes[: len(self.grids)])


def _planes(frame: "VideoFrame") -> list[np.ndarray]:
    """The frame's planes as arrays (h, w) uint8 or uint16 of its own memory."""
    kind = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else "<u2")
    return [
        np.frombuffer(memoryview(plane), kind).reshape(plane.height, plane.line_size // kind.itemsize)[:, : plane.width]
        for plane in frame.planes
    ]


def _grid(width: int, height: int, aspect: Fraction, steps: tuple[int, int], centered: bool) -> PlaneGrid:
    """Grid of a plane as it is decoded.

    Args:
        width: Width of the frame in luma samples.
        height: Height of the frame in luma samples.
        aspect: Width of a luma sample divided by its height. Samples are stretched, never shrunk, to square pixels.
        steps: Luma samples per sample of the plane, across and down.
        centered: Whether samples lie in the middle of their luma samples horizontally, rather than at the first one.
    """
    aspect = aspect if 1 / Fraction(_MAX_ASPECT) <= aspect <= _MAX_ASPECT else Fraction(1)
    wide, high = max(width, round(width * aspect)), max(height, round(height / aspect))
    across, down = steps
    return PlaneGrid(
        _axis(width, wide, across, (across - 1) / 2 if centered else 0.0), _axis(height, high, down, (down - 1) / 2)
    )


def _axis(luma: int, pixels: int, step: int, first: float) -> Axis:
    """Axis of a plane with a sample every `step` luma samples, the first at luma sample `first`."""
    scale = luma / pixels
    return Axis(scale / step, (0.5 * scale - 0.5 - first) / step, -(-luma // step), pixels)
