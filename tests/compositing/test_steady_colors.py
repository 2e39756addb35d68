"""Colors that a swap adds are averaged along a track, but not over what covers a face."""

import pytest
import torch

from styleswap_core.compositing.steady_colors import SteadyColors

SIZE, WINDOW = 128, 4


def steadied(rgb, crops, masks=None, window=WINDOW):
    steady = SteadyColors(window)
    for frame in range(len(rgb)):
        mask = torch.ones(1, SIZE, SIZE) if masks is None else masks[frame]
        steady.add(frame, 7, rgb[frame], crops[frame], mask)
    return torch.stack([picture + steady.correction(frame, 7, SIZE) for frame, picture in enumerate(rgb)])


def flat(level):
    return torch.full((3, SIZE, SIZE), float(level))


def test_patches_that_get_lighter_and_darker_are_steadied():
    generator = torch.Generator().manual_seed(0)
    crop = torch.rand(3, SIZE, SIZE, generator=generator) - 0.5
    patches = torch.randn(24, 3, 8, 8, generator=generator) * 0.02
    rgb = 0.3 * crop + torch.nn.functional.interpolate(patches, SIZE)
    result = steadied(rgb, crop.expand(24, -1, -1, -1))
    assert float(result.diff(dim=0).abs().mean()) < 0.4 * float(rgb.diff(dim=0).abs().mean())
    assert torch.allclose(steadied(rgb, crop.expand(24, -1, -1, -1), window=0), rgb, atol=1e-6)


def test_light_that_changes_on_the_target_changes_the_result_as_fast():
    crops = torch.stack([flat(0.5 if frame >= 10 else 0.0) for frame in range(20)])
    result = steadied(crops + 0.2, crops)
    assert float((result - crops - 0.2).abs().max()) < 1e-5


@pytest.mark.parametrize("masked", [True, False])
def test_a_hand_leaves_no_ghost(masked):
    """Under the hand, the network adds anything; with a mask or without."""
    crops = torch.stack([flat(-0.6 if 8 <= frame < 12 else 0.1) for frame in range(20)])
    rgb = torch.stack([flat(0.3) for _ in range(20)])
    masks = [torch.full((1, SIZE, SIZE), 0.0 if masked and 8 <= frame < 12 else 1.0) for frame in range(20)]
    result = steadied(rgb, crops, masks)
    outside = [*range(8), *range(12, 20)]
    assert float((result - rgb)[outside].abs().max()) < 1e-3


def test_faces_and_forgotten_frames_do_not_count():
    steady = SteadyColors(2)
    for frame in range(4):
        steady.add(frame, 1, flat(0.1), flat(0.0), torch.ones(1, SIZE, SIZE))
        steady.add(frame, 2, flat(0.12), flat(0.0), torch.ones(1, SIZE, SIZE))
    assert float(steady.correction(2, 1, 32).abs().max()) < 1e-6
    steady.add(4, 1, flat(0.13), flat(0.0), torch.ones(1, SIZE, SIZE))
    assert float(steady.correction(4, 1, 32).mean()) < -0.005
    steady.forget(4)
    assert float(steady.correction(4, 1, 32).abs().max()) < 1e-6
