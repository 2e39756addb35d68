"""Video files as they come: what is read from them, and what is wrong with them."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import moving_picture, planes_of, samples, write_clip

from styleswap_core.compositing.pixels import pixels_of
from styleswap_core.errors import StyleSwapError
from styleswap_core.media.frame_planes import planar
from styleswap_core.media.frame_reader import open_video
from styleswap_core.media.orientation import Orientation
from styleswap_core.media.video_source import UnreadableVideo, read_info


def read_all(path, after=None):
    """Frames, their times in units of the time base, and what was wrong."""
    with open_video(path, read_info(path)) as reader:
        timed = list(reader.frames(after))
        return [one.frame for one in timed], [one.pts for one in timed], reader.damage


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_are_upright(tmp_path, turn, mirrored):
    """The reference turns the picture step by step: counterclockwise, then mirrored."""

    def configure(container, stream):
        stream.set_display_rotation(turn, hflip=mirrored)

    path = write_clip(tmp_path / "a.mkv", 1, (62, 48), "ffv1", "bgr0", configure=configure)
    info = read_info(path)
    (frame,), _, _ = read_all(path)
    expected = np.rot90(moving_picture(0, 48, 62), turn // 90)
    expected = expected[:, ::-1] if mirrored else expected
    assert info.layout.size == expected.shape[:2]
    assert (info.layout.rgb(frame) == expected).all()
    picture = info.layout.picture(frame)
    assert (pixels_of(picture).uint8() == expected).all()
    assert (pixels_of(picture.of_result()).uint8() == expected).all()


def test_a_display_matrix_of_zeros_is_no_orientation():
    assert Orientation.of_matrix([0] * 9).is_identity
    # Turned by 2 degrees, as stabilizers write it.
    assert Orientation.of_matrix([65496, 2287, 0, -2287, 65496, 0, 0, 0, 1 << 30]).is_identity


@pytest.mark.parametrize(
    ("size", "tags", "luma"),
    [
        ((1280, 720), {}, (0.2126, 0.0722)),
        ((640, 480), {}, (0.299, 0.114)),
        ((640, 480), {"colorspace": 1}, (0.2126, 0.0722)),
        ((1280, 720), {"colorspace": 9}, (0.2627, 0.0593)),
        ((640, 480), {"color_trc": 16}, (0.2627, 0.0593)),
    ],
)
def test_untagged_colors(tmp_path, size, tags, luma):
    def configure(container, stream):
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)

    path = write_clip(tmp_path / "a.mkv", 1, size, preset="ultrafast", configure=configure)
    color = read_info(path).layout.color
    assert color.luma == luma and not color.full_range
    assert color.light.transfer == ("pq" if tags.get("color_trc") == 16 else "sdr")
    assert color.light.primaries == ("bt2020" if tags.get("color_trc") == 16 else "bt709")


def test_colors_that_cannot_be_converted_are_refused(tmp_path):
    def configure(container, stream):
        stream.codec_context.colorspace = 14

    path = write_clip(tmp_path / "a.mkv", 1, configure=configure)
    with pytest.raises(StyleSwapError, match="matrix 14.*Dolby Vision.*ffmpeg -i"):
        read_info(path)


@pytest.mark.parametrize("pixel_format", ["nv12", "p010le", "rgb24", "bgra", "yuyv422"])
def test_planar_forms_keep_all_samples(pixel_format):
    frame = av.VideoFrame.from_ndarray(moving_picture(3), format="rgb24").reformat(format=pixel_format)
    form = planar(frame)
    assert form.format.name.startswith(("yuv", "gbr"))
    back = form.reformat(format=pixel_format, src_color_range=1, dst_color_range=1)
    for one, other in zip(samples(frame), samples(back), strict=True):
        assert (one == other).all()


def test_packets_that_cannot_be_decoded_are_passed_over(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 40, g="10", bf="0")
    before, times = planes_of(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos, packet.size) for packet in packets]
    data = bytearray(path.read_bytes())
    start, size = places[17]
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    frames, pts, damage = read_all(path)
    assert damage.lost_packets == 1 and "1 damaged packets were passed over" in damage.sentences()[0]
    assert len(frames) == 39
    unit = read_info(path).time_base
    assert [one * unit for one in pts] == [*times[:17], *times[18:]]
    # The next key frame ends the damage.
    assert (samples(frames[-1])[0] == before[-1][0]).all()


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_truncated_file_is_read_up_to_its_end(tmp_path, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = write_clip(tmp_path / name, 60, (320, 240), container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, _, damage = read_all(path)
    assert 20 < len(frames) < 50
    assert damage.ended.endswith("of 2.4 s") and "ends early" in damage.sentences()[0]


def test_whole_files_are_not_damaged(tmp_path):
    times = [0, 1, 2, 30, 31, 200]
    for name, more in (("a.mkv", {}), ("a.mp4", {"times": times}), ("b.mkv", {"times": times, "sound": "aac"})):
        count = len(more.get("times", range(20)))
        _, _, damage = read_all(write_clip(tmp_path / name, count, **more))
        assert damage.sentences() == []


def test_reading_from_a_time_gives_the_frames_after_it(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 40, g="12")
    frames, pts, _ = read_all(path)
    for place in (0, 11, 12, 25, 38):
        rest, times, _ = read_all(path, pts[place])
        assert times == pts[place + 1 :]
        for one, other in zip(frames[place + 1 :], rest, strict=True):
            assert (samples(one)[0] == samples(other)[0]).all()


def test_an_index_that_is_wrong_costs_no_frame(tmp_path, monkeypatch):
    """A seek that ends behind the time that is asked for."""
    path = write_clip(tmp_path / "a.mp4", 40, g="8")
    _, pts, _ = read_all(path)
    with open_video(path, read_info(path)) as reader:
        container = reader.container

        class Inexact:
            def seek(self, offset, stream):
                container.seek(pts[35] if offset > reader.info.first_pts else offset, stream=stream)

            demux = container.demux

        reader.container = Inexact()
        assert [one.pts for one in reader.frames(pts[10])] == pts[11:]


def test_frames_of_other_sizes_are_scaled_to_the_first(tmp_path):
    path = tmp_path / "a.mjpeg"
    with open(path, "wb") as file:
        for number in range(6):
            picture = moving_picture(number, *((48, 64) if number < 4 else (96, 128)))
            codec = av.CodecContext.create("mjpeg", "w")
            codec.width, codec.height, codec.pix_fmt = picture.shape[1], picture.shape[0], "yuvj420p"
            codec.time_base = Fraction(1, 25)
            packets = codec.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")) + codec.encode(None)
            file.writelines(map(bytes, packets))
    frames, pts, damage = read_all(path)
    assert {(frame.width, frame.height) for frame in frames} == {(64, 48)} and len(frames) == 6
    assert damage.resized_frames == 2 and pts == sorted(set(pts))


def test_files_without_times(tmp_path):
    frames, pts, damage = read_all(write_clip(tmp_path / "a.h264", 10))
    assert len(frames) == 10 and len(set(np.diff(pts))) == 1 and damage.sentences() == []


def test_edit_lists(tmp_path):
    """A file that starts in the middle of its first group of pictures, as after a cut without encoding."""
    whole, path = write_clip(tmp_path / "whole.mp4", 30, g="30"), tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as result:
        stream = result.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts - 10 * 512, packet.dts - 10 * 512
                packet.stream = stream
                result.mux(packet)
    frames, pts, _ = read_all(path)
    expected, times = planes_of(path)
    assert [one * read_info(path).time_base for one in pts] == times
    assert (samples(frames[0])[0] == expected[0][0]).all()


def test_a_cover_is_not_the_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(moving_picture(0, 32, 32), format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
    with pytest.raises(UnreadableVideo, match="contains no video stream"):
        read_info(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"no video at all" * 100, "is not a readable video.*convert it"), (None, "check the path")],
)
def test_files_that_are_no_videos(tmp_path, content, message):
    path = tmp_path / "a %03d.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableVideo, match=message):
        read_info(path)


def test_sound_alone(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UnreadableVideo, match="contains no video stream"):
        read_info(path)


def test_a_video_in_memory(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 5)
    source = io.BytesIO(path.read_bytes())
    source.seek(100)
    assert read_info(source).codec == "h264"
    assert len(read_all(source)[0]) == 5
