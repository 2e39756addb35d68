"""Certificates, keys and pictures for the tests of Content Credentials."""

from pathlib import Path

import numpy as np
import pytest

from styleswap_core.credentials.own_chain import OwnChain, create_chain
from styleswap_core.credentials.signing import ContentSigner
from styleswap_core.credentials.signing_key import load_signing_key
from styleswap_core.identities.provenance import SwapFacts


@pytest.fixture(autouse=True)
def _no_certificate_of_the_user(monkeypatch):
    for name in ("CERTIFICATE", "KEY", "KEY_PASSPHRASE", "TIMESTAMP_URL"):
        monkeypatch.delenv(f"STYLESWAP_{name}", raising=False)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> OwnChain:
    """A self-issued certificate and its key."""
    return create_chain(tmp_path_factory.mktemp("chain"), "Anna Müller")


@pytest.fixture(scope="session")
def signer(chain: OwnChain) -> ContentSigner:
    """Signs with that certificate."""
    return ContentSigner(load_signing_key(chain.certificate, chain.key, ""))


@pytest.fixture(scope="session")
def facts() -> SwapFacts:
    """What is stated about a swap."""
    return SwapFacts("ab" * 32, ("0123456789abcdef", "fedcba9876543210"), 0.75, "inswapper_128")


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """A picture (48, 64, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path: Path, noise: np.ndarray) -> Path:
    """The picture as a PNG file."""
    from PIL import Image

    Image.fromarray(noise).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"
