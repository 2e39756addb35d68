"""Masks of what a swap leaves alone, for pictures and frames."""

import pytest
import torch

from styleswap_core.compositing.canvas import Canvas
from styleswap_core.compositing.frame_masks import FrameMasks
from styleswap_core.errors import StyleSwapError


def test_one_mask_serves_all_frames_and_is_scaled_to_them():
    mask = torch.zeros(8, 8)
    mask[:, :4] = 1
    kept = FrameMasks(mask)
    for number, size in ((0, (8, 8)), (5, (16, 32))):
        found = kept.of_frame(number, size)
        assert found.shape == (1, *size) and found[0, :, 0].min() == 1 and found[0, :, -1].max() == 0
    assert FrameMasks(None).of_frame(0, (8, 8)) is None


def test_masks_of_frames():
    masks = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    kept = FrameMasks(masks, frames=2)
    assert kept.of_frame(0, (4, 4)).max() == 0 and kept.of_frame(1, (4, 4)).min() == 1
    with pytest.raises(StyleSwapError, match="frame 2 has none"):
        kept.of_frame(2, (4, 4))
    with pytest.raises(StyleSwapError, match="one for each of 3 frames, got 2"):
        FrameMasks(masks, frames=3)
    with pytest.raises(StyleSwapError, match=r"\(h, w\) or \(frames, h, w\), got \(1, 2, 4, 4\)"):
        FrameMasks(masks[None])


def test_values_that_are_no_shares_are_repaired():
    mask = torch.tensor([[float("nan"), 3.0], [-1.0, 0.5]])
    assert FrameMasks(mask).of_frame(0, (2, 2)).tolist() == [[[0.0, 1.0], [0.0, 0.5]]]


def test_a_canvas_keeps_pixels_bit_for_bit():
    target = torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(1)).mul(255).byte().numpy()
    keep = torch.zeros(1, 40, 40)
    keep[:, :, :20] = 1
    canvas = Canvas([target, target], [keep, None])
    layers, matrices = torch.ones(2, 3, 32, 32), torch.tensor([[[1.0, 0, -4], [0, 1, -4]]]).repeat(2, 1, 1)
    canvas.paste([0, 1], layers, torch.ones(2, 1, 32, 32), matrices)
    (kept, mask), (whole, _) = canvas.result(0), canvas.result(1)
    assert (kept[:, :20] == target[:, :20]).all() and mask[:, :20].max() == 0
    assert (kept[:, 20:] == whole[:, 20:]).all() and (kept[20, 22:30] == 255).all()
