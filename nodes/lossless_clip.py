"""Frames and sound in memory as a video file, without loss of a pixel. Does not import ComfyUI."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

SUFFIX = ".nut"
"""Suffix of the files: a container that holds FFV1 and any time base."""

# Enough for 30000/1001; rates that come from floating-point numbers have denominators that FFmpeg does not take.
_MAX_DENOMINATOR = 1001
_BIT_RATE = 192_000
_USUAL_RATE = 48_000
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def write_lossless_clip(
    path: Path, pictures: Iterable[np.ndarray], rate: Fraction, audio: Mapping[str, Any] | None = None
) -> None:
    """Write pictures as FFV1 in RGB, and sound as AAC.

    Args:
        path: File to write, with SUFFIX.
        pictures: At least one, (H, W, 3) uint8 RGB, all of one size.
        rate: Frames per second.
        audio: ComfyUI's AUDIO, a `waveform` (B, channels, samples) in -1..1 and its `sample_rate`; only the first of
            the batch is written, up to the end of the pictures. None, or no samples, for silence.
    """
    import av

    if audio is not None and 0 in audio["waveform"].shape:
        audio = None
    with av.open(str(path), "w", format="nut") as container:
        video = cast("VideoStream", container.add_stream("ffv1", rate=rate.limit_denominator(_MAX_DENOMINATOR)))
        sound = None if audio is None else _add_sound(container, audio)
        count = 0
        for picture in pictures:
            _encode_picture(container, video, picture, count)
            count += 1
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _encode_sound(container, sound, audio, ceil(count / rate * int(audio["sample_rate"])))


def _encode_picture(container: "OutputContainer", stream: "VideoStream", picture: np.ndarray, number: int) -> None:
    from av.video.frame import VideoFrame

    if not number:
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "bgr0"
    frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format="bgr0")
    frame.pts = number
    container.mux(stream.encode(frame))


def _add_sound(container: "OutputContainer", audio: Mapping[str, Any]) -> "AudioStream":
    stream = container.add_stream("aac", rate=_encoded_rate(int(audio["sample_rate"])))
    stream.layout = _LAYOUTS[_channels(audio)]
    stream.bit_rate = _BIT_RATE
    return stream


def _encode_sound(container: "OutputContainer", stream: "AudioStream", audio: Mapping[str, Any], samples: int) -> None:
    from av.audio.frame import AudioFrame

    wave = np.nan_to_num(audio["waveform"][0, : _channels(audio), :samples].float().cpu().numpy())
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(wave), "fltp", _LAYOUTS[len(wave)])
    # PyAV converts the rate if the stream has another one.
    frame.sample_rate, frame.pts, frame.time_base = int(audio["sample_rate"]), 0, Fraction(1, int(audio["sample_rate"]))
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encoded_rate(rate: int) -> int:
    """The sample rate itself if AAC has it, such as 44100, otherwise 48000."""
    from av.codec import Codec

    return rate if rate in (Codec("aac", "w").audio_rates or [rate]) else _USUAL_RATE


def _channels(audio: Mapping[str, Any]) -> int:
    """Number of channels that are written: all of a usual layout, otherwise the first two."""
    count = int(audio["waveform"].shape[1])
    return count if count in _LAYOUTS else 2
