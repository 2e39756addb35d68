"""The packages c2pa-python, with settings under which it opens no connection, and cryptography, which it brings."""

from types import ModuleType
from typing import Any

from ..errors import StyleSwapError, decoding, one_line

INSTALL = "pip install c2pa-python"
# Larger files are copied through the system's temporary folder instead of the memory while they are signed.
_MAX_MEMORY_MB = 64


def c2pa_library() -> ModuleType:
    """The module `c2pa`.

    Raises:
        StyleSwapError: It is not installed, or its library cannot be loaded on this system.
    """
    # Its library may not load on a system that it was not built for.
    with decoding("the package c2pa-python does not work here", f"reinstall it with: {INSTALL} --force-reinstall"):
        try:
            import c2pa
        except ImportError as error:
            raise StyleSwapError(
                f"Content Credentials need the package c2pa-python ({one_line(error)}); install it with: {INSTALL}"
            ) from error
    return c2pa


def has_c2pa_library() -> bool:
    """Whether the module `c2pa` can be imported."""
    try:
        c2pa_library()
    except StyleSwapError:
        return False
    return True


def require_cryptography(purpose: str) -> None:
    """Check that the package cryptography is installed.

    Args:
        purpose: Start of the message, such as "certificates need".

    Raises:
        StyleSwapError: It is not.
    """
    try:
        import cryptography.x509  # noqa: F401
    except ImportError as error:
        raise StyleSwapError(
            f"{purpose} the package cryptography, which c2pa-python brings; install both with: {INSTALL}"
        ) from error


def offline_settings(trusted: str = "") -> dict[str, Any]:
    """Settings of a `c2pa.Context`.

    Manifests on servers, revocation lists and lists of trusted signers are not fetched. Thumbnails are left out: that
    of the target would show the face that was replaced.

    Args:
        trusted: Certificates of issuers to trust, as PEM text. Without them no signer is known.
    """
    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
        # An empty list refuses every host.
        "core": {"allowed_network_hosts": [], "backing_store_memory_threshold_in_mb": _MAX_MEMORY_MB},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if trusted:
        settings["trust"] = {"user_anchors": trusted}
    return settings
