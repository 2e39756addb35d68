"""Signed pictures and certificates, as kinds of files.

Names and signatures in them are random, so a seed repeats the way a file is bent, but not each of its bytes.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

Files = tuple[str, str, Callable[[Path], None], Callable[[Path], object]]


def credential_files() -> list[Files]:
    """Name, file, writer and reader of each kind; none without c2pa-python."""
    if find_spec("c2pa") is None:
        return []
    signed = [(f"signed picture {suffix}", f"a.{suffix}", _write_signed, _read_signed) for suffix in ("png", "jpg")]
    return [*signed, ("certificate", "certificate.pem", _write_certificate, _read_certificate)]


def _write_certificate(folder: Path) -> None:
    from styleswap_core.credentials.own_chain import create_chain

    create_chain(folder, "Anna")


def _read_certificate(path: Path) -> object:
    from styleswap_core.credentials.signing_key import load_signing_key

    return load_signing_key(path, path.with_name("key.pem"), "")


def _write_signed(folder: Path) -> None:
    from pictures_of_cameras import colors

    from styleswap_core.credentials.signing import ContentSigner
    from styleswap_core.identities.provenance import SwapFacts

    _write_certificate(folder)
    signer = ContentSigner(_read_certificate(folder / "certificate.pem"))
    for name in ("a.png", "a.jpg"):
        Image.fromarray(colors()).save(folder / name)
        signer.sign(folder / name, SwapFacts("ab" * 32, ("0" * 16,), 1.0))


def _read_signed(path: Path) -> object:
    from styleswap_core.credentials.file_statements import read_statements

    return read_statements(path, path.with_name("certificate.pem")).as_json()
