"""Swap Face in Video in a real ComfyUI: kinds of VIDEO, cancellation, memory and files."""

from fractions import Fraction

import av
import numpy as np
import pytest
from comfy_server import PeakMemory, error_message
from workflow_files import SWAP, SWAP_VIDEO, SYNTHETIC, load_prompt, only, small_prompt

RATE, SIDE, SECOND = 16, 192, 48_000
MIB = 2**20


@pytest.fixture(scope="module")
def faces():
    """Eight frames (8, H, W, 3) uint8 of a moving head."""
    from styleswap_core.io.images import to_uint8
    from styleswap_core.synthetic.scene import SyntheticScene

    scene = SyntheticScene(target_person=25, target_setting=25, motion_setting=9, size=SIDE, frames=8)
    return np.concatenate([to_uint8(scene.target_frame(number)[0][None]) for number in range(8)])


def _write(path, frames, count, sound=False):
    """A clip of `count` frames that repeat `frames`, and its packets of sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "12", "g": "16", "preset": "ultrafast"})
        video.height, video.width, video.pix_fmt = *frames.shape[1:3], "yuv420p"
        audio = container.add_stream("aac", rate=SECOND) if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(frames[number % len(frames)], "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            tone = np.sin(np.arange(SECOND * count // RATE) * 0.05)[None].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            frame.sample_rate, frame.pts = SECOND, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return _sound(path)


def _sound(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0)] if container.streams.audio else []


def _frames(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture
def clip(server, faces):
    """Name of a clip of one second in ComfyUI's input folder, and its packets of sound."""
    path = server.base / "input" / "talk.mp4"
    return path.name, _write(path, faces, RATE, sound=True)


def _prompt(name, kind="streamed", **widgets):
    """The template `12_video_stream` with a clip from the input folder as a `kind` of VIDEO."""
    prompt = load_prompt("12_video_stream")
    prompt[only(prompt, SYNTHETIC)]["inputs"] |= {"size": SIDE, "frames": 1}
    del prompt[only(prompt, "CreateVideo")]
    prompt["clip"] = {"class_type": "LoadVideo", "inputs": {"file": name}}
    prompt["kind"] = {"class_type": "Probe_Video", "inputs": {"value": ["clip", 0], "kind": kind}}
    prompt[only(prompt, SWAP_VIDEO)]["inputs"] |= {"video": ["kind", 0], **widgets}
    return prompt


def _saved(run, tmp_path):
    """The file that Save Video wrote."""
    (saved,) = run.files(only(run.entry["prompt"][2], "SaveVideo"))
    path = tmp_path / saved["filename"]
    path.write_bytes(run.server.view(saved))
    return path


def _report(run):
    (text,) = run.texts(only(run.entry["prompt"][2], "PreviewAny"))
    return text


def _temporary_files(server):
    folder = server.base / "temp"
    return {path for path in folder.rglob("*") if "styleswap" in str(path)} if folder.is_dir() else set()


@pytest.mark.parametrize("kind", ["streamed", "in memory", "frames"])
def test_every_frame_and_its_sound_arrive(server, clip, tmp_path, kind):
    name, sound = clip
    run = server.run(_prompt(name, kind))
    result, source = _saved(run, tmp_path), _frames(server.base / "input" / name)
    assert _frames(result).shape == source.shape
    if kind != "frames":
        # Packet by packet; of frames in memory, ComfyUI has decoded the sound.
        assert _sound(result) == sound
    assert len(_sound(result)) > 0
    assert f"in {RATE} of {RATE} frames" in _report(run)
    assert "track 0: frames 0 to 15" in _report(run)
    difference = np.abs(_frames(result).astype(int) - source)
    assert difference[:, :8].mean() < 3 and difference.max() > 40


def test_the_frames_of_a_batch_are_followed_too(server):
    prompt = small_prompt(frames=4, faces="all", tracking=True)
    prompt["report"] = {"class_type": "PreviewAny", "inputs": {"source": [only(prompt, SWAP), 3]}}
    run = server.run(prompt)
    (report,) = run.texts("report")
    assert "swapped 4 faces in 4 of 4 frames" in report and "track" in report
    prompt[only(prompt, SWAP)]["inputs"]["tracking"] = False
    alone = server.run(prompt)
    assert "track" not in alone.texts("report")[0]
    # The points are smoothed, so that the crops lie elsewhere.
    assert (run.pixels("shown") != alone.pixels("shown")).any()


def test_a_trimmed_video_is_swapped_where_it_is_shown(server, clip, tmp_path):
    run = server.run(_prompt(clip[0], "trimmed"))
    assert "in 8 of 8 frames" in _report(run)
    source, result = _frames(server.base / "input" / clip[0])[8:], _frames(_saved(run, tmp_path))
    assert np.abs(result.astype(int) - source)[:, :8].mean() < 3
    shorter = server.run(_prompt(clip[0], "trimmed", start=0.25))
    assert "in 4 of 4 frames" in _report(shorter)
    entry = server.await_end(server.queue(_prompt(clip[0], "trimmed", start=0.75)))
    assert SWAP_VIDEO in error_message(entry) and "0.5 s long" in error_message(entry)


def test_edits_that_the_file_lacks_are_in_the_result(server, clip, tmp_path):
    run = server.run(_prompt(clip[0], "edited"))
    source, result = _frames(server.base / "input" / clip[0]), _frames(_saved(run, tmp_path))
    assert result.shape == source.shape
    assert np.abs(result.astype(int) - source[:, :, ::-1])[:, :8].mean() < 3


def test_the_choice_of_part_container_and_codec(server, clip, tmp_path):
    before = _temporary_files(server)
    run = server.run(_prompt(clip[0], start=0.25, duration=0.5, container="mkv", codec="ffv1", tracking=False))
    assert "in 8 of 8 frames" in _report(run) and "ffv1" in _report(run)
    assert "track" not in _report(run)
    (file,) = _temporary_files(server) - before
    assert file.suffix == ".mkv"
    with av.open(str(file)) as container:
        assert container.streams.video[0].codec.name == "ffv1"


@pytest.mark.parametrize("kind", ["one mask", "streamed", "in memory"])
def test_masks_keep_what_they_cover(server, clip, faces, kind):
    """The right half stays in the second half of the clip; without a mask for each frame, in all of it."""
    halves = np.zeros((RATE, SIDE, SIDE, 3), np.uint8)
    halves[RATE // 2 :, :, SIDE // 2 :] = 255
    prompt = _prompt(clip[0], lossless=True, container="mkv")
    if kind == "one mask":
        prompt["keep"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": SIDE, "height": SIDE}}
        prompt[only(prompt, SWAP_VIDEO)]["inputs"]["on_missing"] = "pass through"
    else:
        _write(server.base / "input" / "masks.mp4", halves, RATE)
        prompt["masks"] = {"class_type": "LoadVideo", "inputs": {"file": "masks.mp4"}}
        prompt["keep"] = {"class_type": "Probe_Video", "inputs": {"value": ["masks", 0], "kind": kind}}
    prompt[only(prompt, SWAP_VIDEO)]["inputs"]["keep"] = ["keep", 0]
    before = _temporary_files(server)
    server.run(prompt)
    (file,) = _temporary_files(server) - before
    changed = (_frames(file) != _frames(server.base / "input" / clip[0])).any(axis=(1, 3))
    if kind == "one mask":
        assert not changed.any()
        return
    middle, margin = SIDE // 2, 8
    assert changed[:, : middle - margin].any(axis=1).all()
    assert changed[: RATE // 2, middle + margin :].any(axis=1).all()
    assert not changed[RATE // 2 :, middle + margin :].any()


def test_masks_and_segments_choose_faces(server, clip):
    prompt = _prompt(clip[0], on_missing="pass through")
    swap = only(prompt, SWAP_VIDEO)
    prompt["nothing"] = {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 32, "height": 32}}
    prompt["picture"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1, "color": 0},
    }
    prompt["whole"] = {"class_type": "Probe_Segs", "inputs": {"value": ["picture", 0], "kind": "whole"}}
    prompt["report"] = {"class_type": "PreviewAny", "inputs": {"source": [swap, 1]}}
    for name, value, swapped in (("only_in", ["nothing", 0], 0), ("segs", ["whole", 0], RATE)):
        changed = {**prompt, swap: {**prompt[swap], "inputs": prompt[swap]["inputs"] | {name: value}}}
        assert f"in {swapped} of {RATE} frames" in server.run(changed).texts("report")[0], name
    prompt[swap]["inputs"] |= {"segs": ["whole", 0], "only_in": ["kind", 0]}
    message = error_message(server.await_end(server.queue(prompt)))
    assert "expected a mask in only_in together with segs, got a video" in message


def test_a_video_without_faces_is_an_error_unless_it_may_pass(server, tmp_path):
    name = "gray.mp4"
    _write(server.base / "input" / name, np.full((1, 64, 64, 3), 128, np.uint8), 4)
    before = _temporary_files(server)
    message = error_message(server.await_end(server.queue(_prompt(name))))
    assert SWAP_VIDEO in message and "face" in message
    assert _temporary_files(server) == before
    run = server.run(_prompt(name, on_missing="pass through"))
    assert "swapped 0 faces in 0 of 4 frames" in _report(run)
    assert len(_frames(_saved(run, tmp_path))) == 4


def test_a_file_that_is_gone_is_named(server, clip):
    message = error_message(server.await_end(server.queue(_prompt(clip[0], "missing"))))
    assert "talk.mp4.missing.mp4" in message and "Traceback" not in message


@pytest.mark.parametrize("tracking", [True, False])
def test_interrupt_ends_a_long_video_and_leaves_nothing(server, faces, tracking):
    name = f"long-{tracking}.mp4"
    _write(server.base / "input" / name, faces, 600)
    before = _temporary_files(server)
    prompt = _prompt(name, tracking=tracking)
    prompt_id = server.queue(prompt)
    swap = only(prompt, SWAP_VIDEO)
    server.await_working(prompt_id, swap)
    entry, steps = server.interrupt(prompt_id, swap)
    assert error_message(entry) == "interrupted"
    assert steps <= prompt[swap]["inputs"]["batch_size"]
    assert _temporary_files(server) == before


def test_memory_does_not_depend_on_the_length(server, faces):
    peaks = []
    # The first run is the warm-up. As a batch, 450 more frames of 192 x 192 would take 190 MiB.
    for count in (150, 150, 600):
        name = f"frames-{count}-{len(peaks)}.mp4"
        _write(server.base / "input" / name, faces, count)
        with PeakMemory(server) as memory:
            server.run(_prompt(name))
        peaks.append(memory.peak // MIB)
    assert peaks[2] <= peaks[1] + 48, peaks
