"""When Save Swapped Image signs, and with what."""

import pytest

from styleswap_core.identities.provenance import SwapFacts
from styleswap_core.io.images import save_image

INFO = SwapFacts("ab" * 32, ("0123456789abcdef",), 1.0, "ghost_256").text


@pytest.fixture(scope="module")
def node(pack):
    return pack("nodes.image_credentials")


@pytest.fixture
def no_certificate(monkeypatch):
    for name in ("CERTIFICATE", "KEY", "KEY_PASSPHRASE", "TIMESTAMP_URL"):
        monkeypatch.delenv(f"STYLESWAP_{name}", raising=False)


@pytest.fixture
def certificate(no_certificate, monkeypatch, tmp_path):
    pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")
    from styleswap_core.credentials.own_chain import create_chain

    made = create_chain(tmp_path / "chain", "Me")
    monkeypatch.setenv("STYLESWAP_CERTIFICATE", str(made.certificate))
    monkeypatch.setenv("STYLESWAP_KEY", str(made.key))


@pytest.mark.parametrize(("credentials", "info"), [("automatic", INFO), ("automatic", None), ("off", INFO)])
def test_nothing_is_signed_without_a_certificate(node, no_certificate, credentials, info):
    assert node.image_signing(credentials, info, None, "") is None


@pytest.mark.parametrize("info", [INFO, None])
def test_nothing_is_signed_if_it_is_off_or_no_swap(node, certificate, info):
    assert node.image_signing("off", info, None, "") is None
    assert info or node.image_signing("automatic", info, None, "") is None


def test_on_demands_a_certificate_and_a_swap(node, no_certificate):
    with pytest.raises(ValueError, match="no certificate to sign with; start ComfyUI with STYLESWAP_CERTIFICATE"):
        node.image_signing("on", INFO, None, "")
    with pytest.raises(ValueError, match="connect that of Swap Face"):
        node.image_signing("on", None, None, "")


def test_a_text_of_another_node_is_refused(node, certificate):
    with pytest.raises(ValueError, match="expected the text swap_info of Swap Face, got 'made by me'"):
        node.image_signing("automatic", "made by me", None, "")


def test_saved_images_state_the_swap(node, certificate, tmp_path):
    import numpy as np

    from styleswap_core.credentials.reading import read_credentials

    sign = node.image_signing("automatic", INFO, None, " Anna ")
    save_image(tmp_path / "a.png", np.zeros((32, 32, 4), np.uint8), {"styleswap": INFO}, sign)
    found = read_credentials(tmp_path / "a.png")
    assert found.state == "valid" and found.signer == "Me"
    assert found.actions[-1].parameters["styleswap.model_sha256"] == "ab" * 8
    assert {(one.title, one.relationship) for one in found.ingredients} == {("target", "parentOf"), ("Anna", "inputTo")}
