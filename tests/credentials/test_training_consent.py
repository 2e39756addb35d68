"""Statements that forbid training on a file."""

import struct
import sys
from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin

from styleswap_core.credentials import training_consent
from styleswap_core.credentials.training_consent import training_ban

c2pa = pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"'
    ' plus:DataMining="http://ns.useplus.org/ldf/vocab/{}"/></rdf:RDF></x:xmpmeta>'
)


def stating(signer, picture, label, entries, ingredient=None):
    """Sign a PNG file with an assertion on training."""
    assertions = []
    if entries:
        assertions.append({"label": label, "data": {"entries": {name: {"use": use} for name, use in entries.items()}}})
    key = signer.key
    info = c2pa.C2paSignerInfo(key.algorithm, key.certificates.encode(), key.private_key, None)
    with (
        c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}}) as context,
        c2pa.Signer.from_info(info) as own,
        c2pa.Builder({"assertions": assertions}, context) as builder,
    ):
        if ingredient is None:
            builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CREATION)
        else:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.add_ingredient({"title": "a", "relationship": "parentOf"}, "image/png", BytesIO(ingredient))
        result = BytesIO()
        builder.sign(own, "image/png", BytesIO(picture.read_bytes()), result)
    picture.write_bytes(result.getvalue())


@pytest.mark.parametrize(
    ("label", "entries", "expected"),
    [
        (
            "c2pa.training-mining",
            {"c2pa.ai_generative_training": "notAllowed"},
            "c2pa.ai_generative_training notAllowed",
        ),
        (
            "cawg.training-mining",
            {"cawg.ai_training": "notAllowed"},
            "cawg.training-mining: cawg.ai_training notAllowed",
        ),
        ("cawg.training-mining", {"cawg.data_mining": "constrained"}, "cawg.data_mining constrained"),
        ("cawg.training-mining", {"cawg.ai_training": "allowed", "cawg.data_mining": "allowed"}, ""),
        ("cawg.training-mining", {}, ""),
    ],
)
def test_content_credentials(signer, picture, label, entries, expected):
    stating(signer, picture, label, entries)
    found = training_ban(picture)
    assert (expected in found) if expected else found == ""


def test_what_an_ingredient_states_holds_unless_the_last_editor_states_otherwise(signer, picture, tmp_path):
    original = tmp_path / "original.png"
    original.write_bytes(picture.read_bytes())
    stating(signer, original, "cawg.training-mining", {"cawg.ai_training": "notAllowed"})
    plain = picture.read_bytes()
    stating(signer, picture, "cawg.training-mining", {}, original.read_bytes())
    assert "cawg.ai_training notAllowed" in training_ban(picture)
    picture.write_bytes(plain)
    stating(signer, picture, "cawg.training-mining", {"cawg.ai_training": "allowed"}, original.read_bytes())
    assert training_ban(picture) == ""


def test_without_c2pa_python_the_doubt_counts_as_no(signer, picture, monkeypatch):
    stating(signer, picture, "cawg.training-mining", {"cawg.ai_training": "allowed"})
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert training_ban(picture).endswith(
        "hold cawg.training-mining, which cannot be read; run: pip install c2pa-python"
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(
    ("value", "forbidden"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-ALLOWED", False),
        ("DMI-UNSPECIFIED", False),
    ],
)
def test_iptc_metadata(noise, tmp_path, suffix, value, forbidden):
    path = tmp_path / f"picture{suffix}"
    xmp = XMP.format(value)
    image = Image.fromarray(noise)
    if suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp)
        image.save(path, pnginfo=texts)
    elif suffix == ".tif":
        image.save(path, tiffinfo={700: xmp.encode()})
    else:
        image.save(path, xmp=xmp.encode())
    assert training_ban(path) == (f"its IPTC metadata forbid it ({value})" if forbidden else "")


def test_frames_of_large_videos_are_not_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(training_consent, "_WHOLE", 64)

    def box(kind: bytes, content: bytes, long: bool = False) -> bytes:
        size = len(content) + (16 if long else 8)
        head = struct.pack(">I4sQ", 1, kind, size) if long else struct.pack(">I4s", size, kind)
        return head + content

    start, frames = box(b"ftyp", b"isom" * 3), box(b"mdat", b"DMI-PROHIBITED" * 20, long=True)
    video = tmp_path / "video.mp4"
    video.write_bytes(start + frames + box(b"free", b""))
    assert training_ban(video) == ""
    video.write_bytes(start + frames + box(b"uuid", b"DMI-PROHIBITED-AIMLTRAINING"))
    assert "DMI-PROHIBITED-AIMLTRAINING" in training_ban(video)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x18ftyp", b"\0\0\0\0ftypisom" * 20, b"jumd c2pa cawg.training-mining"]
)
def test_files_that_cannot_be_read_state_nothing(tmp_path, content, monkeypatch):
    monkeypatch.setattr(training_consent, "_WHOLE", 64)
    (tmp_path / "a.jpg").write_bytes(content)
    assert training_ban(tmp_path / "a.jpg") == ""
    assert training_ban(tmp_path / "missing.jpg") == ""
