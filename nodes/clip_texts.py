"""Report and progress of Swap Face in Video as plain text. Does not import ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..styleswap_core.errors import counted

if TYPE_CHECKING:
    from ..styleswap_core.video.clip_report import ClipReport, ClipTrack, DoubtfulFrame


def describe_clip(report: ClipReport, identities: int, notices: Sequence[str] = ()) -> str:
    """Report of Swap Face in Video: a summary, the tracks, the least certain frames, and notes.

    Args:
        report: What happened.
        identities: Number of source identities.
        notices: Further notes.
    """
    counts = report.counts
    lines = [summarize_clip(report)]
    if report.similarities is not None:
        before, after = report.similarities
        faces = counted(counts.measured_faces, "measured face")
        lines.append(f"likeness {before:.2f} -> {after:.2f}, mean of {faces}")
    if counts.frames_without_faces:
        lines.append(f"no face found in {counted(counts.frames_without_faces, 'frame')}, passed through")
    if counts.frames_with_problems:
        lines.append(f"a chosen face is missing from {counted(counts.frames_with_problems, 'frame')} with other faces")
    lines += [_track_line(track, identities) for track in report.tracks]
    lines += [_uncertain_line(frame) for frame in report.doubtful]
    lines.append(f"encoded by {report.encoder} as {report.pixel_format}")
    return "\n".join([*lines, *(f"note: {note}" for note in (*report.notes, *notices))])


def summarize_clip(report: ClipReport) -> str:
    """First line of `describe_clip`."""
    counts = report.counts
    faces, frames = counted(counts.swapped_faces, "face"), counted(counts.frames, "frame")
    return f"swapped {faces} in {counts.swapped_frames} of {frames}"


def describe_progress(phase: str, frame: int, frames: int, seconds: float, done: int) -> str:
    """Line about work that is going on.

    Args:
        phase: What is being done.
        frame: Number of the frame.
        frames: Number of all frames; 0 if unknown.
        seconds: Time since the phase began.
        done: Number of frames that were done in this time.
    """
    line = f"{phase}: frame {frame} of {frames}" if frames else f"{phase}: frame {frame}"
    if not (done and seconds):
        return line
    rate = done / seconds
    left = f", {clock(max(0, frames - frame) / rate)} left" if frames else ""
    return f"{line}, {rate:.3g} frames/s{left}"


def clock(seconds: float) -> str:
    """Time as 1:05 or 1:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _track_line(track: ClipTrack, identities: int) -> str:
    line = f"track {track.track}: frames {track.first} to {track.last}, detected in {track.detected}"
    if track.bridged:
        gaps = " and ".join(f"{first} to {last}" for first, last in track.bridged)
        line += f", bridged from {gaps}"
    if track.missing:
        line += f", missing from {track.missing}"
    if track.place is None:
        return f"{line}, not chosen"
    if identities > 1 and track.place >= identities:
        return f"{line}, no identity left"
    if identities > 1:
        # Identity List numbers its inputs from 1.
        line += f", identity_{track.place + 1}"
    if track.similarity is not None:
        line += f", likeness {track.similarity_before:.2f} -> {track.similarity:.2f}"
    return line


def _uncertain_line(frame: DoubtfulFrame) -> str:
    return f"least certain: frame {frame.frame} ({clock(frame.time)}), {frame.reason}"
