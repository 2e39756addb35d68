"""A self-issued certificate for Content Credentials.

C2PA does not accept certificates that sign themselves, so one is issued by an authority that is made for it. The key of
that authority is never stored: nothing else can be issued in its name.
"""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import StyleSwapError
from ..io.files import atomic_write
from .c2pa_library import require_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, Name

CERTIFICATE_NAME = "certificate.pem"
KEY_NAME = "key.pem"
MAX_NAME = 64
"""Longest common name of a certificate (X.520), in characters."""

# Clocks of readers may be slow.
_SLACK = timedelta(hours=1)


class OwnChain(NamedTuple):
    """Files of a certificate and its issuer, and of its private key, and when it expires."""

    certificate: Path
    key: Path
    expires: datetime


def create_chain(folder: str | Path, name: str, days: int = 365) -> OwnChain:
    """Make a self-issued certificate and its key, ECDSA on P-256, and write them into a folder.

    Existing files are never replaced. Only the owner may read the key.

    Args:
        folder: Folder for certificate.pem and key.pem; it is created if it does not exist.
        name: Whom the certificate names. Nobody checks it.
        days: Validity in days.

    Raises:
        StyleSwapError: The folder holds such files already or cannot be written to, the name is empty or too long, or
            the package cryptography is missing.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise StyleSwapError(
            f"expected a name of 1 to {MAX_NAME} characters on one line, got {name[:80]!r}; choose another one"
        )
    folder = Path(folder)
    certificate_path, key_path = folder / CERTIFICATE_NAME, folder / KEY_NAME
    for path in (certificate_path, key_path):
        if os.path.lexists(path):
            raise StyleSwapError(f"{path} exists already, and a lost key cannot be made again; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StyleSwapError(f"cannot create {folder}: {error.strerror}; choose another folder") from error
    chain, key, expires = _issue(name, days)
    with atomic_write(key_path) as temporary:
        # Before the key is in it; on Windows, the rights of the folder apply.
        temporary.chmod(0o600)
        temporary.write_bytes(key)
    with atomic_write(certificate_path) as temporary:
        temporary.write_bytes(chain)
    return OwnChain(certificate_path, key_path, expires)


def _issue(name: str, days: int) -> tuple[bytes, bytes, datetime]:
    """PEM files of the chain and of the key, and when the certificate expires."""
    require_cryptography("a certificate needs")
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-issued, not verified"), organization])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), organization])
    now = datetime.now(timezone.utc)
    dates = now - _SLACK, now + timedelta(days=days)
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = _certificate(
        issuer,
        root_key,
        issuer,
        root_key,
        dates,
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_key_usage(key_cert_sign=True, crl_sign=True), True),
            (root_id, False),
        ],
    )
    leaf = _certificate(
        subject,
        key,
        issuer,
        root_key,
        dates,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(digital_signature=True), True),
            # One of the uses that C2PA accepts without further settings.
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), False),
        ],
    )
    chain = leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    return chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), dates[1]


def _certificate(
    subject: "Name",
    key: "EllipticCurvePrivateKey",
    issuer: "Name",
    issuer_key: "EllipticCurvePrivateKey",
    dates: tuple[datetime, datetime],
    extensions: list[tuple[Any, bool]],
) -> "Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), dates[0], dates[1]
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, SHA256())


def _key_usage(**used: bool) -> Any:
    from cryptography.x509 import KeyUsage

    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    return KeyUsage(
        **{name: used.get(name, False) for name in [*names.split(), "crl_sign", "encipher_only", "decipher_only"]}
    )
