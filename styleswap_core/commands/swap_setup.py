"""Swapping of picture files, shared by the `swap` and `demo` commands."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checkpoints import DEMO_MODEL
from ..compositing.composite import BlendOptions, blend_with_mask
from ..compositing.mask_shaping import resize_mask
from ..faces.analysis import InsightFaceAnalyzer, load_face_analysis
from ..faces.packs import LICENSE_NOTE
from ..identities.extraction import SourceReport, extract_identity
from ..identities.identity import Identity
from ..identities.provenance import MARK, swap_mark
from ..io.images import (
    PROVENANCE_KEY,
    PROVENANCE_SYNTHETIC,
    from_uint8,
    image_metadata,
    load_image,
    save_image,
    to_uint8,
)
from ..io.sheets import mask_picture
from ..pipeline.face_jobs import SwapOptions
from ..pipeline.results import SwapResult
from ..pipeline.swapper import Faces, Swapper
from ..swappers.styleswap_network import StyleSwapNetwork, load_model


def say(message: str) -> None:
    """Print a note to the user on stderr; stdout is for results."""
    print(f"styleswap: note: {message}", file=sys.stderr)


def is_rendered(picture: Path) -> bool:
    """Whether a file's metadata marks it as a picture of the face world, or as a swap between two of them."""
    return image_metadata(picture).get(PROVENANCE_KEY) == PROVENANCE_SYNTHETIC


@dataclass(frozen=True, eq=False)
class FileSwap:
    """One swapped file: the pipeline's result, and the report as plain JSON values."""

    result: SwapResult
    report: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Blending:
    """Blending of the result over the target, as the node Blend With Mask does it.

    Attributes:
        options: How to blend.
        keep: Gray picture, white where the target stays, scaled to the target; or None.
    """

    options: BlendOptions
    keep: Path | None = None

    def apply(self, target: np.ndarray, result: SwapResult) -> tuple[np.ndarray, np.ndarray]:
        """Blended picture (H, W, 3) uint8 and the mask that was used (H, W), 0..1.

        Pixels that blending does not change keep their values.
        """
        keep = None
        if self.keep is not None:
            gray = torch.from_numpy(load_image(self.keep)).float().mean(2)[None, None] / 255
            keep = resize_mask(gray, target.shape[:2])
        swapped = np.asarray(result.image)
        blended, mask = blend_with_mask(
            from_uint8(target), from_uint8(swapped), result.mask[None, None], self.options, keep
        )
        return to_uint8(blended)[0], mask[0, 0].numpy()


@dataclass(frozen=True, eq=False)
class FileSwapper:
    """A model and a face analysis, for files.

    Attributes:
        model: The swapping network.
        path: Its file.
        analyzer: The face analysis.
    """

    model: StyleSwapNetwork
    path: Path
    analyzer: InsightFaceAnalyzer

    @classmethod
    def load(
        cls,
        model: Path | None = None,
        pack: str | None = None,
        download: bool = False,
        device: str | None = None,
        detection_size: int | None = None,
        detection_threshold: float = 0.5,
    ) -> "FileSwapper":
        """Load a model file (default: the demo model) and a pack (default: the demo pack).

        Raises:
            StyleSwapError: One of them is missing or damaged, the device does not exist, or an option is out of range.
        """
        network = load_model(model, device, baked=False)
        if download:
            say(LICENSE_NOTE)
        analyzer = load_face_analysis(
            pack, det_size=detection_size, det_thresh=detection_threshold, allow_download=download
        )
        if pack is not None and not download:
            say(LICENSE_NOTE)
        return cls(network, model or DEMO_MODEL, analyzer)

    def model_card(self) -> dict[str, Any]:
        """Description of the model, as plain JSON values."""
        return {
            "file": str(self.path),
            "sha256": self.model.sha256,
            "size": self.model.size,
            "domain": self.model.metadata.get("domain"),
            "recognizer": self.analyzer.recognizer.name,
        }

    def identify(self, sources: Sequence[Path]) -> tuple[Identity, list[SourceReport]]:
        """Identity averaged over the largest face of each source picture.

        Raises:
            StyleSwapError: A picture that cannot be read or shows no face.
        """
        return extract_identity(sources, self.analyzer)

    def baked(self) -> "FileSwapper":
        """The same with the model baked for each identity: for many targets and few identities."""
        network = StyleSwapNetwork(self.model.generator, sha256=self.model.sha256, metadata=self.model.metadata)
        return FileSwapper(network, self.path, self.analyzer)

    def swap_file(
        self,
        identity: Identity,
        target: Path,
        out: Path,
        mask_out: Path | None = None,
        *,
        faces: Faces = "largest",
        options: SwapOptions = SwapOptions(),
        blending: Blending | None = None,
        rendered_source: bool = False,
    ) -> FileSwap:
        """Swap the faces of a picture file and write the result, and the mask if one is asked for.

        Nothing is written unless the swap succeeds. The mask is written first: a result never lacks it.

        Args:
            identity: Source identity.
            target: Picture file.
            out: Result file.
            mask_out: Mask file.
            faces: Which faces.
            options: How to swap them.
            blending: Blending of the result over the target; None leaves what the pipeline pasted.
            rendered_source: The identity comes from pictures of the face world only.

        Raises:
            StyleSwapError: The target cannot be read, a face is missing, or the result cannot be written.
        """
        start = time.perf_counter()
        picture = load_image(target)
        rendered = rendered_source and is_rendered(target)
        result = Swapper(self.model, self.analyzer, options).swap(picture, identity, faces)
        image, mask = np.asarray(result.image), result.mask.numpy()
        if blending is not None:
            image, mask = blending.apply(picture, result)
        seconds = time.perf_counter() - start
        if mask_out is not None:
            mask_out.parent.mkdir(parents=True, exist_ok=True)
            save_image(mask_out, mask_picture(mask))
        out.parent.mkdir(parents=True, exist_ok=True)
        save_image(out, image, self._metadata(identity, options.strength, rendered))
        return FileSwap(result, _report(target, out, mask_out, result, self.model.notice(rendered), seconds))

    def _metadata(self, identity: Identity, strength: float, rendered: bool) -> dict[str, str]:
        metadata = {MARK: swap_mark(self.model.sha256, [identity], strength)}
        if rendered:
            metadata[PROVENANCE_KEY] = PROVENANCE_SYNTHETIC
        return metadata


def _report(
    target: Path, out: Path, mask_out: Path | None, result: SwapResult, notice: str | None, seconds: float
) -> dict[str, Any]:
    return {
        "target": str(target),
        "out": str(out),
        "mask": None if mask_out is None else str(mask_out),
        "seconds": round(seconds, 3),
        "notice": notice,
        "faces": [
            {
                "index": face.face.index,
                "score": round(face.face.score, 4),
                "box": [round(float(value), 2) for value in face.face.box],
                "crop_pixels_per_picture_pixel": round(face.scale, 4),
                "similarity_before": _rounded(face.similarity_before),
                "similarity": _rounded(face.similarity),
            }
            for face in result.faces
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
