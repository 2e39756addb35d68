"""Tiny video files, made with PyAV."""

from fractions import Fraction

import av
import numpy as np


def moving_picture(number, height=48, width=64):
    """Smooth colors that move; (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin((x * a + y * b + number * 3) / 9.0) for a, b in ((1, 0.3), (0.5, -0.7), (-0.6, 1))]
    return np.stack(planes, 2).astype(np.uint8)


def write_clip(
    path,
    count=12,
    size=(64, 48),
    codec="libx264",
    pixel_format="yuv420p",
    times=None,
    time_base=Fraction(1, 25),
    picture=moving_picture,
    sound=None,
    configure=None,
    container_options=None,
    **codec_options,
):
    """A video of moving colors.

    Args:
        times: Time of each frame in units of the time base.
        picture: Frame (H, W, 3) uint8 by number, height and width.
        sound: Codec of a sound track.
        configure: Called with the open container and the video stream before the first frame.
    """
    width, height = size
    full = pixel_format.startswith(("yuvj", "gray", "gbr", "bgr", "rgb"))
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(1) / time_base if time_base > Fraction(1, 200) else 25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = time_base
        stream.codec_context.options = codec_options
        audio = container.add_stream(sound, rate=48000) if sound else None
        if configure:
            configure(container, stream)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, height, width), format="rgb24")
            frame = frame.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=2 if full else 1)
            frame.pts, frame.time_base = number if times is None else times[number], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            samples = round(48000 * float((times[-1] if times else count) * time_base))
            tone = (np.sin(np.arange(samples) / 20) * 8000).astype(np.int16)
            size = audio.codec_context.frame_size or 1024
            for start in range(0, samples, size):
                part = tone[None, start : start + size]
                frame = av.AudioFrame.from_ndarray(np.repeat(part, 2, 0).T.reshape(1, -1), "s16", "stereo")
                frame.sample_rate, frame.pts = 48000, start
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def planes_of(path):
    """Decoded planes of each frame, and the times in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames, times = [], []
        for frame in container.decode(stream):
            frames.append(samples(frame))
            times.append(frame.pts * frame.time_base)
    return frames, times


def samples(frame):
    """The planes of a frame: (h, w) uint8 or uint16; of interleaved formats (h, w, samples)."""
    found = []
    for plane in frame.planes:
        kind = np.uint8 if frame.format.components[0].bits <= 8 else np.uint16
        row = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // np.dtype(kind).itemsize)
        per_pixel = 4 if frame.format.name in ("bgr0", "bgra", "rgba") else 1
        row = row[:, : plane.width * per_pixel].copy()
        found.append(row.reshape(plane.height, plane.width, per_pixel) if per_pixel > 1 else row)
    return found


def packets_of(path, kind):
    """Bytes and times in seconds of the packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        found = [packet for packet in container.demux(stream) if packet.size]
        return [bytes(packet) for packet in found], [packet.pts * packet.time_base for packet in found]
