"""Signing of results with Content Credentials."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from ..errors import decoding
from ..identities.provenance import EditFacts, SwapFacts
from ..io.files import Finish, atomic_write
from .c2pa_library import c2pa_library, offline_settings
from .manifests import SIGNED_TYPES, check_signable, edit_manifest, swap_manifest, target_ingredient
from .signing_key import SigningKey

if TYPE_CHECKING:
    from c2pa import Context

# Formats of targets that may have credentials, beyond those of results.
_READ_TYPES = {**SIGNED_TYPES, ".jpe": "image/jpeg", ".heic": "image/heic", ".heif": "image/heif"}
_TRIAL_SIDE = 16

Target = str | Path | BytesIO


@dataclass(frozen=True)
class ContentSigner:
    """Signs results with Content Credentials.

    The manifest of a result says that it was edited (`c2pa.edited`), by which program and model, that a part of it
    comes from a trained model, and what it was made from: the target, and the source identities as hashes.

    Attributes:
        key: Certificate and key.
        identity_name: What to call the source person in the manifest; empty to state only the identity's hash.
        keep_target: Whether the target's own credentials become part of those of the result. They may hold a thumbnail,
            which shows the target as it was.

    Raises:
        StyleSwapError: c2pa-python is missing, or refuses the certificate.
    """

    key: SigningKey
    identity_name: str = ""
    keep_target: bool = True

    def __post_init__(self) -> None:
        # A certificate of the wrong kind would otherwise be found after hours of work.
        picture = BytesIO()
        Image.new("L", (_TRIAL_SIDE, _TRIAL_SIDE)).save(picture, "PNG")
        with decoding("the certificate cannot sign Content Credentials", "use one that is issued for them"):
            self._sign("image/png", picture, BytesIO(), SwapFacts("", (), 1.0), None, "")

    def sign(self, path: str | Path, facts: SwapFacts | EditFacts, target: Target | None = None) -> None:
        """Sign a file, which is replaced as a whole or stays as it is. Pixels and metadata do not change.

        Args:
            path: The file; its suffix states its format.
            facts: What was swapped or edited.
            target: The picture or video in which faces were swapped, as it was; None if it is not known.

        Raises:
            StyleSwapError: The format carries no credentials, the file is damaged or cannot be replaced, or the
                timestamp authority does not answer.
        """
        path = Path(path)
        check_signable(path)
        url = self.key.timestamp_url
        remedy = f"try another timestamp authority than {url}" if url else "write it again"
        with (
            atomic_write(path) as signed,
            decoding("the result cannot be signed", remedy),
            open(path, "rb") as unsigned,
            open(signed, "w+b") as result,
        ):
            own = self._own_credentials(target) if self.keep_target and target is not None else None
            self._sign(SIGNED_TYPES[path.suffix.lower()], unsigned, result, facts, own, url)

    def finish(self, facts: SwapFacts | EditFacts, target: Target | None = None) -> Finish:
        """`sign` as a function of the file alone, for writers of files; see `io.files.atomic_write`."""
        return partial(self.sign, facts=facts, target=target)

    def _sign(
        self,
        kind: str,
        unsigned: BinaryIO,
        result: BinaryIO,
        facts: SwapFacts | EditFacts,
        own: tuple[str, Target] | None,
        url: str,
    ) -> None:
        c2pa = c2pa_library()
        key = self.key
        info = c2pa.C2paSignerInfo(key.algorithm, key.certificates.encode("ascii"), key.private_key, url or None)
        if isinstance(facts, EditFacts):
            manifest = edit_manifest(facts, bare_target=own is None)
        else:
            manifest = swap_manifest(facts, self.identity_name, bare_target=own is None)
        with (
            c2pa.Context.from_dict(offline_settings()) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(manifest, context) as builder,
        ):
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if own is not None:
                with opened_target(own[1]) as stream:
                    builder.add_ingredient(target_ingredient(), own[0], stream)
            builder.sign(signer, kind, unsigned, result)

    def _own_credentials(self, target: Target) -> tuple[str, Target] | None:
        """Media type of a target, and the target, if it has credentials that can be read."""
        c2pa = c2pa_library()
        kind = "video/mp4" if isinstance(target, BytesIO) else _READ_TYPES.get(Path(target).suffix.lower())
        if kind is None:
            return None
        with c2pa.Context.from_dict(offline_settings()) as context, opened_target(target) as stream:
            return (kind, target) if _has_credentials(context, kind, stream) else None


@contextmanager
def opened_target(target: Target) -> Iterator[BinaryIO]:
    """Context with a stream of a target, from its start."""
    if isinstance(target, BytesIO):
        yield BytesIO(target.getbuffer())
        return
    with open(target, "rb") as stream:
        yield stream


def _has_credentials(context: "Context", kind: str, stream: BinaryIO) -> bool:
    c2pa = c2pa_library()
    try:
        reader = c2pa.Reader(kind, stream, context=context)
    except c2pa.C2paError:
        # None, damaged ones, or ones on a server, which is not asked.
        return False
    reader.close()
    return True
