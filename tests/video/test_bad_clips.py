"""Videos and results that cannot be used: one sentence each, and nothing is left half done."""

import av
import pytest
from clips import packets_of, planes_of, write_clip
from full_disk import disk_of
from toy_swapper import IDENTITY, toy_swapper

from styleswap_core.errors import StyleSwapError
from styleswap_core.media import encoders
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video
from styleswap_core.video.work_folder import work_folder

pytest.importorskip("resource", reason="limits of file sizes stand in for a full disk")
SHORT = ClipOptions(EncodingOptions(quality=1), segment_frames=5)


@pytest.fixture
def source(tmp_path):
    return write_clip(tmp_path / "source.mp4", 20, (320, 240), sound="aac")


def sentence(source, out, **more):
    """The error of a swap: one line that says what to do."""
    with pytest.raises(StyleSwapError) as error:
        swap_video(toy_swapper(more.pop("faces", None)), source, out, IDENTITY, **more)
    text = str(error.value)
    assert "\n" not in text and "; " in text and not out.is_file()
    return text


def test_copy_protection(tmp_path, source):
    protected = tmp_path / "protected.mp4"
    protected.write_bytes(source.read_bytes().replace(b"avc1", b"encv"))
    assert "copy protection (DRM); use a copy without protection" in sentence(protected, tmp_path / "out.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_no_frames(tmp_path, suffix):
    empty = tmp_path / f"empty{suffix}"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert f"empty{suffix} " in sentence(empty, tmp_path / "out.mp4")


def test_sound_alone(tmp_path):
    sound = tmp_path / "sound.m4a"
    with av.open(str(sound), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        container.start_encoding()
        container.mux(stream.encode())
    assert "no video stream; name a file with pictures" in sentence(sound, tmp_path / "out.mp4")


def test_no_face(tmp_path, source):
    for tracking in ({}, {"tracking": None}):
        text = sentence(source, tmp_path / "out.mp4", faces=lambda number: [], clip=ClipOptions(**tracking))
        assert "no face was found in" in text and "lower the detection threshold" in text
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_damage_is_told_also_after_an_interruption(tmp_path):
    """A packet that cannot be decoded, and an end that is missing: a note on each, also for work that was resumed."""
    options = {"movflags": "faststart"}
    long = write_clip(tmp_path / "long.mp4", 60, (320, 240), g="10", bf="0", container_options=options)
    with av.open(str(long)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data, (start, size) = bytearray(long.read_bytes()), places[3]
    data[start : start + size] = bytes(size)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data[: sum(places[45])])
    clip = ClipOptions(segment_frames=8)
    whole = swap_video(toy_swapper(), damaged, tmp_path / "whole.mkv", IDENTITY, clip=clip)
    assert whole.counts.frames == 45 and len(planes_of(tmp_path / "whole.mkv")[0]) == 45
    assert whole.notes[0].startswith("1 damaged packets were passed over") and "ends early" in whole.notes[1]

    def stop(number):
        if number == 30:
            raise KeyError

    with pytest.raises(KeyError):
        swap_video(toy_swapper(), damaged, tmp_path / "again.mkv", IDENTITY, clip=clip, on_frame=stop)
    again = swap_video(toy_swapper(), damaged, tmp_path / "again.mkv", IDENTITY, clip=clip, resume=True)
    assert again.notes == whole.notes and again.counts == whole.counts


# The detections, the segments, and the joined file.
@pytest.mark.parametrize(("size", "tracked"), [(3_000, True), (40_000, False), (300_000, True)])
def test_a_full_disk(tmp_path, source, size, tracked):
    out, clip = tmp_path / "out.mp4", SHORT if tracked else ClipOptions(SHORT.encoding, tracking=None, segment_frames=5)
    swap_video(toy_swapper(), source, tmp_path / "whole.mp4", IDENTITY, clip=clip)
    with disk_of(size):
        text = sentence(source, out, clip=clip)
    assert "File too large" in text and "make room on the disk" in text
    assert work_folder(out).is_dir()
    swap_video(toy_swapper(), source, out, IDENTITY, clip=clip, resume=True)
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes() and len(packets_of(out, "audio")[0]) > 20
    assert not work_folder(out).exists()


def test_results_that_cannot_be_written(tmp_path, source):
    out = tmp_path / "out.mp4"
    (tmp_path / "folder.mp4").mkdir()
    assert "it is a folder; choose a file name" in sentence(source, tmp_path / "folder.mp4")
    texts = []

    def again(number):
        if number == 7:
            texts.append(sentence(source, out, clip=SHORT, resume=True))
            texts.append(sentence(source, out, clip=SHORT))

    # The first run is not disturbed.
    report = swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, on_frame=again)
    assert report.counts.frames == 20 and not work_folder(out).exists()
    assert all("another run is writing" in text and "choose another name" in text for text in texts) and len(texts) == 2


def test_an_encoder_that_this_build_lacks(tmp_path, source, monkeypatch):
    monkeypatch.setattr(encoders, "_is_video_encoder", lambda name: False)
    out = tmp_path / "out.mp4"
    assert "none of the encoders libx265" in sentence(source, out, clip=ClipOptions(EncodingOptions("hevc")))
    assert "a video encoder that this build" in sentence(source, out, clip=ClipOptions(EncodingOptions("h264_nvenc")))
