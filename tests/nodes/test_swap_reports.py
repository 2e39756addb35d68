"""Reports of the nodes."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def reports(pack):
    return pack("nodes.swap_reports")


@pytest.fixture(scope="module")
def make(pack):
    """Builders of a swapped face and of the result of a batch."""
    results = pack("styleswap_core.pipeline.results")
    detected = pack("styleswap_core.faces.detected")

    def swapped(frame, index, before=None, after=None, to_target=None, resolution=1):
        face = detected.DetectedFace(index, 0.9, np.zeros(4, np.float32), np.zeros((5, 2), np.float32))
        return results.SwappedFace(frame, face, torch.eye(3)[:2], 1.0, before, after, to_target, resolution)

    def result(*frames, repaired=()):
        reports = [results.FrameReport(i, len(faces), faces, *more) for i, (faces, *more) in enumerate(frames)]
        empty = torch.zeros(0)
        return results.BatchResult(empty, empty, empty, reports, list(repaired))

    return swapped, result


def test_swap_report(reports, make):
    swapped, result = make
    text = reports.describe_swap(
        result(
            ([swapped(0, 0, 0.051, 0.712, 0.318, 4)], []),
            ([], ["no face found"]),
            ([swapped(2, 1)], ["no face 4, 2 faces found"], ["face 0 is doubtful (the five points coincide)"]),
            repaired=(2,),
        ),
        ["the model is for rendered faces"],
    )
    assert text.splitlines() == [
        "swapped 2 faces in 2 of 3 frames",
        "frame 1: no face found, passed through",
        "frame 2: no face 4, 2 faces found, the other faces were swapped",
        "frame 2: face 0 is doubtful (the five points coincide), not swapped",
        "frame 0: face 0, likeness 0.05 -> 0.71, to the target 1.00 -> 0.32, resolution 4x",
        "frame 2: face 1, resolution 1x",
        "note: likeness was measured in 1 of 2 swapped frames",
        "note: values outside 0..1 or NaN were replaced in frames 2",
        "note: the model is for rendered faces",
    ]
    assert reports.summarize_swap(result(([swapped(0, 0)], []))) == "swapped 1 face in 1 of 1 frame"


def test_face_report(reports):
    face = {"index": 0, "score": 0.914, "box": [10.2, 20.0, 40.0, 60.4], "points": [], "angle": 3.0, "doubtful": ""}
    turned = face | {"angle": -91.2, "doubtful": "the five points coincide", "gender": "male", "age": 50}
    rows = [[], [face | {"likeness": 0.333}], [turned]]
    assert reports.describe_faces(rows, "left-right").splitlines() == [
        "2 faces in 3 images (order: left-right)",
        "image 0: no face found",
        "image 1: face 0, 30 x 40 px at (10, 20), confidence 0.91, likeness 0.33",
        (
            "image 2: face 0, 30 x 40 px at (10, 20), confidence 0.91, turned by -91 degrees, male, about 50 years,"
            " doubtful: the five points coincide"
        ),
    ]


def test_report_of_crops(pack, reports):
    placed_faces = pack("styleswap_core.compositing.placed_faces")
    points = pack("styleswap_core.faces.alignment").template_points("ffhq", 64).numpy()
    faces = tuple(placed_faces.place_points(frame, points, "ffhq", 64) for frame in (0, 0, 2))
    placed = placed_faces.PlacedFaces(faces, (64, 64), (None,) * 3)
    empty = torch.zeros(0)
    aligned = pack("styleswap_core.pipeline.face_aligner").AlignedFaces(
        empty, empty, placed, ((), ("no face found",), ())
    )
    assert reports.describe_aligned(aligned).splitlines() == [
        "cut out 3 faces in 2 of 3 frames",
        "frame 0: crops 0, 1",
        "frame 1: no face found",
        "frame 2: crops 2",
    ]
    assert reports.summarize_pasted(placed) == "pasted 3 faces in 2 of 3 frames"
