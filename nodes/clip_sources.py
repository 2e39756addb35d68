"""ComfyUI's VIDEO as a source that the core reads frame by frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import folder_paths
import numpy as np
import torch
from comfy_api.latest import Input, InputImpl

from ..styleswap_core.compositing.frame_masks import KEPT
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.media.animations import decodable
from ..styleswap_core.media.video_source import Source
from ..styleswap_core.video.clip_masks import ClipMasks
from .host import check_interrupted
from .lossless_clip import SUFFIX, write_lossless_clip
from .values import image_arrays


@dataclass(frozen=True)
class ClipSource:
    """A video and the part of it that the VIDEO shows.

    Attributes:
        readable: The video in a form that FFmpeg decodes.
        original: The video as it was given.
        start: Seconds before the part.
        duration: Seconds of the part; None for all that follows.
    """

    readable: Source
    original: Source
    start: float = 0.0
    duration: float | None = None

    def part(self, start: float, duration: float) -> tuple[float, float | None]:
        """Start and duration, within the video, of a part of this part.

        Args:
            start: Seconds before it.
            duration: Its seconds; 0 for all that follows.

        Raises:
            StyleSwapError: Nothing is left.
        """
        left = None if self.duration is None else self.duration - start
        if left is not None and left <= 0:
            raise StyleSwapError(
                f"the video is {self.duration:g} s long, so nothing is left after a start of {start:g} s; choose an"
                " earlier one"
            )
        given = [seconds for seconds in (left, duration or None) if seconds is not None]
        return self.start + start, min(given, default=None)


@contextmanager
def open_clip(video: Input.Video) -> Iterator[ClipSource]:
    """Context manager for a VIDEO as a source.

    A video that is a file is read from there. One that exists as frames in memory, or has edits that its file lacks, is
    written to a temporary file without loss.
    """
    if _is_in_memory(video) or _has_edits(video):
        with TemporaryDirectory(prefix="styleswap-", dir=temp_folder()) as folder:
            path = Path(folder) / f"frames{SUFFIX}"
            _write_components(video, path)
            yield ClipSource(path, path)
        return
    stream = video.get_stream_source()
    source = stream if isinstance(stream, BytesIO) else Path(stream)
    # Versions of ComfyUI without it cannot trim.
    start, duration = video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)
    with decodable(source) as readable:
        yield ClipSource(readable, source, float(start), float(duration) or None)


@contextmanager
def open_masks(masks: torch.Tensor | Input.Video | None, start: float, purpose: str = KEPT) -> Iterator[ClipMasks]:
    """Context manager for masks of the frames of a video.

    Args:
        masks: MASK, or a gray VIDEO whose frames are masks, which is read as a stream.
        start: Seconds of the video that are left out, and of a VIDEO of masks with it.
        purpose: What they are for, see `frame_masks`.
    """
    if masks is None or isinstance(masks, torch.Tensor):
        yield ClipMasks(masks, purpose=purpose)
        return
    with open_clip(masks) as source, TemporaryDirectory(prefix="styleswap-", dir=temp_folder()) as folder:
        file = source.original
        if isinstance(file, BytesIO):
            data, file = file, Path(folder) / f"masks{SUFFIX}"
            file.write_bytes(data.getbuffer())
        yield ClipMasks(file, source.part(start, 0.0)[0], purpose)


def temp_folder() -> Path:
    """ComfyUI's folder for files that it deletes when it starts and ends."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_in_memory(video: Input.Video) -> bool:
    """Whether frames are held, so that a stream would have to be encoded from them."""
    inherited = type(video).get_stream_source is Input.Video.get_stream_source
    return inherited or isinstance(video, InputImpl.VideoFromComponents)


def _has_edits(video: Input.Video) -> bool:
    """Whether the file of the video lacks changes to its frames, in versions of ComfyUI that have such."""
    return hasattr(video, "has_pending_frame_edits") and bool(video.has_pending_frame_edits())


def _write_components(video: Input.Video, path: Path) -> None:
    components = video.get_components()

    def pictures() -> Iterator[np.ndarray]:
        for picture in image_arrays(components.images):
            check_interrupted()
            yield picture

    write_lossless_clip(path, pictures(), Fraction(components.frame_rate), components.audio)
