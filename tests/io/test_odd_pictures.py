"""Valid pictures with odd or damaged data beside the pixels, and errors of decoders."""

import random
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from pictures_of_cameras import camera_exif, colors, jpeg
from PIL import Image, ImageCms, features

from styleswap_core.errors import StyleSwapError, decoding
from styleswap_core.io.exif import read_orientation, upright_exif
from styleswap_core.io.images import load_image
from styleswap_core.io.picture_file import read_picture
from styleswap_core.io.png_chunks import with_chunks


def test_damaged_exif_does_not_keep_a_picture_from_being_read(tmp_path):
    data, path = jpeg(colors(), exif=camera_exif(6)), tmp_path / "a.jpg"
    start = data.index(b"Exif\0\0") + 6
    end = start + len(camera_exif(6)) - 6
    for seed in range(300):
        bent, chance = bytearray(data), random.Random(seed)
        for _ in range(2):
            bent[chance.randrange(start, end)] = chance.randrange(256)
        path.write_bytes(bent)
        assert load_image(path).shape in ((48, 64, 3), (64, 48, 3))


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_in_both_byte_orders(order, orientation):
    exif = Image.Exif()
    exif.endian = {"little": "<", "big": ">"}[order]
    exif[0x0112] = orientation
    data = exif.tobytes()
    assert read_orientation(data) == orientation
    assert read_orientation(upright_exif(data)) == 1
    assert all(read_orientation(data[:length]) in (0, orientation) for length in range(len(data)))


def test_the_thumbnail_is_removed_and_everything_else_stays(tmp_path):
    thumbnail = jpeg(colors(16, 16))
    data = camera_exif(6, thumbnail)
    upright = upright_exif(data)
    assert thumbnail in data and thumbnail not in upright and len(upright) == len(data)
    exif = Image.Exif()
    exif.load(upright)
    assert exif[0x0112] == 1 and exif[0x0132] == "2026:01:01 10:00:00"
    assert exif.get_ifd(0x8769)[0x927C] == b"Notes\0" * 8
    assert not exif.get_ifd(1)


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
def test_png_files_with_large_profiles_and_texts_are_pictures(tmp_path, kind):
    stream = BytesIO()
    Image.fromarray(colors()).save(stream, "PNG")
    large = zlib.compress(bytes(3 << 20))
    data = {b"iCCP": b"profile\0\0" + large, b"zTXt": b"key\0\0" + large, b"iTXt": b"key\0\1\0\0\0" + large}[kind]
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(stream.getvalue(), [(kind, data)]))
    assert np.array_equal(load_image(path), colors())


def test_a_large_profile_is_applied(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = BytesIO()
    Image.fromarray(colors()).save(stream, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(stream.getvalue(), [(b"iCCP", b"p\0\0" + zlib.compress(profile + bytes(2 << 20)))]))
    assert read_picture(path).profile == profile + bytes(2 << 20)


@pytest.mark.parametrize("suffix", [".avif", ".jfif", ".jp2", ".mpo", ".jpe"])
def test_further_formats_are_read(tmp_path, suffix):
    kind = {".avif": "AVIF", ".jp2": "JPEG2000", ".mpo": "MPO"}.get(suffix, "JPEG")
    Image.fromarray(colors()).save(tmp_path / f"a{suffix}", kind)
    assert np.abs(load_image(tmp_path / f"a{suffix}").astype(int) - colors()).mean() < 8


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_of_iphones_are_read_upright(tmp_path, orientation):
    pytest.importorskip("pillow_heif").register_heif_opener()
    path, turns = tmp_path / "a.heic", {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    Image.fromarray(colors()).save(path, exif=camera_exif(orientation), quality=95)
    upright = np.rot90(colors(), turns)
    assert load_image(path).shape == upright.shape
    assert np.abs(load_image(path).astype(int) - upright).mean() < 8


def test_heic_and_avif_name_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(StyleSwapError, match=r"a\.heic is a HEIC picture.*pip install pillow-heif"):
        load_image(tmp_path / "a.heic")
    Image.fromarray(colors()).save(tmp_path / "a.avif")
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(StyleSwapError, match=r"a\.avif is an AVIF picture.*Pillow 11\.3"):
        load_image(tmp_path / "a.avif")


def test_frames_of_animations_are_counted(tmp_path):
    frames = [Image.fromarray(colors() // step) for step in (1, 2, 3)]
    for suffix in (".gif", ".png", ".webp", ".avif"):
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
        assert read_picture(tmp_path / f"a{suffix}").frames == 3, suffix


def test_decoders_raise_one_kind_of_error():
    for error in (RecursionError("deep"), MemoryError(), KeyError("x"), AssertionError()):
        expected = pytest.raises(StyleSwapError, match=r"a\.x is damaged \(.+\); save it again")
        with expected, decoding("a.x is damaged", "save it again"):
            raise error
    with pytest.raises(StyleSwapError, match="^own$"), decoding("a.x is damaged", "save it again"):
        raise StyleSwapError("own")
    with pytest.raises(KeyboardInterrupt), decoding("a.x is damaged", "save it again"):
        raise KeyboardInterrupt
