"""Choice of encoders, their settings, and light levels of HDR."""

import struct
from fractions import Fraction

import av
import pytest
from clips import write_clip

from styleswap_core.errors import StyleSwapError
from styleswap_core.media.codecs import CODECS
from styleswap_core.media.encoders import EncodingOptions, plan_encoder
from styleswap_core.media.hdr_metadata import HdrMetadata
from styleswap_core.media.pixel_formats import closest_format, describe_format, keeps
from styleswap_core.media.video_source import read_info


@pytest.fixture
def info(tmp_path):
    def make(codec="libx264", pixel_format="yuv420p", size=(64, 48), **more):
        return read_info(write_clip(tmp_path / "a.mkv", 2, size, codec, pixel_format, **more))

    return make


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix", "options", "encoder", "stored"),
    [
        ("libx264", "yuv420p", ".mp4", {}, "libx264", "yuv420p"),
        ("libx265", "yuv420p10le", ".MP4", {}, "libx265", "yuv420p10le"),
        ("libvpx-vp9", "yuv420p", ".webm", {}, "libvpx-vp9", "yuv420p"),
        ("libvpx-vp9", "yuv420p", ".mov", {}, "libx264", "yuv420p"),
        ("ffv1", "yuv420p", ".mkv", {}, "ffv1", "yuv420p"),
        ("ffv1", "yuv420p", ".mp4", {}, "libx264", "yuv420p"),
        ("ffv1", "bgr0", ".mp4", {}, "libx264", "yuv420p"),
        ("ffv1", "bgr0", ".mkv", {"lossless": True}, "ffv1", "bgr0"),
        ("ffv1", "bgr0", ".mp4", {"lossless": True}, "libx264rgb", "bgr0"),
        ("mjpeg", "yuvj420p", ".mp4", {"lossless": True}, "libx264", "yuvj420p"),
        ("libx264", "yuv420p", ".mkv", {"codec": "hevc"}, "libx265", "yuv420p"),
        ("libx264", "yuv420p", ".mov", {"codec": "prores"}, "prores_ks", "yuv422p10le"),
        ("libx264", "yuv420p", ".mkv", {"codec": "mpeg4"}, "mpeg4", "yuv420p"),
    ],
)
def test_encoders_by_source_and_container(info, codec, pixel_format, suffix, options, encoder, stored):
    plan = plan_encoder(info(codec, pixel_format), suffix, EncodingOptions(**options))
    assert (plan.encoder, plan.pixel_format) == (encoder, stored)


def test_ten_bits_are_kept_where_an_encoder_of_the_container_can(info):
    plan = plan_encoder(info("libx265", "yuv420p10le"), ".webm")
    assert describe_format(plan.pixel_format).bits == 10 or plan.notes


def test_quality_and_lossless_settings(info):
    source = info()
    assert plan_encoder(source, ".mp4").options["crf"] == "18"
    assert plan_encoder(source, ".mp4", EncodingOptions(quality=23.5)).options["crf"] == "23.5"
    assert plan_encoder(source, ".mp4", EncodingOptions(lossless=True)).options["qp"] == "0"
    hevc = plan_encoder(source, ".mp4", EncodingOptions("hevc", lossless=True)).options
    assert hevc["x265-params"].split(":") == ["log-level=error", "frame-threads=4", "lossless=1"]
    with pytest.raises(StyleSwapError, match="libsvtav1 does not store .* without loss"):
        plan_encoder(source, ".mkv", EncodingOptions("av1", lossless=True))
    for codec in CODECS:
        assert plan_encoder(source, ".mkv", EncodingOptions(codec)).encoder in av.codecs_available


def test_odd_sizes_are_rounded_up_only_where_needed(info):
    odd = info("ffv1", "yuv420p", (63, 47))
    plan = plan_encoder(odd, ".mp4")
    assert (plan.width, plan.height) == (64, 48) and "even sizes" in plan.notes[0]
    plan = plan_encoder(odd, ".mkv")
    assert (plan.width, plan.height) == (63, 47) and plan.notes == ()


def test_formats_that_an_encoder_lacks():
    formats = ["yuv420p", "yuv444p", "yuv420p10le", "gray"]
    assert closest_format("yuv422p", formats, False) == "yuv444p"
    assert closest_format("yuv420p12le", formats, False) == "yuv420p10le"
    assert closest_format("gray10le", formats, False) == "gray"
    assert closest_format("gbrp", [*formats, "gbrp"], False) == "yuv420p"
    assert closest_format("gbrp", [*formats, "gbrp"], True) == "gbrp"
    assert closest_format("yuv420p", [], True) == "yuv420p"
    assert keeps("nv12", "yuv420p") and keeps("bgra", "gbrap") and not keeps("yuv444p", "yuv420p")


def test_hdr_metadata_is_handed_on():
    """FFmpeg's structures of side data, with the values of a usual mastering display."""

    class Frame:
        side_data = {}  # noqa: RUF012

    numbers = [(34000, 50000), (16000, 50000), (13250, 50000), (34500, 50000), (7500, 50000), (3000, 50000)]
    numbers += [(15635, 50000), (16450, 50000), (50, 10000), (10000000, 10000)]
    from av.sidedata.sidedata import Type

    flat = [part for pair in numbers for part in pair]
    Frame.side_data = {
        Type.MASTERING_DISPLAY_METADATA: struct.pack("=20i2i", *flat, 1, 1),
        Type.CONTENT_LIGHT_LEVEL: struct.pack("=2I", 1000, 400),
    }
    hdr = HdrMetadata.of(Frame)
    assert hdr.encoder_parameters("libx265") == [
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
        "max-cll=1000,400",
    ]
    assert hdr.encoder_parameters("libsvtav1")[0] == (
        "mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050)"
    )
    assert hdr.encoder_parameters("ffv1") == [] and HdrMetadata().encoder_parameters("libx265") == []


def test_hdr_metadata_survives_a_file(info, tmp_path):
    """x265 writes it, it is read, and the next encoder is told."""
    text = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    source = info(
        "libx265",
        "yuv420p10le",
        time_base=Fraction(1, 25),
        **{"x265-params": f"log-level=error:{text}:max-cll=1000,400"},
    )
    plan = plan_encoder(source, ".mp4")
    assert text in plan.options["x265-params"] and "max-cll=1000,400" in plan.options["x265-params"]
