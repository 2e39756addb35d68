"""Pasting of crops into picture files."""

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypedDict

import numpy as np
import torch

from ..compositing.composite import BlendOptions
from ..compositing.crop_pasting import LEAST_SIDE, paste_faces
from ..compositing.places_file import PicturePlaces
from ..credentials.signing import ContentSigner
from ..errors import StyleSwapError
from ..io.images import load_mask
from ..io.picture_file import PictureFile, read_picture
from .crop_files import CropFolder
from .edited_files import write_edited
from .picture_files import SwapFiles, place


class PasteReport(TypedDict):
    """Report on one picture.

    `changed` says whether any pixel differs from the target; `frames` is the number of frames of an animation, of which
    only the first was used, and 1 for single pictures; `signed_by` whom the certificate names with which the result is
    signed, or None.
    """

    target: str
    out: str
    mask: str | None
    seconds: float
    faces: int
    changed: bool
    frames: int
    signed_by: str | None


@dataclass(frozen=True, eq=False)
class FilePaster:
    """Pastes crops into picture files.

    Attributes:
        places: File with the places of the crops.
        rows: Its contents.
        crops: The crops.
        options: How to blend.
        masks: What of each crop is pasted: a folder, one mask (h, w) for all, or None for everything.
        keep: (h, w), 1 where pictures stay as they are, or None; scaled to each picture.
        signer: Signs results that differ from their targets, or None.
    """

    places: Path
    rows: Sequence[PicturePlaces]
    crops: CropFolder
    options: BlendOptions
    masks: CropFolder | torch.Tensor | None = None
    keep: torch.Tensor | None = None
    signer: ContentSigner | None = None

    def row_of(self, target: Path, roots: Sequence[Path]) -> PicturePlaces:
        """The places of the crops of a target.

        It is found by its path below the folder that it was found in, or else by its name, without suffix at worst.

        Args:
            target: The picture.
            roots: Folders that targets were found in.

        Raises:
            StyleSwapError: There is no such picture, or more than one.
        """
        for name in _names(place(target, roots).as_posix()):
            if len(same := self._named.get(name, [])) == 1:
                return same[0]
        raise StyleSwapError(
            f"{target} is not one of the pictures in {self.places}; name those that the crops were cut from, or swaps"
            " of them with the same names"
        )

    @cached_property
    def _named(self) -> dict[tuple[str, ...], list[PicturePlaces]]:
        """The rows by each of their names."""
        named: dict[tuple[str, ...], list[PicturePlaces]] = {}
        for row in self.rows:
            for name in _names(row.picture):
                named.setdefault(name, []).append(row)
        return named

    def paste_file(self, files: SwapFiles, row: PicturePlaces) -> PasteReport:
        """Paste the crops of a picture; write the result, and the mask if requested.

        Nothing is written unless the crops can be pasted.

        Args:
            files: Target, result and mask.
            row: The places of its crops.

        Raises:
            StyleSwapError: The target is another picture, a crop is missing, cannot be read or does not fit, or the
                result cannot be written.
        """
        start = time.perf_counter()
        file = read_picture(files.target)
        crops = [_read_crop(self.crops.file(name)) for name in row.crops]
        result, share = self._pasted(files.target, file, crops, row)
        changed, signed_by = write_edited(files, file, crops, result, share, self.signer)
        return {
            "target": str(files.target),
            "out": str(files.out),
            "mask": None if files.mask_out is None else str(files.mask_out),
            "seconds": round(time.perf_counter() - start, 3),
            "faces": len(crops),
            "changed": changed,
            "frames": file.frames,
            "signed_by": signed_by,
        }

    def _pasted(
        self, target: Path, file: PictureFile, crops: Sequence[PictureFile], row: PicturePlaces
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) uint8 sRGB with its crops, and the share of each pixel that was replaced (H, W)."""
        frame = torch.from_numpy(file.seen)[None].float() / 255
        row.placed.check_batch(frame)
        if not row.placed.shown_in(0, frame[0]):
            raise StyleSwapError(
                f"{target} is not the picture that the crops were cut from, or has changed since; name the original"
                " picture, or a swap of it"
            )
        images, shares = paste_faces(
            frame,
            [torch.from_numpy(crop.seen).float() / 255 for crop in crops],
            row.placed,
            self.options,
            masks=self._masks(row),
            keep=self.keep,
        )
        return np.rint(images[0].numpy() * 255).astype(np.uint8), shares[0].numpy()

    def _masks(self, row: PicturePlaces) -> list[torch.Tensor] | None:
        if isinstance(self.masks, CropFolder):
            return [load_mask(self.masks.file(name)) for name in row.crops]
        return None if self.masks is None else [self.masks]


def _read_crop(path: Path) -> PictureFile:
    crop = read_picture(path)
    height, width = crop.seen.shape[:2]
    if height != width or height < LEAST_SIDE:
        raise StyleSwapError(
            f"{path} is {width} x {height} px, but crops must be square; scale crops without trimming them"
        )
    return crop


def _names(picture: str) -> list[tuple[str, ...]]:
    """Names by which a picture is found, the strictest first: its path, its file name, and that without suffix.

    They are in one form of Unicode, since macOS may return another one than was written.
    """
    path = PurePosixPath(unicodedata.normalize("NFC", picture))
    return [("path", str(path)), ("name", path.name), ("stem", path.stem)]
