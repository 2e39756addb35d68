"""Videos that are signed with Content Credentials."""

import numpy as np
import pytest
from clips import packets_of, planes_of, write_clip
from toy_swapper import IDENTITY, toy_swapper

from styleswap_core.credentials.file_statements import read_statements
from styleswap_core.credentials.own_chain import create_chain
from styleswap_core.credentials.reading import read_credentials
from styleswap_core.credentials.signing import ContentSigner
from styleswap_core.credentials.signing_key import load_signing_key
from styleswap_core.errors import StyleSwapError
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.swap_video import swap_video
from styleswap_core.video.work_folder import work_folder

pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")
SHORT = ClipOptions(tracking=None, segment_frames=5)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    chain = create_chain(tmp_path_factory.mktemp("chain"), "Me")
    return ContentSigner(load_signing_key(chain.certificate, chain.key, ""))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "source.mp4", 7, sound="aac")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_signed_video_holds_the_same_and_states_the_swap(signer, source, tmp_path, suffix):
    plain, signed = tmp_path / f"plain{suffix}", tmp_path / f"signed{suffix}"
    swap_video(toy_swapper(), source, plain, IDENTITY, clip=SHORT)
    swap_video(toy_swapper(), source, signed, IDENTITY, clip=SHORT, signer=signer)
    assert packets_of(signed, "video") == packets_of(plain, "video")
    assert packets_of(signed, "audio") == packets_of(plain, "audio")
    (frames, times), (expected, expected_times) = planes_of(signed), planes_of(plain)
    assert times == expected_times and len(frames) == len(expected)
    for planes, others in zip(frames, expected, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(planes, others, strict=True))
    assert read_credentials(plain) is None
    found = read_statements(signed)
    assert found.credentials.state == "valid" and found.credentials.signer == "Me"
    assert found.credentials.actions[-1].description == found.mark != ""
    content = bytearray(signed.read_bytes())
    content[content.index(b"mdat") + 500] ^= 1
    signed.write_bytes(content)
    assert read_credentials(signed).problems == ("the file was changed after it was signed",)


def test_the_credentials_of_a_video_are_kept_in_those_of_its_swap(signer, source, tmp_path):
    swap_video(toy_swapper(), source, tmp_path / "once.mp4", IDENTITY, clip=SHORT, signer=signer)
    swap_video(toy_swapper(), tmp_path / "once.mp4", tmp_path / "twice.mp4", IDENTITY, clip=SHORT, signer=signer)
    found = read_credentials(tmp_path / "twice.mp4")
    (parent,) = (one for one in found.ingredients if one.relationship == "parentOf")
    assert found.state == "valid" and parent.signer == "Me" and len(found.store["manifests"]) == 2


def test_an_animation_is_signed(signer, source, tmp_path):
    out = tmp_path / "out.webp"
    swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, signer=signer)
    assert read_credentials(out).state == "valid"


def test_a_container_without_credentials_is_refused_before_any_frame(signer, source, tmp_path):
    with pytest.raises(StyleSwapError, match=r"out\.mkv cannot be signed.*\.mp4"):
        swap_video(
            toy_swapper(), source, tmp_path / "out.mkv", IDENTITY, clip=SHORT, signer=signer, on_frame=pytest.fail
        )
    assert list(tmp_path.iterdir()) == []


def test_a_failed_signature_costs_no_frames(signer, source, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise StyleSwapError("the timestamp authority is silent")

    out = tmp_path / "out.mp4"
    with monkeypatch.context() as patched, pytest.raises(StyleSwapError, match="is silent"):
        patched.setattr(ContentSigner, "_sign", fails)
        swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, signer=signer)
    assert not out.exists() and work_folder(out).exists()
    frames: list[int] = []
    swap_video(toy_swapper(), source, out, IDENTITY, clip=SHORT, signer=signer, resume=True, on_frame=frames.append)
    assert frames == [] and read_credentials(out).state == "valid"
