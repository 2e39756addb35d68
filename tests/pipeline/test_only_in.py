"""Masks that say which faces are swapped, in pictures, batches, streams and tracks."""

import numpy as np
import pytest
import torch
from marked_frames import MarkDetector, frames_with
from moving_faces import Actor, Scene
from toy_swapper import Painter

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.identities.identity import Identity
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.tracking.tracking_options import TrackingOptions

ALL = FaceChoice("all", "left-right")
LEFT, RIGHT = torch.zeros(8, 12), torch.zeros(8, 12)
LEFT[:, :6] = RIGHT[:, 6:] = 1


@pytest.fixture
def swapper():
    return Swapper(Painter(), MarkDetector())


@pytest.fixture
def who():
    return Identity(torch.eye(512)[0], MarkDetector.recognizer)


def two_faces(frames=2):
    return frames_with(*((number, x, 40) for number in range(frames) for x in (30, 90)), count=frames)


def swapped(result):
    """Numbers of the swapped faces of each frame."""
    return [[face.face.index for face in report.swapped] for report in result.reports]


def test_only_faces_in_the_mask_are_swapped(swapper, who):
    frames = two_faces()
    result = swapper.swap_batch(frames, who, ALL, only_in=torch.stack([LEFT, RIGHT]))
    assert swapped(result) == [[0], [1]] and not any(report.problems for report in result.reports)
    assert torch.equal(result.images[0, :, 70:], frames[0, :, 70:])
    assert swapped(swapper.swap_batch(frames, who, ALL, only_in=RIGHT)) == [[1], [1]], "one mask for all frames"
    picture = (frames[0].numpy() * 255).round().astype(np.uint8)
    assert [face.face.index for face in swapper.swap(picture, who, "all", only_in=LEFT).faces] == [0]
    streamed = swapper.swap_frames(iter([picture] * 2), who, ALL, only_in=iter([RIGHT, LEFT]))
    assert [face.face.index for one in streamed for face in one.faces] == [1, 0]


def test_a_mask_without_faces_is_a_problem_of_its_frame(swapper, who):
    frames, nothing = two_faces(), torch.zeros(1, 1)
    result = swapper.swap_batch(frames, who, ALL, only_in=torch.stack([nothing, 1 - nothing]))
    assert swapped(result) == [[], [0, 1]]
    assert result.reports[0].problems == ["no face is in the mask, 2 faces found"]
    with pytest.raises(StyleSwapError, match="no face is in the mask, 2 faces found; choose other faces"):
        swapper.swap_batch(frames, who, ALL, strict=True, only_in=nothing)
    with pytest.raises(StyleSwapError, match="one mask of faces, or one for each of 2 frames, got 3; connect as many"):
        swapper.swap_batch(frames, who, ALL, only_in=torch.zeros(3, 4, 4))
    with pytest.raises(StyleSwapError, match=r"masks of faces \(h, w\) or \(frames, h, w\), got \(2, 4, 4, 1\)"):
        swapper.swap_batch(frames, who, ALL, only_in=torch.zeros(2, 4, 4, 1))
    broken = torch.full((3, 3), float("nan"))
    assert swapped(swapper.swap_batch(frames, who, ALL, only_in=broken)) == [[], []]


def test_identities_go_to_the_faces_in_the_mask_in_their_order(swapper, who):
    other = Identity(torch.eye(512)[1], MarkDetector.recognizer)
    frames = frames_with((0, 20, 40), (0, 60, 40), (0, 100, 40), count=1)
    right = torch.zeros(80, 120)
    right[:, 45:] = 1
    result = swapper.swap_batch(frames, [who, other], ALL, only_in=right)
    assert swapped(result) == [[1, 2]] and not result.reports[0].problems


def test_a_track_counts_if_its_face_does_in_most_frames():
    from test_tracked_faces import COUNT, SceneAnalysis, frames_of, person

    scene = Scene([Actor(1, lambda frame: (80, 120, 84, 0)), Actor(2, lambda frame: (240, 120, 80, 0))], 0.3)
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    # The second one alone, except in a few frames.
    masks = [LEFT if number % 5 == 0 else RIGHT for number in range(COUNT)]
    tracked = swapper.track(frames_of(scene), person(0), "all", only_in=iter(masks))
    boxes = [one.face.box for result in swapper.swap_tracked(frames_of(scene), tracked) for one in result.faces]
    assert len(boxes) == COUNT and min(box[0] for box in boxes) > 160
    batch = torch.from_numpy(np.stack(list(frames_of(scene)))).float() / 255
    result = swapper.swap_batch(batch, person(0), "all", only_in=torch.stack(masks), tracking=TrackingOptions())
    assert {len(report.swapped) for report in result.reports} == {1}
