"""Scenes of the face world: exact swap, motion, two people, photos, tiles."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.synthetic.scene import PEOPLE, SyntheticScene


@pytest.fixture(scope="module")
def moving():
    return SyntheticScene(size=64, frames=4)


def test_exact_swap_differs_only_in_the_face(moving):
    target, mask = moving.target_frame(0)
    exact = moving.exact_frame(0)
    assert target.shape == exact.shape == (3, 64, 64) and mask.shape == (1, 64, 64)
    difference = (target - exact).abs().amax(0)
    assert difference[mask[0] > 0.9].mean() > 0.05 and (difference < 1e-6).float().mean() > 0.4


def test_target_moves_there_and_back_before_a_still_background(moving):
    frames = [moving.target_frame(frame)[0] for frame in range(4)]
    corner = slice(None), slice(0, 10), slice(0, 10)
    still = [(frame[corner] - frames[0][corner]).abs().mean() for frame in frames]
    moved = [float((frame - frames[0]).abs().mean()) for frame in frames]
    assert max(still) < 0.03, "only sensor noise may differ"
    assert moved[2] > moved[1] > 0.01 and abs(moved[1] - moved[3]) < 0.01


def test_two_people_share_one_background():
    scene = SyntheticScene(size=64, people=2, target_setting=1)
    picture, mask = scene.target_frame(0)
    assert picture.shape == (3, 64, 128)
    assert mask[..., :64].sum() > 100 and mask[..., 64:].sum() > 100
    # Above the shoulders the background continues across the middle without a seam.
    seam = (picture[:, :24, 64] - picture[:, :24, 63]).abs().mean()
    beside = (picture[:, :24, 62] - picture[:, :24, 61]).abs().mean()
    assert seam < 2 * beside + 0.02
    alone = SyntheticScene(size=64)
    assert not torch.equal(next(scene.source_photos(companion=True)), next(alone.source_photos()))


def test_photos_show_one_person_under_different_settings():
    first, second = SyntheticScene(size=64, photos=2).source_photos()
    assert (first - second).abs().mean() > 0.1
    assert torch.equal(first, next(SyntheticScene(size=64).source_photos())), "equal numbers must give equal pictures"


@pytest.mark.parametrize(
    "values",
    [{"people": 3}, {"size": 65}, {"size": 32}, {"frames": 0}, {"target_person": PEOPLE}, {"source_setting": -1}],
)
def test_numbers_out_of_range_are_refused(values):
    (name,) = values
    with pytest.raises(StyleSwapError, match=name):
        SyntheticScene(**values)


def test_tiles_are_invisible(monkeypatch):
    whole = SyntheticScene(size=96, people=2).target_frame(0)
    monkeypatch.setattr("styleswap_core.synthetic.scene._TILE", 64)
    tiles = []
    tiled = SyntheticScene(size=96, people=2).target_frame(0, lambda: tiles.append(1))
    assert len(tiles) == 8
    assert torch.allclose(whole[0], tiled[0], atol=1e-5) and torch.allclose(whole[1], tiled[1], atol=1e-5)
