"""Picture files of all kinds, and conversions between layouts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from styleswap_core.errors import StyleSwapError
from styleswap_core.io.files import atomic_write, file_sha256
from styleswap_core.io.images import (
    bchw_to_bhwc,
    bhwc_to_bchw,
    from_uint8,
    image_metadata,
    load_image,
    repair,
    save_image,
    to_uint8,
)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def test_png_round_trip_is_exact(tmp_path, picture):
    save_image(tmp_path / "a.png", picture)
    assert np.array_equal(load_image(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp", ".bmp", ".tiff"])
def test_lossy_formats_are_close(tmp_path, suffix):
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 1, 3))
    save_image(tmp_path / f"a{suffix}", smooth)
    assert np.abs(load_image(tmp_path / f"a{suffix}").astype(int) - smooth).mean() < 2


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, picture, orientation, undo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(load_image(tmp_path / "a.png"), undo(picture))


def test_gray_becomes_three_equal_channels(tmp_path, picture):
    Image.fromarray(picture[..., 0]).save(tmp_path / "a.png")
    assert np.array_equal(load_image(tmp_path / "a.png"), np.repeat(picture[..., :1], 3, axis=2))


def test_16_bit_gray_is_scaled_not_clipped(tmp_path):
    levels = np.tile(np.arange(256, dtype=np.uint16) * 257, (16, 1))
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert np.array_equal(load_image(tmp_path / "a.png")[..., 1], np.tile(np.arange(256), (16, 1)))


def test_16_bit_color_is_scaled(tmp_path):
    import cv2

    levels = np.random.default_rng(1).integers(0, 65536, (16, 20, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), levels[..., ::-1])
    assert np.abs(load_image(tmp_path / "a.png") - levels / 257.0).max() <= 1.0


def test_transparent_pixels_are_white(tmp_path):
    rgba = np.zeros((16, 16, 4), dtype=np.uint8)
    rgba[:, :8] = (200, 0, 0, 255)
    rgba[:, 8:] = (0, 99, 0, 0)
    rgba[0, 0] = (0, 0, 0, 128)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    assert np.array_equal(loaded[5, 2], (200, 0, 0)) and np.array_equal(loaded[5, 12], (255, 255, 255))
    assert np.abs(loaded[0, 0].astype(int) - 127).max() <= 1


def test_palette_with_transparency(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.paste(0, (0, 0, 10, 20))
    image.save(tmp_path / "a.png", transparency=0)
    loaded = load_image(tmp_path / "a.png")
    assert np.array_equal(loaded[3, 3], (255, 255, 255)) and np.array_equal(loaded[3, 15], (10, 20, 30))


@pytest.mark.parametrize(("mode", "value"), [("CMYK", (0, 255, 255, 0)), ("1", 1), ("YCbCr", (128, 128, 128))])
def test_other_modes_become_rgb(tmp_path, mode, value):
    suffix = ".tif" if mode in ("CMYK", "YCbCr") else ".png"
    Image.new(mode, (20, 20), value).save(tmp_path / f"a{suffix}")
    assert load_image(tmp_path / f"a{suffix}").shape == (20, 20, 3)


def test_a_picture_of_12000_px_loads_without_a_warning(tmp_path, recwarn):
    Image.new("L", (12000, 12000), 7).save(tmp_path / "a.png", compress_level=1)
    assert load_image(tmp_path / "a.png").shape == (12000, 12000, 3)
    assert not recwarn.list


def _text(path):
    path.write_text("no picture at all")


def _truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _floating(path):
    Image.fromarray(np.full((20, 20), 7.5, dtype=np.float32)).save(path.with_suffix(".tif"))
    path.with_suffix(".tif").rename(path)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("a.png", lambda path: None, "does not exist"),
        ("a.png", lambda path: path.mkdir(), "folder"),
        ("a.png", _text, "not a picture"),
        ("a.png", lambda path: path.write_bytes(b""), "not a picture"),
        ("a.png", _truncated, "truncated"),
        ("a.jpg", _truncated, "truncated"),
        ("a.webp", _truncated, "a.webp"),
        ("a.png", _floating, "floating-point"),
        ("a.png", lambda path: Image.new("RGB", (10, 10)).save(path), "10 x 10"),
        ("a.png", lambda path: Image.new("1", (20000, 20000)).save(path), "too large"),
    ],
)
def test_bad_files_give_one_line_errors(tmp_path, name, make, words):
    make(tmp_path / name)
    with pytest.raises(StyleSwapError, match=words) as caught:
        load_image(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_unsupported_pictures_and_paths_are_not_written(tmp_path, picture):
    with pytest.raises(StyleSwapError, match=r"\.png"):
        save_image(tmp_path / "a.xyz", picture)
    with pytest.raises(StyleSwapError, match="does not exist"):
        save_image(tmp_path / "nowhere" / "a.png", picture)
    with pytest.raises(StyleSwapError, match="uint8"):
        save_image(tmp_path / "a.png", picture.astype(np.float32))
    assert list(tmp_path.iterdir()) == []


def test_png_metadata_round_trip(tmp_path, picture):
    save_image(tmp_path / "a.png", picture, {"styleswap-provenance": "face-world", "note": "größer"})
    assert image_metadata(tmp_path / "a.png") == {"styleswap-provenance": "face-world", "note": "größer"}
    save_image(tmp_path / "a.jpg", picture, {"note": "dropped"})
    assert image_metadata(tmp_path / "a.jpg") == {}
    assert image_metadata(tmp_path / "none.png") == {}


def test_every_uint8_value_survives_the_core_range():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    core = from_uint8(levels)
    assert core.shape == (1, 3, 16, 16) and core.min() == -1.0 and core.max() == 1.0
    assert np.array_equal(to_uint8(core), levels)


def test_node_layout_round_trip_and_alpha():
    image = torch.rand(2, 5, 7, 3)
    core = bhwc_to_bchw(image)
    assert core.shape == (2, 3, 5, 7)
    assert torch.allclose(core[1, 2, 3, 4], image[1, 3, 4, 2] * 2 - 1)
    assert torch.allclose(bchw_to_bhwc(core), image, atol=1e-6)
    transparent = torch.cat([image, torch.zeros(2, 5, 7, 1)], -1)
    assert torch.equal(bhwc_to_bchw(transparent), torch.ones(2, 3, 5, 7))


@settings(max_examples=30, deadline=None)
@given(st.floats(-10, 10, width=32))
def test_values_out_of_range_are_clipped(value):
    level = to_uint8(torch.full((1, 3, 2, 2), value))[0, 0, 0, 0]
    # How ties are rounded depends on the last bit.
    assert abs(int(level) - (min(max(value, -1.0), 1.0) + 1) * 127.5) <= 0.5001


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (from_uint8, np.zeros((4, 4), np.uint8)),
        (from_uint8, np.zeros((4, 4, 3), np.float32)),
        (to_uint8, torch.zeros(3, 4, 4)),
        (bhwc_to_bchw, torch.zeros(1, 3, 4, 5)),
        (bchw_to_bhwc, torch.zeros(1, 4, 4, 3)),
    ],
)
def test_conversions_refuse_other_layouts(convert, value):
    with pytest.raises(StyleSwapError, match="expected"):
        convert(value)


def test_atomic_write_keeps_the_old_file_when_the_writer_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    assert file_sha256(path) == "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"


def test_repair_clips_and_reports_rows():
    frames = torch.rand(4, 3, 3, 3)
    frames[1, 0, 0, 0], frames[3, 0, 0, 0], frames[3, 1, 1, 1] = float("nan"), 1.5, float("-inf")
    clean, broken = repair(frames)
    assert broken == [1, 3] and clean[1, 0, 0, 0] == 0 and clean[3, 0, 0, 0] == 1 and clean[3, 1, 1, 1] == 0
    untouched, none = repair(torch.rand(2, 3, 3, 4, dtype=torch.float16))
    assert none == [] and untouched.dtype == torch.float32


def test_latin_text_is_written_as_text_chunks(tmp_path):
    picture = np.zeros((20, 20, 3), np.uint8)
    save_image(tmp_path / "a.png", picture, {"workflow": '{"nodes": []}', "name": "\u5f20"})
    data = (tmp_path / "a.png").read_bytes()
    assert b"tEXtworkflow" in data and b"iTXtname" in data
    assert image_metadata(tmp_path / "a.png") == {"workflow": '{"nodes": []}', "name": "\u5f20"}


@pytest.mark.parametrize("letter", ["a", "\u5f20"])
def test_the_longest_names_can_be_written(tmp_path, picture, letter):
    count = (255 - 4) // len(letter.encode())
    save_image(tmp_path / f"{letter * count}.png", picture)
    assert [path.name for path in tmp_path.iterdir()] == [f"{letter * count}.png"]
    with pytest.raises(StyleSwapError, match="its name has .* bytes; choose one of at most 255"):
        save_image(tmp_path / f"{letter * 300}.png", picture)
