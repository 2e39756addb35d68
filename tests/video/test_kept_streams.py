"""Covers, subtitles, odd sizes, HDR and damage in swapped files."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from clips import moving_picture, packets_of, planes_of, write_clip
from toy_swapper import IDENTITY, toy_swapper

from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.media.video_source import read_info
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video


def swap(source, out, **encoding):
    return swap_video(
        toy_swapper(), source, out, IDENTITY, clip=ClipOptions(EncodingOptions(**encoding), tracking=None)
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_covers_are_kept(tmp_path, suffix):
    source = tmp_path / "source.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(moving_picture(9, 32, 32), format="rgb24")
        picture.pts = 0
        data = bytes(cover.encode(picture)[0])
        packet = av.Packet(data)
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        container.mux(packet)
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(moving_picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    report = swap(source, tmp_path / f"out{suffix}")
    assert report.notes == [] and report.counts.frames == 4
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        kept = [stream for stream in container.streams.video if stream.disposition & av.stream.Disposition.attached_pic]
        assert len(kept) == 1 and len(container.streams.video) == 2
        assert bytes(next(container.demux(kept[0]))) == data


def test_subtitles_are_copied_or_named(tmp_path):
    source = tmp_path / "source.mkv"

    def configure(container, stream):
        text = container.add_mux_stream("subrip")
        text.metadata["language"] = "kor"
        for start in (0, 200):
            packet = av.Packet(f"Line {start}".encode())
            packet.stream, packet.pts, packet.dts, packet.duration = text, start, start, 150
            packet.time_base = Fraction(1, 1000)
            configure.packets.append(packet)

    configure.packets = []
    write_clip(source, 12, configure=configure)
    with av.open(str(source)) as old, av.open(str(tmp_path / "with.mkv"), "w") as container:
        video = container.add_stream_from_template(old.streams.video[0], opaque=True)
        configure(container, None)
        for packet in configure.packets[-2:]:
            container.mux(packet)
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
    report = swap(tmp_path / "with.mkv", tmp_path / "out.mkv")
    assert report.notes == []
    assert packets_of(tmp_path / "out.mkv", "subtitle") == ([b"Line 0", b"Line 200"], [0, Fraction(1, 5)])
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.subtitles[0].language == "kor"
    report = swap(tmp_path / "with.mkv", tmp_path / "out.mp4")
    assert report.notes == [".mp4 files do not hold stream 1 (subtitle, subrip)"]


def test_odd_sizes_become_even_where_the_encoder_needs_it(tmp_path):
    source = write_clip(tmp_path / "source.mkv", 3, (63, 47), "ffv1")
    report = swap(source, tmp_path / "out.mp4", lossless=True)
    assert "repeated" in report.notes[0]
    before, after = planes_of(source)[0][0], planes_of(tmp_path / "out.mp4")[0][0]
    assert [plane.shape for plane in after] == [(48, 64), (24, 32), (24, 32)]
    for one, other in zip(before, after, strict=True):
        border = np.pad(one, [(0, other.shape[axis] - one.shape[axis]) for axis in (0, 1)], mode="edge")
        assert (border[:6] == other[:6]).all() and (border[-6:] == other[-6:]).all()


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_swapped_in_an_sdr_view(tmp_path, transfer):
    """All samples outside of the face are exact, and the face has the code values of the color that was painted."""

    def configure(container, stream):
        codec = stream.codec_context
        codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = 1, 9, 9, transfer

    source = write_clip(tmp_path / "source.mkv", 3, codec="ffv1", pixel_format="yuv420p10le", configure=configure)
    swap(source, tmp_path / "out.mkv", lossless=True)
    (before, *_), (after, *_) = planes_of(source)[0], planes_of(tmp_path / "out.mkv")[0]
    color = read_info(source).layout.color
    assert color.light.transfer == {16: "pq", 18: "hlg"}[transfer]
    expected = color.from_rgb(torch.full((3, 1, 1), 0.75)).flatten().round().tolist()
    assert after[0][24, 32] == expected[0] and [plane[12, 16] for plane in after[1:]] == expected[1:]
    assert (before[0][:10] == after[0][:10]).all() and (before[0][:, :18] == after[0][:, :18]).all()
    assert read_info(tmp_path / "out.mkv").layout.tags == read_info(source).layout.tags


def test_a_damaged_clip_stays_in_step_with_its_sound(tmp_path):
    source = write_clip(tmp_path / "source.mp4", 40, g="10", bf="0", sound="aac")
    _, times = planes_of(source)
    with av.open(str(source)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    start, size = places[17]
    data[start : start + size] = bytes(size)
    source.write_bytes(data)
    report = swap(source, tmp_path / "out.mp4")
    assert report.counts.frames == 39 and "damaged packets" in report.notes[0]
    assert planes_of(tmp_path / "out.mp4")[1] == [*times[:17], *times[18:]]
    assert packets_of(source, "audio") == packets_of(tmp_path / "out.mp4", "audio")


def test_streams_of_broadcasts_start_at_zero(tmp_path):
    source = write_clip(tmp_path / "source.ts", 20, sound="aac")
    swap(source, tmp_path / "out.mp4")
    before, after = planes_of(source)[1], planes_of(tmp_path / "out.mp4")[1]
    sound, new_sound = packets_of(source, "audio")[1], packets_of(tmp_path / "out.mp4", "audio")[1]
    assert before[0] > 0 and min(after[0], new_sound[0]) == pytest.approx(0, abs=1e-3)
    assert after[0] - new_sound[0] == pytest.approx(before[0] - sound[0], abs=1e-3)
    assert np.diff([float(time) for time in after]) == pytest.approx(np.full(19, 0.04), abs=1e-4)
