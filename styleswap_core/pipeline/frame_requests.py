"""What is asked of a swap, and the analysis of frames for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..compositing.frame_masks import FrameMasks
from ..compositing.pixels import Picture, pixels_of
from ..errors import StyleSwapError
from ..faces.choice import FaceChoice
from ..faces.detected import DetectedFace, FaceAnalyzer
from ..identities.identity import Identity
from .empty_frames import EmptyFrames
from .frame_faces import AnalyzedFrame, assign_identities
from .swap_options import SwapOptions


@dataclass(frozen=True, eq=False)
class FrameRequest:
    """Arguments of a swap, checked against the model and the face analysis.

    Attributes:
        identities: One for all chosen faces, or several: the k-th for place k of the choice, or in turn.
        choice: Faces to swap.
        options: Options for swapping them.
        strict: Whether a requested face that cannot be swapped is an error instead of a problem in the report.
        keep: What stays as it is.
        only_in: Masks of the faces that count.
    """

    identities: tuple[Identity, ...]
    choice: FaceChoice
    options: SwapOptions
    strict: bool
    keep: FrameMasks
    only_in: FrameMasks = field(default_factory=lambda: FrameMasks(None))

    def faces_mask(self, number: int, size: tuple[int, int]) -> np.ndarray | None:
        """Mask (H, W), 0..1, of the faces that count in a frame of a size; None if all do."""
        mask = self.only_in.of_frame(number, size)
        return None if mask is None else np.asarray(mask[0])


def find_faces(
    analysis: FaceAnalyzer, picture: np.ndarray, choice: FaceChoice, embed: bool = False, quick: bool = False
) -> list[DetectedFace]:
    """The faces of a picture (H, W, 3) uint8, with what a choice needs to know about them.

    Args:
        analysis: The face analysis.
        picture: The picture.
        choice: The choice.
        embed: Whether embeddings are needed even if the choice does not.
        quick: As for `FaceAnalyzer.detect`.
    """
    found = analysis.detect(picture, choice.order, embed=embed or choice.needs_embeddings, quick=quick)
    return analysis.with_gender_age(picture, found, required=True) if choice.needs_gender_age else found


def analyze_frame(
    analysis: FaceAnalyzer, number: int, frame: Picture, request: FrameRequest, empty: EmptyFrames | None = None
) -> AnalyzedFrame:
    """Detect the faces of a frame and match the chosen ones with identities.

    Args:
        analysis: The face analysis.
        number: Number of the frame.
        frame: Its pixels.
        request: What is asked of the swap.
        empty: Searches the frames of the stream, of which this one is the next; without it, it is a picture by itself.
    """
    pixels = pixels_of(frame)
    picture = pixels.uint8()

    def detect(quick: bool) -> list[DetectedFace]:
        return find_faces(analysis, picture, request.choice, quick=quick)

    found = detect(False) if empty is None else empty.search(number, picture, detect)
    only_in = request.faces_mask(number, pixels.size)
    faces = assign_identities(found, request.choice, request.identities, request.options.swap_doubtful, only_in)
    return AnalyzedFrame(number, frame, faces, request.keep.of_frame(number, pixels.size))


def references_for(identities: Sequence[Identity], analysis: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """Embeddings (D,) of reference identities, for a `FaceChoice` by likeness.

    Raises:
        StyleSwapError: One was made by another recognizer than that of the face analysis.
    """
    for identity in identities:
        if not identity.recognizer.matches(analysis.recognizer):
            raise StyleSwapError(
                f"the reference was made with the recognizer {identity.recognizer}, but the face analysis has"
                f" {analysis.recognizer}; extract the reference with this face analysis"
            )
    return tuple(identity.id_embedding.numpy() for identity in identities)
