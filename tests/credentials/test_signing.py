"""Files that are signed, read again with c2pa's own reader."""

import io
import json
import socket
import struct
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from styleswap_core.credentials.manifests import COMPOSITE, SIGNED_TYPES, check_signable
from styleswap_core.credentials.reading import read_credentials
from styleswap_core.credentials.signing import ContentSigner
from styleswap_core.credentials.signing_key import load_signing_key
from styleswap_core.errors import StyleSwapError
from styleswap_core.io.picture_file import read_picture
from styleswap_core.io.picture_writing import write_picture

c2pa = pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")

OFFLINE = {"verify": {"remote_manifest_fetch": False}, "core": {"allowed_network_hosts": []}}


def own_reader(path: Path) -> dict:
    """What c2pa's own reader says about a file."""
    with (
        c2pa.Context.from_dict(OFFLINE) as context,
        open(path, "rb") as stream,
        c2pa.Reader("", stream, context=context) as reader,
    ):
        return json.loads(reader.json())


def codes(store: dict) -> set[str]:
    return {row["code"] for row in store["validation_status"]}


def active(store: dict) -> dict:
    return store["manifests"][store["active_manifest"]]


def test_the_manifest_states_program_model_source_type_and_ingredients(signer, facts, picture):
    signer.sign(picture, facts, picture)
    store = own_reader(picture)
    assert store["validation_state"] == "Valid" and codes(store) == {"signingCredential.untrusted"}
    manifest = active(store)
    assert manifest["signature_info"]["common_name"] == "Anna Müller"
    opened, edited = manifest["assertions"][0]["data"]["actions"]
    assert opened["action"] == "c2pa.opened"
    assert edited["action"] == "c2pa.edited" and edited["digitalSourceType"] == COMPOSITE
    assert edited["softwareAgent"]["name"] == "StyleSwap" and edited["softwareAgent"]["version"]
    parameters = edited["parameters"]
    assert parameters["styleswap.model_sha256"] == "ab" * 32 and parameters["styleswap.model"] == "inswapper_128"
    assert parameters["description"] == facts.text and len(parameters["ingredients"]) == 3
    ingredients = {one["instance_id"]: one for one in manifest["ingredients"]}
    people = [f"styleswap:identity:{one}" for one in facts.identities]
    assert set(people) < set(ingredients) and ingredients[people[0]]["relationship"] == "inputTo"
    assert [one["relationship"] for one in ingredients.values()].count("parentOf") == 1
    assert "thumbnail" not in json.dumps(store), "a thumbnail would show the face that was replaced"
    assert str(picture.name) not in json.dumps(store)


def test_a_changed_pixel_is_noticed(signer, facts, picture):
    signer.sign(picture, facts)
    assert read_credentials(picture).state == "valid"
    picture.write_bytes(with_changed_pixel(picture.read_bytes()))
    Image.open(picture).load()
    assert own_reader(picture)["validation_state"] == "Invalid"
    found = read_credentials(picture)
    assert found.state == "invalid" and found.problems == ("the file was changed after it was signed",)


def with_changed_pixel(png: bytes) -> bytes:
    """The same PNG file, chunk by chunk, with another value of one sample of its last row."""
    result, place = png[:8], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            rows = bytearray(zlib.decompress(data))
            rows[-1] ^= 1
            data = zlib.compress(bytes(rows))
        result += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        place += 12 + length
    return result


@pytest.mark.parametrize("suffix", [suffix for suffix, kind in SIGNED_TYPES.items() if kind.startswith("image/")])
def test_pictures_of_every_format_keep_their_pixels(signer, facts, noise, tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(noise).save(path, format={".apng": "PNG", ".jfif": "JPEG"}.get(suffix))
    before = np.asarray(Image.open(path).convert("RGB")).copy()
    signer.sign(path, facts, path)
    assert own_reader(path)["validation_state"] == "Valid"
    assert np.array_equal(np.asarray(Image.open(path).convert("RGB")), before)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_depth_alpha_profile_and_metadata_are_kept(signer, facts, noise, tmp_path, suffix, deep):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(noise)
    if suffix != ".jpg":
        image.putalpha(Image.fromarray(noise[..., 0]))
    image.save(tmp_path / f"original{suffix}", exif=exif, icc_profile=profile, dpi=(300, 300))
    picture = read_picture(tmp_path / f"original{suffix}")
    if deep:
        wide = picture.samples.astype(np.uint16) * 256 + 7
        alpha = None if picture.alpha is None else picture.alpha.astype(np.uint16) * 257
        picture = replace(picture, samples=wide, alpha=alpha)
    plain, signed = tmp_path / f"plain{suffix}", tmp_path / f"signed{suffix}"
    write_picture(plain, picture, {"note": "kept"})
    write_picture(signed, picture, {"note": "kept"}, signer.finish(facts, tmp_path / f"original{suffix}"))
    assert own_reader(signed)["validation_state"] == "Valid"
    expected, found = read_picture(plain), read_picture(signed)
    assert found.samples.dtype == expected.samples.dtype and np.array_equal(found.samples, expected.samples)
    assert (found.alpha is None) == (expected.alpha is None)
    assert found.alpha is None or np.array_equal(found.alpha, expected.alpha)
    for name in ("profile", "exif", "xmp", "texts", "dots_per_inch"):
        assert getattr(found, name) == getattr(expected, name), name


def test_the_targets_own_credentials_are_kept_unless_dropped(signer, chain, facts, picture, tmp_path):
    target = tmp_path / "target.png"
    target.write_bytes(picture.read_bytes())
    signer.sign(target, facts)
    first = own_reader(target)["active_manifest"]
    signer.sign(picture, facts, target)
    store = own_reader(picture)
    assert first in store["manifests"] and len(store["manifests"]) == 2
    (parent,) = (one for one in read_credentials(picture).ingredients if one.relationship == "parentOf")
    assert parent.signer == "Anna Müller" and parent.problems == ()
    ContentSigner(signer.key, keep_target=False).sign(picture, facts, target)
    assert len(own_reader(picture)["manifests"]) == 1


def test_a_target_with_broken_credentials_is_named_as_such(signer, facts, picture, tmp_path):
    target = tmp_path / "target.png"
    target.write_bytes(picture.read_bytes())
    signer.sign(target, facts)
    target.write_bytes(with_changed_pixel(target.read_bytes()))
    signer.sign(picture, facts, target)
    found = read_credentials(picture)
    (parent,) = (one for one in found.ingredients if one.relationship == "parentOf")
    assert found.state == "valid" and parent.problems == ("the file was changed after it was signed",)


def test_a_name_is_stated_only_if_the_user_gives_one(signer, facts, picture):
    ContentSigner(signer.key, identity_name="Anna").sign(picture, facts)
    titles = [one.title for one in read_credentials(picture).ingredients if one.relationship == "inputTo"]
    assert titles == ["Anna", "Anna"]


@pytest.mark.parametrize("name", ["a.bmp", "a.mkv", "a.webm", "a.jp2", "a"])
def test_formats_without_credentials_are_refused_before_work(name):
    with pytest.raises(StyleSwapError, match=r"carries no Content Credentials.*\.png"):
        check_signable(name)


def test_a_file_that_cannot_be_signed_stays_as_it_is(signer, facts, tmp_path):
    path = tmp_path / "damaged.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0no picture")
    with pytest.raises(StyleSwapError, match="the result cannot be signed"):
        signer.sign(path, facts)
    assert path.read_bytes() == b"\xff\xd8\xff\xe0no picture" and list(tmp_path.iterdir()) == [path]


def test_an_unsigned_file_never_has_the_final_name(signer, facts, noise, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise StyleSwapError("no")

    monkeypatch.setattr(ContentSigner, "_sign", fails)
    Image.fromarray(noise).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    with pytest.raises(StyleSwapError, match="no"):
        write_picture(tmp_path / "b.png", picture, finish=signer.finish(facts))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_no_server_is_asked_unless_a_timestamp_is_wanted(chain, facts, picture):
    """A server on this machine sees every connection of c2pa's library, which Python cannot watch."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        signer = ContentSigner(load_signing_key(chain.certificate, chain.key, url))

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        answering = threading.Thread(target=refuse)
        answering.start()
        before = picture.read_bytes()
        with pytest.raises(StyleSwapError, match=r"cannot be signed.*another timestamp authority than http://127"):
            signer.sign(picture, facts)
        answering.join(10)
        assert not answering.is_alive() and picture.read_bytes() == before
        # The same address as the place of a manifest: nothing connects.
        server.settimeout(0.2)
        picture.write_bytes(with_remote_manifest(picture.read_bytes(), url))
        with pytest.raises(StyleSwapError, match="on a server, and nothing is fetched"):
            read_credentials(picture)
        with pytest.raises(TimeoutError):
            server.accept()


def with_remote_manifest(png: bytes, url: str) -> bytes:
    """A PNG file whose XMP data say that its credentials are on a server."""
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}/manifest"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp)
    result = io.BytesIO()
    Image.open(io.BytesIO(png)).save(result, "PNG", pnginfo=texts)
    return result.getvalue()
