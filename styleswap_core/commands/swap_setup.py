"""Files in, files out: what `styleswap swap` and `styleswap demo` do with the pipeline."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checkpoints import DEMO_MODEL, load_generator, model_sha256
from ..devices import choose_device
from ..errors import StyleSwapError
from ..faces.analysis import InsightFaceAnalyzer, load_face_analysis
from ..faces.packs import LICENSE_NOTE
from ..identities.identity import Identity, SourceReport, extract_identity
from ..identities.provenance import MARK, swap_mark
from ..io.images import PROVENANCE_KEY, PROVENANCE_SYNTHETIC, image_metadata, load_image, save_image
from ..io.sheets import mask_picture
from ..model import Generator
from ..pipeline.swap import Generate, SwapResult, swap_faces
from ..swappers.baked_cache import BakedFaces


def say(message: str) -> None:
    """A note to the user on stderr: stdout belongs to results."""
    print(f"styleswap: note: {message}", file=sys.stderr)


def is_rendered(picture: Path) -> bool:
    """Whether a file says of itself that it is a picture of the face world, or a swap between two of them."""
    return image_metadata(picture).get(PROVENANCE_KEY) == PROVENANCE_SYNTHETIC


@dataclass(frozen=True, eq=False)
class FileSwap:
    """What became of one target file: the pipeline's result and the report as plain JSON values."""

    result: SwapResult
    report: dict


@dataclass(frozen=True, eq=False)
class Swapper:
    """A generator with the face analysis that feeds it."""

    generator: Generator
    metadata: dict
    sha256: str
    model: Path
    analyzer: InsightFaceAnalyzer

    @classmethod
    def load(
        cls, model: Path | None = None, pack: str | None = None, download: bool = False, device: str | None = None
    ) -> "Swapper":
        """Load a generator file (default: the demo model) and a pack (default: the demo pack).

        Raises:
            StyleSwapError: one of them is missing or damaged, or the device is not there.
        """
        if model is None and not DEMO_MODEL.is_file():
            raise StyleSwapError(f"the demo model {DEMO_MODEL} is missing; install the package again, or give --model")
        path = model or DEMO_MODEL
        place = choose_device(device)
        generator, metadata = load_generator(path)
        if download:
            say(LICENSE_NOTE)
        analyzer = load_face_analysis(pack, allow_download=download)
        if pack is not None and not download:
            say(LICENSE_NOTE)
        return cls(generator.eval().to(place), metadata, model_sha256(path), path, analyzer)

    def model_card(self) -> dict:
        """Which generator this is, as plain JSON values."""
        return {
            "file": str(self.model),
            "sha256": self.sha256,
            "size": self.generator.config.size,
            "domain": self.metadata.get("domain"),
            "recognizer": self.analyzer.recognizer_name,
        }

    def identify(self, sources: Sequence[Path]) -> tuple[Identity, list[SourceReport]]:
        """One identity out of the largest face of each source picture.

        Raises:
            StyleSwapError: a picture that cannot be read or shows no face.
        """
        return extract_identity(sources, self.analyzer)

    def baked(self) -> BakedFaces:
        """The generator baked for each identity that it meets: for many targets of few identities."""
        return BakedFaces(self.generator, self.sha256)

    def swap_file(
        self,
        identity: Identity,
        target: Path,
        out: Path,
        mask_out: Path | None = None,
        *,
        faces: str | Sequence[int] = "largest",
        strength: float = 1.0,
        rendered_source: bool = False,
        generate: Generate | None = None,
    ) -> FileSwap:
        """Swap the faces of a picture file and write the result, and the mask if asked for.

        Args:
            faces: as for `swap_faces`.
            strength: 1 gives the source's identity, 0 keeps the target's own.
            rendered_source: the identity comes from pictures of the face world alone.
            generate: as for `swap_faces`; `baked()` where many targets follow.

        Nothing is written unless the swap succeeded. The result appears last: where it is, the mask is too.

        Raises:
            StyleSwapError: the target cannot be read, has no such face, or the result cannot be written.
        """
        start = time.perf_counter()
        picture = load_image(target)
        rendered = rendered_source and is_rendered(target)
        result = swap_faces(
            self.generator,
            self.analyzer,
            picture,
            identity,
            faces,
            strength=strength,
            metadata=self.metadata,
            generator_sha256=self.sha256,
            rendered=rendered,
            generate=generate,
        )
        seconds = time.perf_counter() - start
        if mask_out is not None:
            mask_out.parent.mkdir(parents=True, exist_ok=True)
            save_image(mask_out, mask_picture(result.mask[0].numpy()))
        out.parent.mkdir(parents=True, exist_ok=True)
        save_image(out, np.asarray(result.image), self._marks(identity, strength, rendered))
        return FileSwap(result, _report(target, out, mask_out, result, seconds))

    def _marks(self, identity: Identity, strength: float, rendered: bool) -> dict[str, str]:
        marks = {MARK: swap_mark(self.sha256, [identity], strength)}
        if rendered:
            marks[PROVENANCE_KEY] = PROVENANCE_SYNTHETIC
        return marks


def _report(target: Path, out: Path, mask_out: Path | None, result: SwapResult, seconds: float) -> dict:
    return {
        "target": str(target),
        "out": str(out),
        "mask": None if mask_out is None else str(mask_out),
        "seconds": round(seconds, 3),
        "notice": result.notice,
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
