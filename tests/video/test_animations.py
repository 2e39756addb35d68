"""Animated GIF, WebP and PNG: every frame, its time, transparency and repetitions."""

import gc

import av
import numpy as np
import pytest
from clips import moving_picture, planes_of, write_clip
from PIL import Image, ImageCms
from toy_swapper import IDENTITY, toy_swapper

from styleswap_core.errors import StyleSwapError
from styleswap_core.media.animated_files import is_animation
from styleswap_core.media.animations import repetitions
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.media.video_source import read_info
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video

DURATIONS = [50, 100, 200, 30, 40, 70]
EXACT = ClipOptions(EncodingOptions(lossless=True), tracking=None, segment_frames=4)


def animation(path, transparent=True, loop=3):
    frames = []
    for number in range(len(DURATIONS)):
        picture = moving_picture(number)
        if path.suffix == ".gif":
            # Few colors, which a palette holds.
            picture = picture // 64 * 64
        alpha = np.full((48, 64), 255, np.uint8)
        alpha[:10, :10] = 0
        frames.append(Image.fromarray(np.dstack([picture, alpha]) if transparent else picture))
    options = {".webp": {"lossless": True, "exact": True}, ".gif": {"disposal": 2}}.get(path.suffix, {})
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=loop, **options)
    return path


def read(path):
    """RGBA frames, their durations in ms, and the number of repetitions."""
    with Image.open(path) as picture:
        frames, durations = [], []
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            frames.append(np.array(picture.convert("RGBA")).astype(int))
            durations.append(round(picture.info["duration"]))
        return frames, durations, picture.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
@pytest.mark.parametrize("transparent", [False, True])
def test_animations_stay_animations(tmp_path, suffix, transparent):
    source, out = animation(tmp_path / f"source{suffix}", transparent), tmp_path / f"out{suffix}"
    report = swap_video(
        toy_swapper(),
        source,
        out,
        IDENTITY,
        clip=ClipOptions(tracking=None, segment_frames=4) if suffix == ".gif" else EXACT,
    )
    assert report.counts.frames == report.counts.swapped_frames == 6
    before, durations, loop = read(source)
    after, new_durations, new_loop = read(out)
    # libwebp rounds the last duration to the mean of the others.
    assert len(after) == 6 and new_durations[:5] == durations[:5] and new_loop == loop == 3
    assert new_durations[5] == durations[5] or suffix == ".webp"
    mask = toy_swapper().swap(np.zeros((48, 64, 3), np.uint8), IDENTITY).mask.numpy() > 0
    for one, other in zip(before, after, strict=True):
        assert (one[..., 3] == other[..., 3]).all()
        seen = (one[..., 3] > 0) & ~mask
        difference = np.abs(one - other)[..., :3].max(2)
        assert (difference[seen].mean() < 6) if suffix == ".gif" else (difference[seen].max() == 0)
        assert np.abs(other[24, 32, :3] - 223).max() <= (16 if suffix == ".gif" else 1)


def test_animations_become_videos_and_videos_animations(tmp_path):
    source = animation(tmp_path / "source.webp", transparent=False)
    report = swap_video(toy_swapper(), source, tmp_path / "out.mp4", IDENTITY)
    assert report.counts.frames == 6
    times = planes_of(tmp_path / "out.mp4")[1]
    assert [round(1000 * float(time)) for time in times] == [0, 50, 150, 350, 380, 420]

    def turn(container, stream):
        stream.set_display_rotation(90)

    clip = write_clip(tmp_path / "clip.mp4", 5, sound="aac", configure=turn)
    report = swap_video(toy_swapper(), clip, tmp_path / "out.gif", IDENTITY)
    assert report.notes == [".gif files do not hold audio", "each frame is reduced to 256 colors"]
    frames, durations, loop = read(tmp_path / "out.gif")
    assert durations == [40] * 5 and loop == 0 and frames[0].shape == (64, 48, 4)
    with av.open(str(clip)) as container:
        upright = np.rot90(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    assert np.abs(frames[0][:20, :, :3] - upright[:20]).mean() < 8


def test_single_pictures_are_no_animations(tmp_path):
    for suffix in (".png", ".webp"):
        Image.fromarray(moving_picture(0)).save(tmp_path / f"still{suffix}")
        assert not is_animation(tmp_path / f"still{suffix}")
        assert is_animation(animation(tmp_path / f"moving{suffix}"))
    (tmp_path / "text.gif").write_text("no picture")
    assert not is_animation(tmp_path / "text.gif") and not is_animation(tmp_path / "absent.gif")
    assert repetitions(animation(tmp_path / "once.gif", loop=None)) == 1
    assert repetitions(write_clip(tmp_path / "clip.mp4", 2)) == 0


def test_refusals(tmp_path):
    source = animation(tmp_path / "source.webp")
    with pytest.raises(StyleSwapError, match="256 colors"):
        swap_video(toy_swapper(), source, tmp_path / "out.gif", IDENTITY, clip=EXACT)
    with pytest.raises(StyleSwapError, match="codec of their own, got 'h264'"):
        swap_video(toy_swapper(), source, tmp_path / "out.webp", IDENTITY, clip=ClipOptions(EncodingOptions("h264")))
    source.write_bytes(source.read_bytes()[:-1500])
    with pytest.raises(StyleSwapError, match="source.webp (is damaged|contains no readable frame)"):
        swap_video(toy_swapper(), source, tmp_path / "out.webp", IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["source.webp"]


def test_a_color_profile_of_an_animated_png_does_not_end_the_process(tmp_path):
    """PyAV frees the name of the profile twice if the side data of a frame is read."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    first, second = (Image.fromarray(moving_picture(number)) for number in (0, 1))
    first.save(tmp_path / "a.png", save_all=True, append_images=[second], icc_profile=profile)
    assert read_info(tmp_path / "a.png").codec == "apng"
    gc.collect()


def test_a_webp_that_claims_huge_frames_is_refused_before_they_are_decoded(tmp_path):
    small = (Image.new("RGB", (8, 8), shade) for shade in ("red", "blue"))
    next(small).save(tmp_path / "a.webp", save_all=True, append_images=small, lossless=True)
    data = bytearray((tmp_path / "a.webp").read_bytes())
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = (9999).to_bytes(3, "little") * 2
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(StyleSwapError, match=r"a\.webp has frames of 10000 x 10000 pixels; use one with at most 40"):
        swap_video(toy_swapper(), tmp_path / "a.webp", tmp_path / "out.webp", IDENTITY, clip=EXACT)
