"""What nodes say about what they did, in plain lines. Knows nothing of ComfyUI's modules."""

from collections.abc import Sequence

from ..styleswap_core.identities.extraction import SourceFace
from ..styleswap_core.pipeline.results import BatchResult, FrameReport


def describe_faces(frames: Sequence[Sequence[dict]], order: str) -> str:
    """Detect Faces: one line for each face of each picture."""
    lines = [
        f"{_count(sum(len(faces) for faces in frames), 'face')} in {_count(len(frames), 'picture')}, numbered {order}"
    ]
    for number, faces in enumerate(frames):
        if not faces:
            lines.append(f"picture {number}: no face found")
        for face in faces:
            x0, y0, x1, y1 = (round(value) for value in face["box"])
            likeness = f", likeness {face['likeness']:.2f}" if "likeness" in face else ""
            lines.append(
                f"picture {number}: face {face['index']}, {x1 - x0} x {y1 - y0} px at ({x0}, {y0}),"
                f" confidence {face['score']:.2f}{likeness}"
            )
    return "\n".join(lines)


def describe_sources(
    faces: Sequence[SourceFace],
    similarities: Sequence[float],
    outliers: Sequence[bool],
    left_out: bool,
    problems: Sequence[str],
) -> str:
    """Extract ArcFace ID, averaged: how each face goes with the others."""
    used = len(faces) - (sum(outliers) if left_out else 0)
    lines = [f"1 identity out of {_count(used, 'face')}"]
    for source, similarity, outlier in zip(faces, similarities, outliers, strict=True):
        line = f"picture {source.picture}: face {source.face.index}"
        if len(faces) > 1:
            line += f", likeness to the others {similarity:.2f}"
        if outlier:
            line += ": an outlier, perhaps another person" + (", left out" if left_out else "")
        lines.append(line)
    return "\n".join([*lines, *(f"{problem}, left out" for problem in problems)])


def describe_separate(faces: Sequence[SourceFace], problems: Sequence[str]) -> str:
    """Extract ArcFace ID, one identity for each face."""
    lines = [f"{len(faces)} identities" if len(faces) != 1 else "1 identity"]
    lines += [f"identity {i}: picture {source.picture}, face {source.face.index}" for i, source in enumerate(faces)]
    return "\n".join([*lines, *(f"{problem}, left out" for problem in problems)])


def describe_swap(result: BatchResult, notices: Sequence[str]) -> str:
    """Swap Face: a summary, then each frame that was not swapped as wanted, then the swapped faces, then notes."""
    lines = [summarize_swap(result)]
    for report in result.reports:
        after = "the other faces were swapped" if report.swapped else "passed through"
        lines += [f"frame {report.frame}: {problem}, {after}" for problem in report.problems]
    lines += [line for report in result.reports for line in _swapped_lines(report)]
    measured = sum(any(face.similarity is not None for face in report.swapped) for report in result.reports)
    if 0 < measured < sum(bool(report.swapped) for report in result.reports):
        lines.append(f"note: likeness was measured in {measured} frames")
    if result.repaired:
        shown = ", ".join(str(frame) for frame in result.repaired[:8]) + (", ..." if len(result.repaired) > 8 else "")
        lines.append(f"note: values outside 0..1 or not numbers were clipped in frames {shown}")
    return "\n".join([*lines, *(f"note: {notice}" for notice in notices)])


def summarize_swap(result: BatchResult) -> str:
    """The first line of `describe_swap`."""
    faces = sum(len(report.swapped) for report in result.reports)
    frames = sum(bool(report.swapped) for report in result.reports)
    return f"swapped {_count(faces, 'face')} in {frames} of {_count(len(result.reports), 'frame')}"


def _swapped_lines(report: FrameReport) -> list[str]:
    lines = []
    for face in report.swapped:
        line = f"frame {report.frame}: face {face.face.index}"
        if face.similarity is not None:
            line += f" likeness {face.similarity_before:.2f} -> {face.similarity:.2f}"
        lines.append(line)
    return lines


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
