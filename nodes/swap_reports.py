"""Reports of the nodes as plain text. Does not import ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..styleswap_core.errors import counted
from ..styleswap_core.faces.face_rows import FaceRow, describe_row

if TYPE_CHECKING:
    from ..styleswap_core.compositing.placed_faces import PlacedFaces
    from ..styleswap_core.pipeline.face_aligner import AlignedFaces
    from ..styleswap_core.pipeline.masked_faces import MaskedFaces
    from ..styleswap_core.pipeline.results import BatchResult, FrameReport

# Maximum number of frames that a note lists.
_MAX_LISTED = 8


def describe_faces(images: Sequence[Sequence[FaceRow]], order: str) -> str:
    """Report of Detect Faces: one line per face of each image."""
    lines = [
        f"{counted(sum(len(faces) for faces in images), 'face')} in {counted(len(images), 'image')} (order: {order})"
    ]
    for number, faces in enumerate(images):
        if not faces:
            lines.append(f"image {number}: no face found")
        lines += [f"image {number}: {describe_row(face)}" for face in faces]
    return "\n".join(lines)


def describe_swap(result: BatchResult, notices: Sequence[str]) -> str:
    """Report of Swap Face: a summary, the problems of each frame, the swapped faces, and notes."""
    lines = [summarize_swap(result)]
    for report in result.reports:
        consequence = "the other faces were swapped" if report.swapped else "passed through"
        lines += [f"frame {report.frame}: {problem}, {consequence}" for problem in report.problems]
        lines += [f"frame {report.frame}: {doubt}, not swapped" for doubt in report.left_out]
    lines += [line for report in result.reports for line in _swapped_lines(report)]
    measured = sum(any(face.similarity is not None for face in report.swapped) for report in result.reports)
    swapped = sum(bool(report.swapped) for report in result.reports)
    if 0 < measured < swapped:
        lines.append(f"note: likeness was measured in {measured} of {counted(swapped, 'swapped frame')}")
    if result.repaired:
        shown = ", ".join(map(str, result.repaired[:_MAX_LISTED]))
        more = ", ..." if len(result.repaired) > _MAX_LISTED else ""
        lines.append(f"note: values outside 0..1 or NaN were replaced in frames {shown}{more}")
    return "\n".join([*lines, *(f"note: {notice}" for notice in notices)])


def summarize_swap(result: BatchResult) -> str:
    """First line of `describe_swap`."""
    faces = sum(len(report.swapped) for report in result.reports)
    frames = sum(bool(report.swapped) for report in result.reports)
    return f"swapped {counted(faces, 'face')} in {frames} of {counted(len(result.reports), 'frame')}"


def describe_masked(found: MaskedFaces) -> str:
    """Report of Face Mask: a summary, and the problems of each frame."""
    frames = len({face.frame for face in found.faces})
    lines = [f"masked {counted(len(found.faces), 'face')} in {frames} of {counted(found.frames, 'frame')}"]
    for number, problems in enumerate(found.problems):
        outside = sum(face.box is None for face in found.of_frame(number))
        lines += [f"frame {number}: {problem}" for problem in problems]
        lines += [f"frame {number}: nothing to mask of {counted(outside, 'face')}"] if outside else []
    return "\n".join(lines)


def describe_aligned(aligned: AlignedFaces) -> str:
    """Report of Align Faces: a summary, and the faces and problems of each frame."""
    placed = aligned.placed
    lines = [_summary("cut out", placed)]
    for number, problems in enumerate(aligned.problems):
        if faces := placed.of_frame(number):
            lines.append(f"frame {number}: crops {', '.join(str(row) for row, _ in faces)}")
        lines += [f"frame {number}: {problem}" for problem in problems]
    return "\n".join(lines)


def summarize_pasted(placed: PlacedFaces) -> str:
    """What Paste Faces did, in one line."""
    return _summary("pasted", placed)


def _summary(done: str, placed: PlacedFaces) -> str:
    frames = len({face.frame for face in placed.faces})
    return f"{done} {counted(len(placed.faces), 'face')} in {frames} of {counted(len(placed.marks), 'frame')}"


def _swapped_lines(report: FrameReport) -> list[str]:
    lines = []
    for face in report.swapped:
        line = f"frame {report.frame}: face {face.face.index}"
        if face.similarity is not None:
            line += f", likeness {face.similarity_before:.2f} -> {face.similarity:.2f}"
        if face.similarity_to_target is not None:
            line += f", to the target 1.00 -> {face.similarity_to_target:.2f}"
        lines.append(f"{line}, resolution {face.resolution}x")
    return lines
