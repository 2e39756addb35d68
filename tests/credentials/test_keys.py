"""Certificates and keys: what is accepted, and what the errors say."""

import stat
import sys
from datetime import datetime, timedelta, timezone

import pytest

from styleswap_core.credentials import own_chain
from styleswap_core.credentials.own_chain import create_chain
from styleswap_core.credentials.reading import read_credentials
from styleswap_core.credentials.signing import ContentSigner
from styleswap_core.credentials.signing_key import find_signing_key, load_signing_key
from styleswap_core.errors import StyleSwapError

pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import CertificateBuilder, load_pem_x509_certificates


def pem(key, protection=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection or NoEncryption())


def test_a_made_chain_is_private_and_never_replaced(chain, tmp_path):
    assert sys.platform == "win32" or stat.S_IMODE(chain.key.stat().st_mode) == 0o600
    assert timedelta(days=364) < chain.expires - datetime.now(timezone.utc) < timedelta(days=366)
    with pytest.raises(StyleSwapError, match=r"key\.pem exists already|certificate\.pem exists already"):
        create_chain(chain.certificate.parent, "Me")
    with pytest.raises(StyleSwapError, match="expected a name of 1 to 64 characters"):
        create_chain(tmp_path / "a", " \n")
    assert not (tmp_path / "a").exists()


def test_a_key_is_found_by_argument_or_environment(chain, monkeypatch):
    assert find_signing_key() is None
    with pytest.raises(StyleSwapError, match="got only a certificate; name the other file, too, or set STYLESWAP_KEY"):
        find_signing_key(chain.certificate)
    monkeypatch.setenv("STYLESWAP_KEY", str(chain.key))
    with pytest.raises(StyleSwapError, match="got only a key.*STYLESWAP_CERTIFICATE"):
        find_signing_key()
    monkeypatch.setenv("STYLESWAP_CERTIFICATE", str(chain.certificate))
    assert find_signing_key().name == "Anna Müller"


def test_a_key_is_not_shown(chain):
    key = load_signing_key(chain.certificate, chain.key)
    assert "PRIVATE" not in repr(key) and "PRIVATE" not in repr(ContentSigner(key))


def test_key_and_certificate_belong_together(chain, tmp_path):
    other = create_chain(tmp_path / "other", "Other")
    with pytest.raises(StyleSwapError, match=r"key.pem does not belong to the certificate"):
        load_signing_key(chain.certificate, other.key)
    leaf, root = load_pem_x509_certificates(chain.certificate.read_bytes())
    turned = tmp_path / "turned.pem"
    turned.write_bytes(root.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM))
    with pytest.raises(StyleSwapError, match="is not the first in .*turned.pem"):
        load_signing_key(turned, chain.key)


def test_dates_are_checked(tmp_path):
    old = create_chain(tmp_path / "old", "Me", days=-1)
    with pytest.raises(StyleSwapError, match=r"certificate.pem expired on \d{4}-\d\d-\d\d; renew it"):
        load_signing_key(old.certificate, old.key)


def test_a_certificate_of_tomorrow(tmp_path, monkeypatch):
    monkeypatch.setattr(own_chain, "_SLACK", timedelta(days=-1))
    early = create_chain(tmp_path / "early", "Me")
    with pytest.raises(StyleSwapError, match="is valid from .* on; check the date"):
        load_signing_key(early.certificate, early.key)


def test_an_encrypted_key_needs_its_passphrase(chain, tmp_path, monkeypatch):
    locked = tmp_path / "locked.pem"
    key = load_pem_private_key(chain.key.read_bytes(), None)
    locked.write_bytes(pem(key, BestAvailableEncryption(b"open sesame")))
    with pytest.raises(StyleSwapError, match="is encrypted; set STYLESWAP_KEY_PASSPHRASE"):
        load_signing_key(chain.certificate, locked)
    monkeypatch.setenv("STYLESWAP_KEY_PASSPHRASE", "wrong")
    with pytest.raises(StyleSwapError, match="STYLESWAP_KEY_PASSPHRASE is not its passphrase"):
        load_signing_key(chain.certificate, locked)
    monkeypatch.setenv("STYLESWAP_KEY_PASSPHRASE", "open sesame")
    assert load_signing_key(chain.certificate, locked).algorithm == "es256"
    assert load_signing_key(chain.certificate, chain.key).algorithm == "es256"


@pytest.mark.parametrize("swapped", [False, True])
def test_other_files_are_refused(chain, tmp_path, swapped):
    junk = tmp_path / "junk.pem"
    for content, reason in [(b"junk", "in PEM form"), (b"-----BEGIN X-----\nAA\n-----END X-----\n", "no readable")]:
        junk.write_bytes(content)
        files = (chain.certificate, junk) if swapped else (junk, chain.key)
        with pytest.raises(StyleSwapError, match=reason) as caught:
            load_signing_key(*files)
        assert "junk.pem" in str(caught.value)
    with pytest.raises(StyleSwapError, match="in a PEM file, but .*missing.pem does not exist"):
        load_signing_key(tmp_path / "missing.pem", chain.key)


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_other_kinds_of_keys_sign(chain, facts, picture, tmp_path, make, algorithm):
    certificate, key = reissued(chain, tmp_path, make())
    loaded = load_signing_key(certificate, key)
    assert loaded.algorithm == algorithm
    ContentSigner(loaded).sign(picture, facts)
    assert read_credentials(picture).state == "valid"


def reissued(chain, folder, key, extensions=True):
    """Files of a certificate like that of the chain for another key, issued by another authority, and of the key."""
    leaf, root = load_pem_x509_certificates(chain.certificate.read_bytes())
    authority = ec.generate_private_key(ec.SECP256R1())
    own = [
        own_chain._certificate(
            root.subject, authority, root.subject, authority, (root.not_valid_before_utc, root.not_valid_after_utc), []
        )
    ]
    builder = CertificateBuilder(
        root.subject, leaf.subject, key.public_key(), 7, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )
    for extension in leaf.extensions if extensions else ():
        builder = builder.add_extension(extension.value, extension.critical)
    own.insert(0, builder.sign(authority, SHA256()))
    (folder / "c.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in own))
    (folder / "k.pem").write_bytes(pem(key))
    return folder / "c.pem", folder / "k.pem"


def test_weak_and_unknown_kinds_of_keys_are_refused(chain, tmp_path):
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())):
        files = reissued(chain, tmp_path, key)
        with pytest.raises(StyleSwapError, match="C2PA does not sign with keys such as"):
            load_signing_key(*files)


def test_a_certificate_for_something_else_is_refused_before_any_work(chain, tmp_path):
    files = reissued(chain, tmp_path, ec.generate_private_key(ec.SECP256R1()), extensions=False)
    with pytest.raises(StyleSwapError, match="the certificate cannot sign Content Credentials"):
        ContentSigner(load_signing_key(*files))


def test_a_missing_package_is_one_sentence(chain, monkeypatch):
    key = load_signing_key(chain.certificate, chain.key)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(StyleSwapError, match=r"need the package c2pa-python.*pip install c2pa-python"):
        ContentSigner(key)
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    with pytest.raises(StyleSwapError, match="need the package cryptography"):
        load_signing_key(chain.certificate, chain.key)


def test_issuers_to_trust_are_certificates(picture, tmp_path):
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(StyleSwapError, match=r"bad\.pem holds no readable certificate"):
        read_credentials(picture, tmp_path / "bad.pem")
