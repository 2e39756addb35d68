"""Options that sign results with Content Credentials."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StyleSwapError
from .arguments import Options

if TYPE_CHECKING:
    from ..credentials.signing import ContentSigner


def add_credential_arguments(group: Options, swap: bool = True) -> None:
    """Declare the options; `swap`: whether results have a source person."""
    group.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE.pem",
        help="sign results with this certificate, followed by those of its issuers; needs --key and c2pa-python "
        "(default: the file that STYLESWAP_CERTIFICATE names; without one nothing is signed)",
    )
    group.add_argument(
        "--key",
        type=Path,
        metavar="FILE.pem",
        help="private key of the certificate (default: the file that STYLESWAP_KEY names); the passphrase of an "
        "encrypted key is that of STYLESWAP_KEY_PASSPHRASE",
    )
    group.add_argument(
        "--timestamp",
        metavar="URL",
        help="let this timestamp authority state when results are signed: it is sent a hash of each signature "
        "(default: STYLESWAP_TIMESTAMP_URL; without one no server is asked)",
    )
    if swap:
        group.add_argument(
            "--identity-name",
            default="",
            metavar="TEXT",
            help="name of the source person in the credentials (default: only a hash of the identity)",
        )
    group.add_argument(
        "--drop-target-credentials",
        action="store_true",
        help="do not keep the credentials of the target in those of the result: they may hold a thumbnail of it, with "
        "the face as it was",
    )
    group.add_argument(
        "--no-credentials",
        action="store_true",
        help="do not sign, even if STYLESWAP_CERTIFICATE is set",
    )


def signer_of(args: argparse.Namespace, results: Sequence[Path]) -> "ContentSigner | None":
    """The signer that the options or environment variables name; None for results without credentials.

    Args:
        args: Arguments of `styleswap swap` or `styleswap paste`.
        results: The results, whose formats have to carry credentials.

    Raises:
        StyleSwapError: A result cannot be signed, options that contradict each other, or as for `find_signing_key` and
            `ContentSigner`.
    """
    from ..credentials.signing_key import CERTIFICATE_VARIABLE, find_signing_key

    identity_name = getattr(args, "identity_name", "")
    given = next((name for name in ("certificate", "key", "timestamp") if getattr(args, name)), None)
    given = given or ("identity_name" if identity_name else None)
    given = given or ("drop_target_credentials" if args.drop_target_credentials else None)
    option = None if given is None else f"--{given.replace('_', '-')}"
    if args.no_credentials:
        if option is not None:
            raise StyleSwapError(f"{option} is for signed results; leave out --no-credentials")
        return None
    key = find_signing_key(args.certificate, args.key, args.timestamp)
    if key is None:
        if option is not None:
            raise StyleSwapError(
                f"{option} is for signed results; name a certificate with --certificate and --key, or set"
                f" {CERTIFICATE_VARIABLE}"
            )
        return None
    from ..credentials.manifests import check_signable
    from ..credentials.signing import ContentSigner

    # A preview is written instead of the results.
    for path in () if getattr(args, "preview", None) is not None else results:
        check_signable(path)
    return ContentSigner(key, identity_name, keep_target=not args.drop_target_credentials)
