"""What a changed picture keeps of its file: samples, depth, color profile, alpha and metadata."""

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures_of_cameras import camera_exif, colors, jpeg
from PIL import Image, ImageCms

from styleswap_core.errors import StyleSwapError
from styleswap_core.io.deep_pictures import read_deep, write_deep_tiff
from styleswap_core.io.images import load_image, save_image
from styleswap_core.io.picture_file import read_picture
from styleswap_core.io.picture_writing import write_picture

FACE = np.s_[10:30, 20:44]


def wide_gamut() -> bytes:
    """A profile with a larger gamut than sRGB and a gamma of 1.8, like ProPhoto."""

    def tag(kind: bytes, data: bytes) -> bytes:
        return kind + bytes(4) + data + bytes(-len(data) % 4)

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = tag(b"curv", struct.pack(">IH", 1, round(1.8 * 256)))
    white = (0.9642, 1.0, 0.8249)
    tags = {
        b"desc": tag(b"desc", struct.pack(">I", 5) + b"wide\0" + bytes(79)),
        b"wtpt": tag(b"XYZ ", fixed(*white)),
        b"rXYZ": tag(b"XYZ ", fixed(0.7977, 0.2880, 0.0)),
        b"gXYZ": tag(b"XYZ ", fixed(0.1352, 0.7119, 0.0)),
        b"bXYZ": tag(b"XYZ ", fixed(0.0313, 0.0001, 0.8249)),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp")
    header += bytes(68 - len(header)) + fixed(*white)
    return header.ljust(128, b"\0") + table + body


def changed(path: Path, out: Path, level: int = 200) -> None:
    """Paint a rectangle, as a swap does, and write the picture."""
    picture = read_picture(path)
    result, weight = picture.seen.copy(), np.zeros(picture.seen.shape[:2], np.float32)
    result[FACE], weight[FACE] = level, 1.0
    write_picture(out, picture.with_pixels(result, weight))


def outside(picture: np.ndarray) -> np.ndarray:
    rest = picture.copy()
    rest[FACE] = 0
    return rest


def test_alpha_and_the_colors_under_it_are_kept(tmp_path):
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    before = np.dstack([colors(), alpha])
    Image.fromarray(before).save(tmp_path / "a.png")
    changed(tmp_path / "a.png", tmp_path / "out.png")
    after = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(after[..., 3], alpha) and np.array_equal(outside(after), outside(before))
    # Over white, the new pixels show what was painted, as far as their opacity allows.
    shown = load_image(tmp_path / "out.png")[FACE]
    assert np.abs(shown[alpha[FACE] > 150].astype(int) - 200).max() <= 1


def test_the_profile_is_kept_and_networks_see_srgb(tmp_path):
    profile = wide_gamut()
    Image.fromarray(colors()).save(tmp_path / "a.png", icc_profile=profile)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    seen = load_image(tmp_path / "a.png")
    assert np.array_equal(seen, np.asarray(ImageCms.applyTransform(Image.fromarray(colors()), transform)))
    assert np.abs(seen.astype(int) - colors()).max() > 20
    changed(tmp_path / "a.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as after:
        assert after.info["icc_profile"] == profile
        assert np.array_equal(outside(np.asarray(after)), outside(colors()))
    assert np.abs(load_image(tmp_path / "out.png")[FACE].astype(int) - 200).max() <= 2


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(colors()).save(tmp_path / "a.png", icc_profile=profile)
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.seen, colors()) and picture.profile == profile


def test_a_damaged_profile_is_ignored(tmp_path):
    Image.fromarray(colors()).save(tmp_path / "a.png", icc_profile=b"no profile" * 20)
    assert np.array_equal(load_image(tmp_path / "a.png"), colors())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_is_kept_but_not_the_thumbnail(tmp_path, suffix):
    thumbnail = jpeg(colors(16, 16))
    (tmp_path / "a.jpg").write_bytes(jpeg(colors(), exif=camera_exif(6, thumbnail), dpi=(300, 300)))
    picture = read_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / f"out{suffix}", picture)
    assert thumbnail not in (tmp_path / f"out{suffix}").read_bytes()
    with Image.open(tmp_path / f"out{suffix}") as after:
        exif = after.getexif()
        assert after.size == (48, 64) and exif.get(0x0112, 1) == 1
        assert exif[0x0132] == "2026:01:01 10:00:00" and exif.get_ifd(0x8769)[0x9003] == "2026:01:01 10:00:00"
        if suffix in (".jpg", ".png"):
            assert max(after.info["dpi"]) == pytest.approx(300, abs=0.1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_metadata_of_16_bits_is_kept(tmp_path, suffix):
    (tmp_path / "a.jpg").write_bytes(jpeg(colors(), exif=camera_exif()))
    deep = replace(read_picture(tmp_path / "a.jpg"), samples=colors().astype(np.uint16) * 257, profile=wide_gamut())
    write_picture(tmp_path / f"b{suffix}", deep)
    changed(tmp_path / f"b{suffix}", tmp_path / f"c{suffix}")
    with Image.open(tmp_path / f"c{suffix}") as after:
        exif = after.getexif()
        assert after.info["icc_profile"] == wide_gamut()
        assert exif[0x0132] == "2026:01:01 10:00:00" and exif.get_ifd(0x8769)[0x9003] == "2026:01:01 10:00:00"
    assert read_deep(tmp_path / f"c{suffix}").dtype == np.uint16


def test_texts_and_xmp_of_a_png_are_kept(tmp_path):
    from PIL import PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a portrait")
    texts.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    Image.fromarray(colors()).save(tmp_path / "a.png", pnginfo=texts)
    picture = read_picture(tmp_path / "a.png")
    write_picture(tmp_path / "out.png", picture, {"styleswap": "face swapped"})
    with Image.open(tmp_path / "out.png") as after:
        assert after.text["parameters"] == "a portrait" and after.text["styleswap"] == "face swapped"
        # The picture was turned, so its XMP data must not turn it again.
        assert after.size == (48, 64) and after.text["XML:com.adobe.xmp"] == '<x tiff:Orientation="1"/>'


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_are_kept(tmp_path, suffix, channels):
    before = np.random.default_rng(0).integers(0, 65536, (48, 64, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), before[..., [2, 1, 0, 3][:channels]])
    changed(tmp_path / f"a{suffix}", tmp_path / f"out{suffix}")
    after = read_deep(tmp_path / f"out{suffix}")
    assert after.dtype == np.uint16 and np.array_equal(outside(after), outside(before))
    assert channels == 4 or (after[FACE] == 200 * 257).all()


def test_16_bits_of_gray_and_of_the_edge_of_a_face_are_kept(tmp_path):
    gray = np.random.default_rng(0).integers(0, 65536, (48, 64), dtype=np.uint16)
    Image.fromarray(gray).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    result, weight = picture.seen.copy(), np.full((48, 64), 0.25, np.float32)
    result[picture.seen < 255] += 1
    after = picture.with_pixels(result, weight).samples.astype(int)
    remainder = gray.astype(int) - picture.seen[..., 0].astype(int) * 257
    assert (
        np.abs(after[..., 0] - (result[..., 0].astype(int) * 257 + 0.75 * remainder))[result[..., 0] < 255].max() <= 1
    )


@pytest.mark.parametrize("levels", [np.uint8, np.uint16])
def test_integers_of_32_bits_are_seen_at_their_own_range(tmp_path, levels):
    white = np.iinfo(levels).max
    gray = np.linspace(0, white, 48 * 64).reshape(48, 64).astype(np.int32)
    Image.fromarray(gray).save(tmp_path / "a.tif")
    assert np.abs(load_image(tmp_path / "a.tif")[..., 0] - gray * (255.0 / white)).max() <= 1


def test_floating_point_pixels_are_kept(tmp_path):
    before = np.random.default_rng(0).random((48, 64, 3), dtype=np.float32)
    (tmp_path / "a.tif").write_bytes(write_deep_tiff(before, None))
    changed(tmp_path / "a.tif", tmp_path / "out.tif")
    after = read_deep(tmp_path / "out.tif")
    assert after.dtype == np.float32 and np.array_equal(outside(after), outside(before))
    assert np.abs(after[FACE] - 200 / 255).max() < 1e-6
    (tmp_path / "b.tif").write_bytes(write_deep_tiff(before * 9, None))
    with pytest.raises(StyleSwapError, match=r"floating-point pixels from 0 to 1, .*b\.tif has 0"):
        load_image(tmp_path / "b.tif")


def test_a_lossless_webp_stays_lossless(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.webp", lossless=True)
    changed(tmp_path / "a.webp", tmp_path / "out.webp")
    assert np.array_equal(outside(load_image(tmp_path / "out.webp")), outside(picture))


def test_formats_that_hold_less_show_what_was_seen(tmp_path):
    before = np.dstack([colors(), np.full((48, 64), 128, np.uint8)])
    Image.fromarray(before).save(tmp_path / "a.png", icc_profile=wide_gamut())
    picture = read_picture(tmp_path / "a.png")
    write_picture(tmp_path / "out.jpg", picture)
    assert np.abs(load_image(tmp_path / "out.jpg").astype(int) - picture.seen).mean() < 3
    deep = np.random.default_rng(0).integers(0, 65536, (48, 64, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "b.png"), deep)
    write_picture(tmp_path / "b.bmp", read_picture(tmp_path / "b.png"))
    assert np.array_equal(load_image(tmp_path / "b.bmp"), load_image(tmp_path / "b.png"))


def test_cmyk_pictures_become_srgb_without_their_profile(tmp_path):
    Image.fromarray(colors()).convert("CMYK").save(tmp_path / "a.jpg", quality=100, icc_profile=b"cmyk" * 50)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.profile is None and picture.samples is picture.seen


def test_arrays_with_alpha_are_saved(tmp_path):
    picture = np.dstack([colors(), np.full((48, 64), 77, np.uint8)])
    save_image(tmp_path / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
    save_image(tmp_path / "a.jpg", picture)
    assert Image.open(tmp_path / "a.jpg").mode == "RGB"


def test_iptc_data_are_kept_without_the_thumbnail_of_photoshop(tmp_path):
    def resource(code: int, content: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", code, 0, len(content)) + content + bytes(len(content) % 2)

    iptc = b"\x1c\x02\x78\x00\x09a caption" + b"\x1c\x02\x74\x00\x05owner"
    block = b"Photoshop 3.0\0" + resource(0x040C, b"thumbnail of the old face") + resource(0x0404, iptc)
    segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    xmp = b"<x:xmpmeta/>"
    Image.fromarray(colors(48, 64)).save(tmp_path / "a.jpg", extra=segment, xmp=xmp, exif=camera_exif())
    changed(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as opened:
        assert opened.info["photoshop"] == {0x0404: iptc} and opened.info["xmp"] == xmp and opened.info["exif"]
    assert b"old face" not in (tmp_path / "b.jpg").read_bytes()
    # More than a segment holds is left out instead of damaging the file.
    write_picture(tmp_path / "c.jpg", replace(read_picture(tmp_path / "a.jpg"), iptc=bytes(70_000)))
    assert read_picture(tmp_path / "c.jpg").iptc == b""
