"""Swapped video files: only the pixels of faces differ, and everything else is kept."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import moving_picture, packets_of, planes_of, write_clip
from toy_swapper import IDENTITY, face_at, toy_swapper

from styleswap_core.errors import StyleSwapError
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.video.clip_plan import ClipOptions, plan_clip
from styleswap_core.video.clip_request import ClipRequest
from styleswap_core.video.clip_swapper import swap_clip

LOSSLESS = EncodingOptions(lossless=True)


@pytest.fixture
def swap(tmp_path):
    """Swap a clip; segments of 5 frames, so that several are joined."""

    def run(source, out, faces=None, **options):
        folder = tmp_path / "segments"
        folder.mkdir(exist_ok=True)
        plan = plan_clip(source, out, ClipOptions(**{"segment_frames": 5, "tracking": None, **options}))
        report = swap_clip(plan, out, ClipRequest(toy_swapper(faces), IDENTITY), folder)
        assert list(folder.iterdir()) == []
        return report

    return run


def mask_of(height, width):
    """Pixels that the toy swap changes in a frame of this size."""
    picture = np.zeros((height, width, 3), np.uint8)
    return toy_swapper().swap(picture, IDENTITY).mask.numpy() > 0


FORMATS = [
    ("libx264", "yuv420p", ".mp4"),
    ("libx264", "yuv420p10le", ".mkv"),
    ("libx264", "yuv422p", ".mp4"),
    ("libx264", "yuv444p10le", ".mp4"),
    ("libx265", "yuv420p12le", ".mkv"),
    ("mjpeg", "yuvj420p", ".mkv"),
    ("ffv1", "yuv420p", ".mkv"),
    ("ffv1", "yuv411p", ".mkv"),
    ("ffv1", "yuva420p", ".mkv"),
    ("ffv1", "gray", ".mkv"),
    ("ffv1", "gray10le", ".mkv"),
    ("ffv1", "bgr0", ".mkv"),
    ("ffv1", "bgra", ".mkv"),
    ("ffv1", "gbrp10le", ".mkv"),
    ("libvpx-vp9", "yuv420p", ".webm"),
]


@pytest.mark.parametrize(("codec", "pixel_format", "suffix"), FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_without_loss_all_samples_outside_of_the_face_are_those_of_the_source(
    swap, tmp_path, codec, pixel_format, suffix, size
):
    if size[0] % 2 and codec.startswith("libx26"):
        pytest.skip("the source cannot have odd sizes")
    source = write_clip(tmp_path / "source.mkv", 7, size, codec, pixel_format)
    out = tmp_path / f"out{suffix}"
    report = swap(source, out, encoding=LOSSLESS)
    assert report.counts.frames == report.counts.swapped_frames == 7 and report.notes == []
    before, times = planes_of(source)
    after, new_times = planes_of(out)
    assert new_times == times and len(after) == 7
    mask = mask_of(size[1], size[0])
    for one, other in zip(before, after, strict=True):
        assert len(one) == len(other)
        for place, (plane, swapped) in enumerate(zip(one, other, strict=True)):
            assert plane.shape == swapped.shape and plane.dtype == swapped.dtype
            changed = plane != swapped
            if pixel_format == "bgra":
                assert not changed[..., 3].any(), "transparency"
            changed = changed.any(-1) if changed.ndim == 3 else changed
            if place == 3:
                assert not changed.any(), "transparency"
                continue
            assert changed.any()
            rows, columns = (-(-whole // part) for whole, part in zip(size[::-1], changed.shape, strict=True))
            # A chroma sample is shared by the pixels less than one sample away.
            wide = np.kron(changed, np.ones((rows, columns), bool))[: size[1], : size[0]]
            reach = 2 * (max(rows, columns) - 1)
            near = mask.copy()
            for axis in (0, 1):
                near = np.any([np.roll(near, step, axis) for step in range(-reach, reach + 1)], axis=0)
            assert not (wide & ~near).any()


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_prores(swap, tmp_path, suffix):
    """Segments of ProRes are no NUT files, which cannot hold it; they are joined with all times."""
    times = [0, 3, 4, 9, 20, 21, 22, 40]
    source = write_clip(tmp_path / "source.mkv", len(times), times=times, time_base=Fraction(1, 50))
    report = swap(source, tmp_path / f"out{suffix}", encoding=EncodingOptions("prores"))
    assert report.counts.frames == report.counts.swapped_frames == len(times)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].codec_context.name == "prores"
    assert [round(float(time) * 50) for time in planes_of(tmp_path / f"out{suffix}")[1]] == times


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_variable_frame_rates_and_sound(swap, tmp_path, suffix):
    """Every frame keeps its own time, and the packets of the sound are those of the source."""
    times = [0, 3, 4, 9, 20, 21, 22, 40, 41, 55, 60, 61, 62]
    sound = "libopus" if suffix == ".webm" else "aac"
    source = write_clip(
        tmp_path / f"source{'.webm' if suffix == '.webm' else '.mp4'}",
        len(times),
        codec="libvpx-vp9" if suffix == ".webm" else "libx264",
        times=times,
        time_base=Fraction(1, 50),
        sound=sound,
    )
    swap(source, tmp_path / f"out{suffix}")
    _, before = planes_of(source)
    _, after = planes_of(tmp_path / f"out{suffix}")
    packets, starts = packets_of(source, "audio")
    new_packets, new_starts = packets_of(tmp_path / f"out{suffix}", "audio")
    assert new_packets == packets and len(packets) > 20
    # Matroska counts in milliseconds and has no negative times: there, everything begins later by the sound's lead.
    lead = 0 if suffix in (".mp4", ".mov") else new_starts[0] - starts[0]
    exact = suffix in (".mp4", ".mov")
    for old, new in ((before, after), (starts, new_starts)):
        assert len(old) == len(new)
        assert max(abs(b - a - lead) for a, b in zip(old, new, strict=True)) <= (0 if exact else Fraction(1, 1000))


def test_orientation_and_sample_aspect_are_kept(swap, tmp_path):
    """A mirrored and turned clip with wide samples: the face is found upright and with square pixels."""

    def turn(container, stream):
        stream.set_display_rotation(90, hflip=True)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = write_clip(tmp_path / "source.mp4", 6, configure=turn)
    folder = tmp_path / "segments"
    folder.mkdir()
    swapper = toy_swapper()
    plan = plan_clip(source, tmp_path / "out.mp4", ClipOptions(tracking=None))
    swap_clip(plan, tmp_path / "out.mp4", ClipRequest(swapper, IDENTITY), folder)
    assert swapper.analysis.pictures == [(85, 48, 3)] * 6
    found = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            found.append(
                (
                    container.streams.video[0].sample_aspect_ratio,
                    frame.rotation,
                    bytes(frame.side_data["DISPLAYMATRIX"]),
                )
            )
    assert found[0] == found[1]


def test_a_face_is_painted_where_it_is_seen(swap, tmp_path):
    """The toy face lies at a place of the upright picture; the coded samples there are changed, and no others."""

    def turn(container, stream):
        stream.set_display_rotation(90)

    source = write_clip(tmp_path / "source.mp4", 2, configure=turn)
    swap(source, tmp_path / "out.mkv", faces=lambda number: [face_at(12, 50)], encoding=LOSSLESS)
    (before, *_), _ = planes_of(source)
    (after, *_), _ = planes_of(tmp_path / "out.mkv")
    rows, columns = np.nonzero(before[0] != after[0])
    # Turned by 90 degrees counterclockwise: column x of the picture is row x, and row y is column 63 - y.
    assert 11.0 < (rows.min() + rows.max() + 1) / 2 < 13.0
    assert 13.0 < (columns.min() + columns.max() + 1) / 2 < 15.0


def test_tags_metadata_chapters_and_languages_are_kept(swap, tmp_path):
    def tag(container, stream):
        codec = stream.codec_context
        codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = 1, 9, 9, 14
        container.metadata.update({"title": "A clip", "com.example.key": "kept"})
        container.streams.audio[0].metadata["language"] = "fra"
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
                {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
            ]
        )

    source = write_clip(tmp_path / "source.mkv", 12, sound="aac", configure=tag)
    for name in ("out.mkv", "out.mp4"):
        swap(source, tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            codec = container.streams.video[0].codec_context
            assert (codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 9, 9, 14)
            metadata = {key.lower(): value for key, value in container.metadata.items()}
            assert metadata["title"] == "A clip" and metadata["com.example.key"] == "kept"
            assert metadata["styleswap"].startswith("face swapped")
            assert container.streams.audio[0].language == "fra"
            chapters = [
                (float(one["start"] * one["time_base"]), float(one["end"] * one["time_base"]), one["metadata"]["title"])
                for one in container.chapters()
            ]
            assert chapters == [(0.0, 0.2, "one"), (0.2, 0.48, "two")]


def test_a_part_of_a_clip(swap, tmp_path):
    source = write_clip(tmp_path / "source.mp4", 40, sound="aac")
    report = swap(source, tmp_path / "out.mkv", start=0.4, duration=0.8, encoding=LOSSLESS)
    assert report.counts.frames == 20
    _, times = planes_of(tmp_path / "out.mkv")
    assert times[0] == 0 and times[-1] == Fraction(19 * 40, 1000)
    (first, *_), _ = planes_of(tmp_path / "out.mkv")
    frames, _ = planes_of(source)
    assert (first[0][0] == frames[10][0][0]).all() and (first[0][0] != frames[9][0][0]).any()
    packets, starts = packets_of(tmp_path / "out.mkv", "audio")
    everything, _ = packets_of(source, "audio")
    place = everything.index(packets[0])
    assert packets == everything[place : place + len(packets)] and len(packets) == pytest.approx(
        0.8 * 48000 / 1024, abs=1
    )
    assert 0 <= starts[0] < 0.022


def test_clips_without_faces_are_refused(swap, tmp_path):
    source = write_clip(tmp_path / "source.mp4", 4)
    with pytest.raises(StyleSwapError, match="no face was found in .*source.mp4"):
        swap(source, tmp_path / "out.mp4", faces=lambda number: [])
    assert not (tmp_path / "out.mp4").exists()


def test_frames_without_a_face_pass(swap, tmp_path):
    source = write_clip(tmp_path / "source.mp4", 6)
    report = swap(
        source,
        tmp_path / "out.mkv",
        faces=lambda number: [face_at(32, 24)] if number % 2 else [],
        encoding=LOSSLESS,
    )
    assert report.counts.swapped_frames == 3 and report.counts.frames_without_faces == 3
    before, after = planes_of(source)[0], planes_of(tmp_path / "out.mkv")[0]
    same = [
        all((a == b).all() for a, b in zip(one, other, strict=True)) for one, other in zip(before, after, strict=True)
    ]
    assert same == [True, False] * 3


def test_memory_does_not_grow_with_the_length(swap, tmp_path, monkeypatch):
    """Never more frames than the queues hold are alive, however long the clip."""
    import gc
    import weakref

    from styleswap_core.media import frame_planes

    alive, most = weakref.WeakSet(), []
    original = frame_planes.FrameLayout.picture

    def counted(self, frame):
        picture = original(self, frame)
        alive.add(picture)
        most.append(len(alive))
        return picture

    monkeypatch.setattr(frame_planes.FrameLayout, "picture", counted)
    gc.collect()
    source = write_clip(tmp_path / "long.mp4", 300, (32, 32), picture=lambda number, h, w: moving_picture(number, h, w))
    report = swap(source, tmp_path / "out.mp4", segment_frames=64)
    assert report.counts.frames == len(most) == 300
    # The pipeline's batch and the batch that is read ahead, and the frame in the caller's hands.
    assert max(most) <= 30
