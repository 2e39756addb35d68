"""Face analysis of commands, and reference persons from files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..faces.analysis import load_face_analysis
from ..faces.detected import FaceAnalyzer
from ..faces.pack_licenses import license_of_name
from ..identities.extraction import extract_identity
from ..identities.reactor_files import load_any_identity
from .console import print_note


def load_analysis(
    pack: str | None, download: bool, detection_size: int | None = None, detection_threshold: float = 0.5
) -> FaceAnalyzer:
    """Load a pack (None: the demo pack), with a note about its license.

    Raises:
        StyleSwapError: The pack is missing or damaged, or an option is out of range.
    """
    # Before a download, as far as the license is known.
    known = license_of_name(pack) if pack is not None and download else ""
    if known:
        _print_license(known)
    analyzer = load_face_analysis(
        pack, det_size=detection_size, det_thresh=detection_threshold, allow_download=download
    )
    if pack is not None and not known:
        _print_license(analyzer.license_note)
    return analyzer


def _print_license(note: str) -> None:
    print_note(f"license of the face analysis pack: {note}")


def load_reference(paths: Sequence[Path], analyzer: FaceAnalyzer) -> tuple[np.ndarray, ...]:
    """Embedding of a reference person, for a `FaceChoice` by likeness.

    Args:
        paths: Pictures of the person, or one saved identity.
        analyzer: The face analysis whose embeddings are compared.

    Raises:
        StyleSwapError: A file cannot be read or shows no face, or the identity is of another recognizer.
    """
    from ..pipeline.frame_requests import references_for

    saved = len(paths) == 1 and paths[0].suffix == ".safetensors"
    identity = load_any_identity(paths[0]) if saved else extract_identity(paths, analyzer)[0]
    return references_for([identity], analyzer)
