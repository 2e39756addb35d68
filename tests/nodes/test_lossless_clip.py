"""Frames and sound in memory as a video file."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch


@pytest.fixture
def write(pack, tmp_path):
    """Function that writes frames and sound, and returns the path."""
    module = pack("nodes.lossless_clip")

    def run(pictures, rate, audio=None):
        path = tmp_path / f"clip{module.SUFFIX}"
        module.write_lossless_clip(path, pictures, rate, audio)
        return path

    return run


def _noise(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("rate", [Fraction(8), Fraction(30000, 1001), Fraction(23.976)])
def test_every_pixel_and_time_is_kept(write, rate):
    pictures = _noise(5, 37, 53)
    with av.open(str(write(pictures, rate))) as container:
        frames = list(container.decode(video=0))
    assert np.array_equal(np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), pictures)
    times = [float(frame.pts * frame.time_base) for frame in frames]
    assert times == pytest.approx([number / rate for number in range(5)], abs=1e-4)


@pytest.mark.parametrize(("channels", "written"), [(1, 1), (2, 2), (3, 2), (6, 6)])
def test_sound_ends_with_the_pictures(write, channels, written):
    tone = torch.sin(torch.arange(48000) * (2 * np.pi * 440 / 16000)).expand(1, channels, -1) * 0.5
    path = write(_noise(8, 32, 32), Fraction(8), {"waveform": tone, "sample_rate": 16000})
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (16000, written)
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
    # One second, and at most two blocks of the encoder more.
    assert 16000 <= samples.shape[1] <= 16000 + 2048
    assert np.abs(samples[:, 4000:12000]).max() == pytest.approx(0.5, abs=0.05)


def test_sound_of_a_rate_that_the_encoder_lacks_is_converted(write):
    tone = torch.sin(torch.arange(20000) * (2 * np.pi * 440 / 10000)).expand(1, 1, -1).clone() * 0.5
    tone[..., 100:110] = float("nan")
    path = write(_noise(8, 32, 32), Fraction(8), {"waveform": tone, "sample_rate": 10000})
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
    assert samples.shape[1] == pytest.approx(stream.rate, abs=3000), "one second"
    assert np.abs(samples[:, 4000:12000]).max() == pytest.approx(0.5, abs=0.05)


def test_sound_without_samples_is_silence(write):
    path = write(_noise(3, 32, 32), Fraction(8), {"waveform": torch.zeros(1, 2, 0), "sample_rate": 44100})
    with av.open(str(path)) as container:
        assert not container.streams.audio and len(list(container.decode(video=0))) == 3


def test_a_core_reads_it_as_rgb(write, pack):
    info = pack("styleswap_core.media.video_source").read_info(write(_noise(3, 36, 64), Fraction(25)))
    assert (info.codec, info.layout.pixel_format, info.rate) == ("ffv1", "gbrp", 25)
