"""Blending, masks of what stays, and masks of what was replaced, in video files."""

import av
import numpy as np
import pytest
import torch
from clips import planes_of, write_clip
from PIL import Image
from toy_swapper import IDENTITY, face_at, toy_swapper

from styleswap_core.compositing.composite import BlendOptions, blend_with_mask
from styleswap_core.compositing.mask_shaping import grow_mask
from styleswap_core.errors import StyleSwapError
from styleswap_core.io.images import from_uint8, to_uint8
from styleswap_core.io.sheets import mask_picture
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.video.clip_mask_files import read_mask_file
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video

COUNT = 12
EXACT = {"encoding": EncodingOptions(lossless=True), "tracking": None, "segment_frames": 5}


class Stop(Exception):
    pass


def rgb_frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def swapper():
    return toy_swapper(lambda number: [face_at(24 + number, 26)])


@pytest.fixture
def source(tmp_path):
    return write_clip(tmp_path / "source.mkv", COUNT, codec="ffv1", pixel_format="bgr0", sound="aac")


def stripes(count=COUNT):
    """A gray mask for each frame, white from a column on that moves."""
    masks = np.zeros((count, 48, 64), np.float32)
    for number, mask in enumerate(masks):
        mask[:, 26 + number :] = 1
    return masks


BLENDS = [
    BlendOptions(),
    BlendOptions(grow=2, feather=3.0, color_match="mean-std", color_strength=0.7),
    BlendOptions(method="multi-band"),
    BlendOptions(grow=-1, method="seamless", color_match="histogram"),
]


@pytest.mark.parametrize("options", BLENDS, ids=lambda options: options.method + options.color_match)
@pytest.mark.parametrize("keep", [None, stripes()], ids=["all", "keep"])
def test_frames_are_blended_as_pictures_are(tmp_path, source, options, keep):
    """RGB without loss, so that the frames are those of `blend_with_mask`, up to the rounding of the result."""
    out, masks = tmp_path / "out.mkv", tmp_path / "masks.mkv"
    clip = ClipOptions(**EXACT, blending=options, mask_out=masks)
    swap_video(swapper(), source, out, IDENTITY, clip=clip, keep=keep)
    tool = swapper()
    pairs = zip(rgb_frames(source), rgb_frames(out), planes_of(masks)[0], strict=True)
    for number, (before, after, (mask,)) in enumerate(pairs):
        result = tool.swap(before, IDENTITY)
        kept = None if keep is None else torch.from_numpy(keep[number])[None, None]
        expected, used = blend_with_mask(
            from_uint8(before), from_uint8(result.image), result.mask[None, None], options, kept
        )
        assert np.abs(to_uint8(expected)[0].astype(int) - after).max() <= 1
        assert (mask_picture(used[0, 0].numpy()) == mask).all()
        assert (before != after).any()


def test_samples_that_blending_does_not_change_are_kept(tmp_path):
    source = write_clip(tmp_path / "source.mkv", COUNT, codec="ffv1", pixel_format="yuv420p10le")
    options = BlendOptions(grow=2, feather=4.0, color_match="linear")
    out, masks = tmp_path / "out.mkv", tmp_path / "masks.mkv"
    swap_video(swapper(), source, out, IDENTITY, clip=ClipOptions(**EXACT, blending=options, mask_out=masks))
    for before, after, (mask,) in zip(planes_of(source)[0], planes_of(out)[0], planes_of(masks)[0], strict=True):
        changed = before[0] != after[0]
        # Shares of less than half a level of the mask count, too.
        near = grow_mask(torch.from_numpy(mask[None, None].astype(np.float32)), 6)[0, 0].numpy() > 0
        assert changed.any() and not near.all() and not changed[~near].any()


@pytest.mark.parametrize("name", ["masks.mkv", "masks.mp4", "masks"])
def test_masks_of_what_was_replaced(tmp_path, source, name):
    """One for each frame, at its time; the first frames have no face. Also after an interruption."""

    def run(out, masks, **more):
        tool = toy_swapper(lambda number: [face_at(24 + number, 26)] if number > 2 or "resume" in more else [])
        clip = ClipOptions(**EXACT, mask_out=tmp_path / masks)
        swap_video(tool, source, tmp_path / out, IDENTITY, clip=clip, **more)

    def read(path):
        if path.is_dir():
            return [np.array(Image.open(file)) for file in sorted(path.iterdir())]
        return [planes[0] for planes in planes_of(path)[0]]

    run("out.mkv", name)
    tool = swapper()
    found = read(tmp_path / name)
    assert len(found) == COUNT
    for number, (mask, picture) in enumerate(zip(found, rgb_frames(source), strict=True)):
        expected = mask_picture(tool.swap(picture, IDENTITY).mask.numpy()) * (number > 2)
        assert np.abs(mask.astype(int) - expected).max() <= (24 if name.endswith("mp4") else 0)
    if "." in name:
        assert planes_of(tmp_path / name)[1] == planes_of(source)[1]
        with av.open(str(tmp_path / name)) as container:
            assert not container.streams.audio

    def stop(frame):
        if frame == 7:
            raise Stop

    with pytest.raises(Stop):
        run("again.mkv", f"again_{name}", on_frame=stop)
    assert not (tmp_path / f"again_{name}").exists()
    run("again.mkv", f"again_{name}", resume=True)
    again = read(tmp_path / f"again_{name}")
    assert len(again) == COUNT and not list(tmp_path.glob(".*.parts"))


def test_masks_from_files(tmp_path, source):
    """A picture for all frames; a video of which the frames belong to those of the source, also of a part of it."""
    masks = stripes()
    Image.fromarray((masks[0] * 255).astype(np.uint8)).save(tmp_path / "mask.png")

    def picture(number, height, width):
        return np.repeat((masks[number] * 255).astype(np.uint8)[..., None], 3, 2)

    video = write_clip(tmp_path / "mask.mkv", COUNT, codec="ffv1", pixel_format="gray", picture=picture)
    still = {"clip": ClipOptions(**EXACT), "keep": tmp_path / "mask.png"}
    runs = {
        "still": (still, np.repeat(masks[:1], COUNT, 0)),
        "moving": ({"clip": ClipOptions(**EXACT), "keep": str(video)}, masks),
        "part": ({"clip": ClipOptions(**EXACT, start=0.12, duration=0.28), "keep": video}, masks[3:10]),
    }
    for name, (options, expected) in runs.items():
        out = tmp_path / f"{name}.mkv"
        with pytest.raises(Stop):
            swap_video(toy_swapper(), source, out, IDENTITY, on_result=stop_after(6), **options)
        swap_video(toy_swapper(), source, out, IDENTITY, resume=True, **options)
        first = 3 if name == "part" else 0
        pairs = list(zip(rgb_frames(source)[first:], rgb_frames(out), expected, strict=False))
        assert len(pairs) == len(expected) == len(rgb_frames(out))
        for before, after, mask in pairs:
            changed = (before != after).any(2)
            assert changed.any() and not changed[mask == 1].any()
            # The painted face reaches up to the mask.
            assert changed[:, : round(64 - mask[0].sum())][:, -2:].any()


@pytest.mark.parametrize("suffix", [".jfif", ".jp2", ".PNG"])
def test_pictures_of_all_kinds_are_masks_for_all_frames(tmp_path, suffix):
    kind = {".jfif": "JPEG", ".jp2": "JPEG2000", ".PNG": "PNG"}[suffix]
    Image.new("L", (32, 24), 255).save(tmp_path / f"mask{suffix}", format=kind)
    mask = read_mask_file(tmp_path / f"mask{suffix}")
    assert isinstance(mask, torch.Tensor) and mask.shape == (24, 32) and mask.min() > 0.99


def stop_after(number):
    def on_result(frame):
        if frame.number == number:
            raise Stop

    return on_result


def test_files_that_are_no_masks(tmp_path, source):
    def run(**more):
        swap_video(toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, **more)

    (tmp_path / "text.mkv").write_text("no video")
    with pytest.raises(StyleSwapError, match="text.mkv is not a readable video"):
        run(keep=tmp_path / "text.mkv")
    with pytest.raises(StyleSwapError, match="absent.png"):
        run(keep=tmp_path / "absent.png")
    short = write_clip(tmp_path / "short.mkv", COUNT - 1, codec="ffv1", pixel_format="gray")
    with pytest.raises(StyleSwapError, match="fewer masks than frames"):
        run(keep=short, resumable=False)
    with pytest.raises(StyleSwapError, match="a video for the masks .* or a folder .* got .*masks.png"):
        run(clip=ClipOptions(mask_out=tmp_path / "masks.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["short.mkv", "source.mkv", "text.mkv"]
