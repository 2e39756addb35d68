"""Pictures into which parts of other pictures were pasted, as files that state it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..credentials.signing import ContentSigner
from ..identities.provenance import MARK, EditFacts
from ..io.files import atomic_write
from ..io.images import PROVENANCE_KEY, save_image
from ..io.picture_file import PictureFile
from ..io.picture_writing import write_picture
from ..io.sheets import mask_picture
from .picture_files import SwapFiles


def write_edited(
    files: SwapFiles,
    target: PictureFile,
    parts: Sequence[PictureFile],
    result: np.ndarray,
    share: np.ndarray,
    signer: ContentSigner | None,
) -> tuple[bool, str | None]:
    """Write a picture with what its target holds beyond pixels, and its mask if requested.

    The mask is written first, so that no result lacks its mask. A result that equals its target is a copy of its file,
    with the credentials that it may have; in another format it is neither marked nor signed.

    Args:
        files: Target, result and mask.
        target: The target.
        parts: The pictures that were pasted.
        result: (H, W, 3) uint8 sRGB.
        share: (H, W) in 0..1: how much of each pixel was replaced.
        signer: Signs the result, or None.

    Returns:
        Whether the result differs from the target, and whom the certificate names with which it is signed, or None.

    Raises:
        StyleSwapError: A file cannot be written or signed.
    """
    changed = bool((result != target.seen).any())
    picture, finish = target.with_pixels(result, share), None
    if changed:
        facts = EditFacts.of([one.texts[MARK] for one in (target, *parts) if MARK in one.texts])
        # Whether the picture still is a render of the face world is not known.
        kept = {key: text for key, text in target.texts.items() if key != PROVENANCE_KEY}
        picture = replace(picture, texts={**kept, MARK: facts.text})
        finish = None if signer is None else signer.finish(facts, files.target)
    if files.mask_out is not None:
        files.mask_out.parent.mkdir(parents=True, exist_ok=True)
        save_image(files.mask_out, mask_picture(share))
    files.out.parent.mkdir(parents=True, exist_ok=True)
    same_format = files.out.suffix.lower() == files.target.suffix.lower()
    if not changed and same_format and target.frames == 1:
        with atomic_write(files.out) as temporary:
            shutil.copyfile(files.target, temporary)
    else:
        write_picture(files.out, picture, finish=finish)
    return changed, None if finish is None or signer is None else signer.key.name
