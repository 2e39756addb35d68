"""One call for a video file: interruptions, resumption and refusals."""

import threading

import av
import numpy as np
import pytest
import torch
from clips import packets_of, planes_of, write_clip
from toy_swapper import IDENTITY, face_at, toy_swapper

from styleswap_core.errors import StyleSwapError
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video
from styleswap_core.video.work_folder import work_folder

SHORT = ClipOptions(tracking=None, segment_frames=5)


class Stop(Exception):
    pass


def stop_at(number, error):
    def on_frame(frame):
        if frame == number:
            raise error

    return on_frame


@pytest.fixture
def source(tmp_path):
    return write_clip(tmp_path / "source.mp4", 23, sound="aac")


@pytest.mark.parametrize("stops", [[0], [7], [5, 6, 10, 22], [12, 3]])
def test_resumed_work_equals_undisturbed_work(tmp_path, source, stops):
    swap_video(toy_swapper(), source, tmp_path / "whole.mp4", IDENTITY, clip=SHORT)
    out = tmp_path / "resumed.mp4"
    for number, stop in enumerate(stops):
        seen = []

        def on_frame(frame, stop=stop, seen=seen):
            seen.append(frame)
            # A stop before the first segment that is missing comes at once.
            if frame == max(stop, seen[0]):
                raise Stop

        with pytest.raises(Stop):
            swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, resume=number > 0, on_frame=on_frame)
        assert not out.exists()
    first = []
    report = swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, resume=True, on_frame=first.append)
    assert first[0] == max(0, *((stop // 5) * 5 for stop in stops)) and first[-1] == 22
    assert report.counts.frames == report.counts.swapped_frames == 23
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not work_folder(out).exists()


def test_ctrl_c_leaves_a_playable_file(tmp_path, source):
    out = tmp_path / "out.mp4"
    report = swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, on_frame=stop_at(17, KeyboardInterrupt()))
    assert report.interrupted and 8 <= report.counts.frames <= 17
    frames, times = planes_of(out)
    assert len(frames) == report.counts.frames
    assert packets_of(out, "audio")[1][-1] < times[-1] + 0.04
    whole = swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, resume=True)
    assert not whole.interrupted and len(planes_of(out)[0]) == 23
    swap_video(toy_swapper(), source, tmp_path / "whole.mp4", IDENTITY, clip=SHORT)
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_other_options_are_not_resumed(tmp_path, source):
    def run(**more):
        swap_video(toy_swapper(), source, tmp_path / "out.mp4", IDENTITY, clip=SHORT, **more)

    with pytest.raises(Stop):
        run(on_frame=stop_at(12, Stop()))
    with pytest.raises(StyleSwapError, match="swap options"):
        run(options=SwapOptions(mask_grow=1), resume=True)
    with pytest.raises(StyleSwapError, match="choice of faces"):
        run(faces=[0], resume=True)
    seen = []
    run(options=SwapOptions(mask_grow=1), on_frame=seen.append)
    assert seen[0] == 0


def test_threads_end_with_an_error(tmp_path, source):
    with pytest.raises(Stop):
        swap_video(toy_swapper(), source, tmp_path / "out.mp4", IDENTITY, clip=SHORT, on_frame=stop_at(7, Stop()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("styleswap")]


def test_a_disk_that_fills_up(tmp_path, source, monkeypatch):
    """The error is one sentence, and what is finished can be resumed."""
    from styleswap_core.media.segment_file import SegmentWriter

    original, written = SegmentWriter._encode, []

    def full(self, frame):
        written.append(frame)
        if len(written) > 13:
            with self._errors():
                raise av.error.FFmpegError(28, "No space left on device")
        original(self, frame)

    out = tmp_path / "out.mp4"
    with monkeypatch.context() as patch, pytest.raises(StyleSwapError, match="No space left on device.*make room"):
        patch.setattr(SegmentWriter, "_encode", full)
        swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT)
    assert not out.exists()
    seen = []
    swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, resume=True, on_frame=seen.append)
    assert seen[0] == 10 and len(planes_of(out)[0]) == 23


def test_refusals(tmp_path, source):
    def run(target=source, out="out.mp4", faces=None, **more):
        swap_video(toy_swapper(faces), target, tmp_path / out, IDENTITY, **more)

    with pytest.raises(StyleSwapError, match="is the video itself"):
        run(out="source.mp4")
    with pytest.raises(StyleSwapError, match="one of the suffixes .mp4, .m4v, .mov, .mkv, .webm, got .avi"):
        run(out="out.avi")
    with pytest.raises(StyleSwapError, match="a codec out of h264, hevc.*'h265x'"):
        run(clip=ClipOptions(EncodingOptions("h265x")))
    with pytest.raises(StyleSwapError, match="does not hold|do not hold ffv1"):
        run(clip=ClipOptions(EncodingOptions("ffv1")))
    with pytest.raises(StyleSwapError, match="without loss"):
        run(clip=ClipOptions(EncodingOptions("av1", lossless=True)))
    with pytest.raises(StyleSwapError, match="do not hold the sound of this video .aac"):
        run(out="out.webm")
    with pytest.raises(StyleSwapError, match="no frames in this part"):
        run(clip=ClipOptions(start=5.0))
    with pytest.raises(StyleSwapError, match="start of 0 s or later"):
        run(clip=ClipOptions(start=-1.0))
    with pytest.raises(StyleSwapError, match="the folder .* does not exist"):
        run(out="nowhere/out.mp4")
    with pytest.raises(StyleSwapError, match="no face was found"):
        run(faces=lambda number: [])
    with pytest.raises(StyleSwapError, match="check the path"):
        run(target=tmp_path / "missing.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.mp4"]


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available, reason="PyAV was built without this encoder")
def test_an_encoder_without_its_hardware(tmp_path, source):
    message = ""
    try:
        swap_video(toy_swapper(), source, tmp_path / "o.mp4", IDENTITY, clip=ClipOptions(EncodingOptions("h264_nvenc")))
    except StyleSwapError as error:
        message = str(error)
    if message:
        assert "h264_nvenc does not start" in message and "choose another codec" in message
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source.mp4"]
    else:
        assert len(planes_of(tmp_path / "o.mp4")[0]) == 23


def test_several_faces_keep_their_identities(tmp_path, source):
    swapper = toy_swapper(lambda number: [face_at(16, 24), face_at(48, 24)])
    report = swap_video(swapper, source, tmp_path / "o.mkv", IDENTITY, "all", clip=SHORT)
    assert report.counts.swapped_faces == 46 and report.counts.swapped_frames == 23


def left_half(size=(48, 64)):
    mask = np.zeros(size, np.float32)
    mask[:, : size[1] // 2] = 1
    return mask


def changed_halves(source, out):
    """Whether the left and the right of each frame differ from the source's."""
    pairs = zip(planes_of(source)[0], planes_of(out)[0], strict=True)
    changed = [before[0] != after[0] for before, after in pairs]
    return [(bool(one[:, :28].any()), bool(one[:, 32:].any())) for one in changed]


LOSSLESS = ClipOptions(EncodingOptions(lossless=True), tracking=None, segment_frames=5)


def test_one_mask_keeps_a_part_of_all_frames(tmp_path, source):
    for mask in (left_half(), torch.from_numpy(left_half((6, 8))), left_half()[None]):
        swap_video(toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, clip=LOSSLESS, keep=mask)
        assert changed_halves(source, tmp_path / "out.mkv") == [(False, True)] * 23


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("tracked", [False, True])
def test_masks_belong_to_frames_over_segments_and_interruptions(tmp_path, source, lazy, tracked):
    """The left half is kept in every third frame, also after work went on in the middle."""
    masks = np.stack([left_half() * (number % 3 == 0) for number in range(23)])
    clip = ClipOptions(EncodingOptions(lossless=True), segment_frames=5) if tracked else LOSSLESS

    def run(**more):
        keep = iter(masks) if lazy else masks
        swap_video(toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, clip=clip, keep=keep, **more)

    with pytest.raises(Stop):
        run(on_frame=stop_at(13, Stop()))
    run(resume=True)
    assert changed_halves(source, tmp_path / "out.mkv") == [(number % 3 != 0, True) for number in range(23)]


def test_masks_that_do_not_fit(tmp_path, source):
    def run(keep, **more):
        swap_video(toy_swapper(), source, tmp_path / "out.mp4", IDENTITY, clip=SHORT, keep=keep, **more)

    few = np.stack([left_half()] * 22)
    for masks in (few, iter(few), few[:5], iter(few[:5])):
        with pytest.raises(StyleSwapError, match="pass as many masks as frames"):
            run(masks)
    with pytest.raises(StyleSwapError, match=r"expected masks to keep .* got .1, 1, 48, 64."):
        run(left_half()[None, None])
    with pytest.raises(StyleSwapError, match=r"expected masks to keep \(h, w\), got \(1, 48, 64\)"):
        run(iter([left_half()[None]]))
    with pytest.raises(Stop):
        run(left_half(), on_frame=stop_at(12, Stop()))
    with pytest.raises(StyleSwapError, match="masks to keep differ"):
        run(1 - left_half(), resume=True)


def test_running_pictures(tmp_path, source):
    pictures, numbers = [], []

    def on_result(frame):
        numbers.append(frame.number)
        pictures.append(frame.picture())

    swap_video(toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, clip=LOSSLESS, on_result=on_result)
    assert numbers == list(range(23))
    with av.open(str(tmp_path / "out.mkv")) as container:
        for frame, picture in zip(container.decode(video=0), pictures, strict=True):
            assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture).max() <= 2


@pytest.mark.parametrize("callback", ["on_frame", "on_followed", "on_result"])
def test_cancellation_can_leave_nothing(tmp_path, source, callback):
    def cancel(frame):
        if (frame if isinstance(frame, int) else frame.number) == 12:
            raise Stop

    clip = ClipOptions(segment_frames=5)
    with pytest.raises(Stop):
        swap_video(
            toy_swapper(), source, tmp_path / "out.mp4", IDENTITY, clip=clip, resumable=False, **{callback: cancel}
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.mp4"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("styleswap")]


@pytest.mark.parametrize("tracked", [False, True])
def test_masks_choose_faces_over_segments_and_interruptions(tmp_path, source, tracked):
    """The only face lies in the mask in every third frame; with tracks, in most frames or in few."""
    rare = np.stack([np.full((6, 8), number % 3 == 0, np.float32) for number in range(23)])
    clip = ClipOptions(EncodingOptions(lossless=True), segment_frames=5) if tracked else LOSSLESS

    def run(only_in, **more):
        swap_video(toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, clip=clip, only_in=only_in, **more)

    def swapped():
        return [any(halves) for halves in changed_halves(source, tmp_path / "out.mkv")]

    masks = 1 - rare if tracked else rare
    with pytest.raises(Stop):
        run(masks, on_frame=stop_at(13, Stop()))
    run(masks, resume=True)
    assert swapped() == ([True] * 23 if tracked else [number % 3 == 0 for number in range(23)])
    with pytest.raises(StyleSwapError, match="shows a face that was asked for; choose other faces"):
        run(np.zeros((2, 2), np.float32))
    with pytest.raises(StyleSwapError, match="mask of faces.* pass as many masks as"):
        run(masks[:9])
