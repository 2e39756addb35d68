"""Swapping of picture files."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from ..checkpoints import DEMO_MODEL
from ..compositing.composite import BlendOptions, blend_with_mask
from ..compositing.mask_shaping import resize_mask
from ..credentials.signing import ContentSigner
from ..faces.detected import FaceAnalyzer
from ..identities.extraction import SourceReport, extract_identity
from ..identities.identity import Identity
from ..identities.provenance import MARK, SwapFacts
from ..io.images import (
    PROVENANCE_KEY,
    PROVENANCE_SYNTHETIC,
    from_uint8,
    image_metadata,
    load_mask,
    save_image,
    to_uint8,
)
from ..io.picture_file import read_picture
from ..io.picture_writing import write_picture
from ..io.sheets import mask_picture
from ..masking.face_masks import FaceMasks
from ..pipeline.face_jobs import check_options
from ..pipeline.results import SwapResult
from ..pipeline.swap_options import SwapOptions
from ..pipeline.swapper import Faces, Swapper
from ..swappers.guest_network import GuestNetwork
from ..swappers.network import check_identity
from ..swappers.styleswap_network import StyleSwapNetwork
from ..swappers.swap_marks import swap_facts
from .face_files import load_analysis
from .found_models import find_model, load_network
from .picture_files import SwapFiles


class FaceReport(TypedDict):
    """Report on one swapped face.

    `similarity` is the cosine similarity of the result to the source, `similarity_before` that of the target; None if
    they were not measured. `resolution` is the side of the aligned crop in multiples of the model's size.
    """

    index: int
    score: float
    box: list[float]
    crop_pixels_per_picture_pixel: float
    similarity_before: float | None
    similarity: float | None
    similarity_to_target: float | None
    resolution: int


class SwapReport(TypedDict):
    """Report on one swapped file.

    `left_out` has one sentence per doubtful face that was not swapped; `frames` is the number of frames of an
    animation, of which only the first was swapped, and 1 for single pictures; `signed_by` whom the certificate names
    with which the result is signed, or None.
    """

    target: str
    out: str
    mask: str | None
    seconds: float
    notice: str | None
    faces: list[FaceReport]
    left_out: list[str]
    frames: int
    signed_by: str | None


def is_rendered(picture: Path) -> bool:
    """Whether metadata marks a file as a picture of the face world, or as a swap between two of them."""
    return image_metadata(picture).get(PROVENANCE_KEY) == PROVENANCE_SYNTHETIC


@dataclass(frozen=True, eq=False)
class Blending:
    """Blending of the result over the target, like the node Blend With Mask.

    Attributes:
        options: How to blend.
        keep: Gray picture that is white where the target is kept; it is scaled to the target. None keeps nothing.
    """

    options: BlendOptions
    keep: Path | None = None

    def apply(self, target: np.ndarray, result: SwapResult) -> tuple[np.ndarray, np.ndarray]:
        """Blended picture (H, W, 3) uint8, and the mask (H, W) in 0..1 with which it was blended.

        Pixels that blending does not change keep their values.
        """
        keep = None
        if self.keep is not None:
            keep = resize_mask(load_mask(self.keep)[None, None], target.shape[:2])
        swapped = np.asarray(result.image)
        blended, mask = blend_with_mask(
            from_uint8(target), from_uint8(swapped), result.mask[None, None], self.options, keep
        )
        return to_uint8(blended)[0], mask[0, 0].numpy()


@dataclass(frozen=True, eq=False)
class FileSwapper:
    """A model and a face analysis, applied to files.

    Attributes:
        network: The swapping network.
        path: Its file.
        analyzer: The face analysis.
        masks: Masks beside that of the network, or None.
        only_in: Gray picture, white where the faces that are swapped lie; scaled to each target. None for all.
    """

    network: StyleSwapNetwork | GuestNetwork
    path: Path
    analyzer: FaceAnalyzer
    masks: FaceMasks | None = None
    only_in: Path | None = None

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> "FileSwapper":
        """Load what the options of `arguments.add_swapper_arguments` name.

        Raises:
            StyleSwapError: A file is missing or damaged, the device does not exist, or an option is out of range.
        """
        network = load_network(args)
        analyzer = load_analysis(args.pack, args.download, args.detection_size, args.detection_threshold)
        return cls(network, DEMO_MODEL if args.model is None else find_model(args.model), analyzer)

    def model_card(self) -> dict[str, object]:
        """Description of the model, as plain JSON values."""
        card: dict[str, object] = {
            "file": str(self.path),
            "sha256": self.network.sha256,
            "size": self.network.size,
            "recognizer": self.analyzer.recognizer.name,
        }
        if isinstance(self.network, GuestNetwork):
            return card | {
                "family": self.network.family.name,
                "license": self.network.file.license,
                "provider": self.network.provider,
            }
        return card | {"domain": self.network.metadata.get("domain")}

    @property
    def license_note(self) -> str | None:
        """Author and license of a network of another program; None for models of this project."""
        return self.network.license_note if isinstance(self.network, GuestNetwork) else None

    def identify(
        self, sources: Sequence[Path], face: Faces = "largest", drop_outliers: bool = False
    ) -> tuple[Identity, list[SourceReport]]:
        """Identity averaged over one face of each source picture; arguments and errors as for `extract_identity`."""
        return extract_identity(sources, self.analyzer, face, drop_outliers)

    def check(self, identities: Sequence[Identity], options: SwapOptions) -> None:
        """Check before any target is read that the model can swap these identities.

        Raises:
            StyleSwapError: One was made by another recognizer or for another model, or an option is out of range.
        """
        for identity in identities:
            check_identity(self.network, identity, self.analyzer.recognizer)
            check_options(options, self.analyzer, identity)

    def baked(self) -> "FileSwapper":
        """The same with the model baked for each identity, which pays off for many targets of few identities.

        Networks of other programs stay as they are.
        """
        if isinstance(self.network, GuestNetwork):
            return self
        network = StyleSwapNetwork(self.network.generator, sha256=self.network.sha256, metadata=self.network.metadata)
        return replace(self, network=network)

    def swap_file(
        self,
        identities: Sequence[Identity],
        files: SwapFiles,
        *,
        faces: Faces = "largest",
        options: SwapOptions | None = None,
        blending: Blending | None = None,
        rendered_source: bool = False,
        signer: ContentSigner | None = None,
    ) -> SwapReport:
        """Swap faces of a picture file; write the result, and the mask if requested.

        Nothing is written unless the swap succeeds. The mask is written first, so that no result lacks its mask.

        Args:
            identities: Source identities, as for `Swapper.swap`.
            files: Target, result and mask.
            faces: Which faces to swap.
            options: How to swap them.
            blending: Blending of the result over the target; None keeps the result as the pipeline pasted it.
            rendered_source: The identity was made from pictures of the face world only.
            signer: Signs the result.

        Raises:
            StyleSwapError: The target cannot be read, a face is missing, or the result cannot be written.
        """
        options = options or SwapOptions()
        start = time.perf_counter()
        file = read_picture(files.target)
        picture = file.seen
        rendered = rendered_source and is_rendered(files.target)
        only_in = None if self.only_in is None else load_mask(self.only_in)
        swapper = Swapper(self.network, self.analyzer, options, masks=self.masks)
        result = swapper.swap(picture, identities, faces, only_in=only_in)
        image, mask = np.asarray(result.image), result.mask.numpy()
        if blending is not None:
            image, mask = blending.apply(picture, result)
        seconds = time.perf_counter() - start
        if files.mask_out is not None:
            files.mask_out.parent.mkdir(parents=True, exist_ok=True)
            save_image(files.mask_out, mask_picture(mask))
        files.out.parent.mkdir(parents=True, exist_ok=True)
        kept = {key: text for key, text in file.texts.items() if key not in (MARK, PROVENANCE_KEY)}
        changed = replace(file.with_pixels(image, mask), texts=kept)
        facts = swap_facts(self.network, identities, options.strength)
        finish = None if signer is None else signer.finish(facts, files.target)
        write_picture(files.out, changed, _metadata(facts, rendered), finish)
        return {
            "target": str(files.target),
            "out": str(files.out),
            "mask": None if files.mask_out is None else str(files.mask_out),
            "seconds": round(seconds, 3),
            "notice": self.network.notice(rendered),
            "faces": _face_reports(result),
            "left_out": result.report.left_out,
            "frames": file.frames,
            "signed_by": None if signer is None else signer.key.name,
        }


def _metadata(facts: SwapFacts, rendered: bool) -> dict[str, str]:
    return {MARK: facts.text, **({PROVENANCE_KEY: PROVENANCE_SYNTHETIC} if rendered else {})}


def _face_reports(result: SwapResult) -> list[FaceReport]:
    return [
        {
            "index": face.face.index,
            "score": round(face.face.score, 4),
            "box": [round(float(value), 2) for value in face.face.box],
            "crop_pixels_per_picture_pixel": round(face.scale, 4),
            "similarity_before": _rounded(face.similarity_before),
            "similarity": _rounded(face.similarity),
            "similarity_to_target": _rounded(face.similarity_to_target),
            "resolution": face.resolution,
        }
        for face in result.faces
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
