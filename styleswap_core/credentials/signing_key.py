"""Certificates and keys with which results are signed. They are the user's, and are only ever read."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError, decoding
from ..io.files import require_file
from .c2pa_library import require_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

CERTIFICATE_VARIABLE = "STYLESWAP_CERTIFICATE"
KEY_VARIABLE = "STYLESWAP_KEY"
PASSPHRASE_VARIABLE = "STYLESWAP_KEY_PASSPHRASE"
TIMESTAMP_VARIABLE = "STYLESWAP_TIMESTAMP_URL"

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_MIN_RSA_BITS = 2048
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class SigningKey:
    """A certificate with its private key.

    Attributes:
        certificates: The signer's certificate and those of its issuers, as PEM text.
        private_key: PKCS #8, as PEM.
        algorithm: C2PA's name of the algorithm, such as "es256".
        name: Whom the certificate names.
        timestamp_url: Address of a timestamp authority (RFC 3161), the only server that is ever asked; empty for none.
    """

    certificates: str
    private_key: bytes = field(repr=False)
    algorithm: str
    name: str
    timestamp_url: str = ""


def find_signing_key(
    certificate: str | Path | None = None, key: str | Path | None = None, timestamp_url: str | None = None
) -> SigningKey | None:
    """The signing key that arguments name, or else environment variables; None if neither do.

    Args:
        certificate: File of the certificate and its issuers; by default that of STYLESWAP_CERTIFICATE.
        key: File of the private key; by default that of STYLESWAP_KEY.
        timestamp_url: Address of a timestamp authority; by default that of STYLESWAP_TIMESTAMP_URL, if any.

    Raises:
        StyleSwapError: One of the two files is not named, or as for `load_signing_key`.
    """
    certificate = certificate or os.environ.get(CERTIFICATE_VARIABLE) or None
    key = key or os.environ.get(KEY_VARIABLE) or None
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = ("a key", CERTIFICATE_VARIABLE) if certificate is None else ("a certificate", KEY_VARIABLE)
        raise StyleSwapError(
            f"expected a certificate and its private key to sign with, got only {given}; name the other file, too, or "
            f"set {missing}"
        )
    return load_signing_key(certificate, key, timestamp_url)


def load_signing_key(certificate: str | Path, key: str | Path, timestamp_url: str | None = None) -> SigningKey:
    """Read a certificate and its private key, and check that results can be signed with them.

    The passphrase of an encrypted key is taken from STYLESWAP_KEY_PASSPHRASE.

    Args:
        certificate: PEM file with the signer's certificate first, and those of its issuers.
        key: PEM file of the private key: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA.
        timestamp_url: Address of a timestamp authority; by default that of STYLESWAP_TIMESTAMP_URL, if any.

    Raises:
        StyleSwapError: A file is missing or is none of the above, the two do not belong together, the certificate is
            not valid today, or the package cryptography is missing.
    """
    chain = read_certificates(Path(certificate))
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private_key = _read_key(Path(key))
    # Parts of a certificate are decoded when they are used.
    with decoding(f"{certificate} holds no readable certificate", "check the file"):
        _check_dates(chain[0], Path(certificate))
        _check_pair(chain, private_key, Path(certificate), Path(key))
        name = subject_name(chain[0])
        certificates = "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in chain)
    url = os.environ.get(TIMESTAMP_VARIABLE, "") if timestamp_url is None else timestamp_url
    if url and not url.startswith(("http://", "https://")):
        raise StyleSwapError(
            f"expected the address of a timestamp authority, such as http://..., got {url!r}; correct it, or leave it"
            " out"
        )
    return SigningKey(
        certificates,
        private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _algorithm(private_key, Path(key)),
        name,
        url,
    )


def subject_name(certificate: "Certificate") -> str:
    """Whom a certificate names: its common name, or else its whole subject."""
    from cryptography.x509.oid import NameOID

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _read_pem(path: Path, what: str) -> bytes:
    """Contents of a PEM file.

    Args:
        path: The file.
        what: What is expected, such as "a certificate".

    Raises:
        StyleSwapError: It is missing, not readable or no PEM file.
    """
    require_file(path, f"{what} in a PEM file")
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MAX_BYTES)
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    if b"-----BEGIN" not in content:
        raise StyleSwapError(f"expected {what} in PEM form, but {path} is something else; convert it with openssl")
    return content


def read_certificates(path: Path) -> "list[Certificate]":
    """Certificates of a PEM file, at least one.

    Raises:
        StyleSwapError: The file is missing or holds no readable certificate, or the package cryptography is missing.
    """
    require_cryptography("certificates need")
    from cryptography.x509 import load_pem_x509_certificates

    content = _read_pem(path, "a certificate")
    with decoding(f"{path} holds no readable certificate", "check the file"):
        return load_pem_x509_certificates(content)


def _read_key(path: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read_pem(path, "a private key")
    passphrase = os.environ.get(PASSPHRASE_VARIABLE) or None
    try:
        # A passphrase for a key without one is an error of this function.
        if passphrase is None or b"ENCRYPTED" not in content:
            return load_pem_private_key(content, None)
        return load_pem_private_key(content, passphrase.encode())
    except TypeError as error:
        raise StyleSwapError(f"{path} is encrypted; set {PASSPHRASE_VARIABLE} to its passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # The reason is not quoted: it may quote the file.
        raise StyleSwapError(
            f"{path} holds no readable private key, or {PASSPHRASE_VARIABLE} is not its passphrase; check both"
        ) from error


def _check_dates(leaf: "Certificate", path: Path) -> None:
    now = datetime.now(timezone.utc)
    if now > leaf.not_valid_after_utc:
        raise StyleSwapError(
            f"the certificate {path} expired on {leaf.not_valid_after_utc:%Y-%m-%d}; renew it, or use another one"
        )
    if now < leaf.not_valid_before_utc:
        raise StyleSwapError(
            f"the certificate {path} is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; check the date"
            " of this computer"
        )


def _check_pair(chain: "list[Certificate]", key: "PrivateKeyTypes", certificate_path: Path, key_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    own = key.public_key().public_bytes(*form)
    matching = [certificate.public_key().public_bytes(*form) == own for certificate in chain]
    if not any(matching):
        raise StyleSwapError(
            f"the key {key_path} does not belong to the certificate {certificate_path}; use the key that it was issued"
            " for"
        )
    if not matching[0]:
        raise StyleSwapError(
            f"the certificate of the key {key_path} is not the first in {certificate_path}; put it before those of its"
            " issuers"
        )


def _algorithm(key: "PrivateKeyTypes", path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        return "ps256"
    raise StyleSwapError(
        f"C2PA does not sign with keys such as {path}; use one for ECDSA (P-256, P-384, P-521) or Ed25519, or RSA of at"
        f" least {_MIN_RSA_BITS} bits"
    )
