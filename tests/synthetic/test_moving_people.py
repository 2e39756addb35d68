"""Clips of the face world: frames run through the steps and back, and true motion carries one frame to the next."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.synthetic.moving_people import KINDS, MovingClip, render_step
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS
from styleswap_core.synthetic.true_motion import SeenFace, carried

PEOPLE, SETTINGS = IDENTITY_SEEDS["test"], ATTRIBUTE_SEEDS["test"]


def clip(kind, size=96):
    people = 2 if kind == "crossing" else 1
    return MovingClip(
        kind, tuple(PEOPLE[:people]), tuple(PEOPLE[2 : 2 + people]), tuple(SETTINGS[5 : 5 + people]), size
    )


def test_frames_run_forth_and_back_with_noise_of_their_own():
    turning = clip("turning")
    assert turning.frames == 60 and [turning.step(frame) for frame in (0, 1, 30, 31, 59)] == [0, 1, 30, 29, 1]
    assert float(turning.attributes(1)[0].yaw - turning.attributes(0)[0].yaw) == pytest.approx(2.0, abs=1e-4)
    assert torch.equal(turning.noise(4), turning.noise(4)) and not torch.equal(turning.noise(1), turning.noise(59))
    assert clip("still").frames > 1 and {clip("still").step(frame) for frame in range(clip("still").frames)} == {0}
    with pytest.raises(StyleSwapError, match="2 targets"):
        MovingClip("crossing", (1,), (2,), (3,))
    with pytest.raises(StyleSwapError, match="kind of clip"):
        MovingClip("dancing", (1,), (2,), (3,))


@pytest.mark.parametrize("kind", ["turning", "talking"])
def test_true_motion_carries_a_face_to_the_next_frame(kind):
    moving = clip(kind)
    numbers = KINDS[kind] // 4, KINDS[kind] // 4 + 2
    before, now = (render_step(moving, number) for number in numbers)
    seen = [
        SeenFace(moving.attributes(number)[0], step.depth[0], step.faces[0])
        for number, step in zip(numbers, (before, now), strict=True)
    ]
    moved, inner = carried(before.exact, *seen)
    assert int(inner.sum()) > 300
    along, beside = ((picture - now.exact).abs().mean(0)[inner].mean() for picture in (moved, before.exact))
    assert float(along) < 0.5 * float(beside)
    same, everywhere = carried(now.exact, seen[1], seen[1])
    assert float((same - now.exact).abs()[:, everywhere].max()) < 1e-3


def test_people_who_cross_hide_each_other():
    moving = clip("crossing", 64)
    apart, meeting = (render_step(moving, number) for number in (0, KINDS["crossing"] // 2))
    assert apart.target.shape == (3, 64, moving.width) and apart.points.shape == (2, 5, 2)
    areas = [step.faces.sum((1, 2)) for step in (apart, meeting)]
    assert float(areas[1][0] / areas[0][0]) == pytest.approx(1.0, abs=0.1), "the first person is in front"
    assert float(areas[1][1] / areas[0][1]) < 0.3
    assert float((apart.target - apart.exact).abs()[:, :, 52:60].max()) < 0.01, "nobody between them"
    assert bool((apart.points[0, :, 0] < 56).all() and (apart.points[1, :, 0] > 56).all())
