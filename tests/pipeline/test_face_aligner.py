"""Faces found in frames, cut out, changed and pasted back."""

import pytest
import torch
from marked_frames import MarkDetector, frames_with

from styleswap_core.compositing.crop_pasting import paste_faces
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.model import Generator, preset
from styleswap_core.pipeline.face_aligner import align_faces, align_placed, places_of_swap
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork

LEVEL = 1 / 255


def test_align_and_paste_without_a_change():
    frames = frames_with((0, 30, 40), (2, 90, 40), (2, 25, 30))
    for template, size in (("ffhq", 64), ("arcface_112", 112), ("ffhq_512@512", 33)):
        aligned = align_faces(frames, MarkDetector(), FaceChoice("all", "left-right"), size=size, template=template)
        assert aligned.crops.shape == (3, size, size, 3) and aligned.masks.shape == (3, size, size)
        assert [face.frame for face in aligned.placed.faces] == [0, 2, 2]
        assert aligned.problems == ((), ("no face found",), ())
        images, _ = paste_faces(frames, aligned.crops, aligned.placed, masks=aligned.masks)
        assert (images - frames).abs().max() <= LEVEL


def test_masks_show_the_face_only():
    aligned = align_faces(frames_with((0, 60, 40)), MarkDetector(), size=64)
    assert aligned.masks[0, 32, 32] > 0.9 and aligned.masks[0, :2].max() == 0 and aligned.masks[0, :, -2:].max() == 0


def test_frames_without_a_face_give_no_crop():
    frames = frames_with()
    aligned = align_faces(frames, MarkDetector())
    assert aligned.crops.shape == (0, 512, 512, 3) and aligned.placed.faces == ()
    images, masks = paste_faces(frames, torch.zeros(1, 8, 8, 3), aligned.placed)
    assert torch.equal(images, frames) and masks.max() == 0


def test_doubtful_faces_are_left_out_and_named():
    frames = frames_with((0, 30, 40), (0, 90, 40, "doubtful"), count=1)
    aligned = align_faces(frames, MarkDetector())
    assert len(aligned.crops) == 1
    assert "doubtful (points in the wrong order)" in aligned.problems[0][0]
    assert len(align_faces(frames, MarkDetector(), with_doubtful=True).crops) == 2


def test_the_same_faces_in_another_size():
    frames = frames_with((0, 30, 40), (1, 90, 40))
    first = align_faces(frames, MarkDetector(), size=32)
    again = align_placed(frames, first.placed, size=96, template="arcface_128")
    direct = align_faces(frames, MarkDetector(), size=96, template="arcface_128")
    assert torch.equal(again.crops, direct.crops) and torch.equal(again.masks, direct.masks)
    with pytest.raises(StyleSwapError, match="expected 3 frames"):
        align_placed(frames[:2], first.placed)


def test_bad_arguments():
    frames = frames_with((0, 30, 40))
    with pytest.raises(StyleSwapError, match="crops of 16 to 2048 px, got 1"):
        align_faces(frames, MarkDetector(), size=1)
    with pytest.raises(StyleSwapError, match="expected a crop template"):
        align_faces(frames, MarkDetector(), template="square")
    with pytest.raises(StyleSwapError, match="at least one frame"):
        align_faces(frames[:0], MarkDetector())


@pytest.mark.parametrize("resolution", [1, 2])
def test_the_crops_of_a_swap_go_back(resolution):
    """Pasted into the target they give the swap; pasted into the swap they change nothing that is visible."""
    torch.manual_seed(0)
    model = StyleSwapNetwork(Generator(preset("tiny")).eval())
    frames = frames_with((0, 40, 40), (2, 70, 40))
    identity = Identity(torch.randn(512), RecognizerId("known"))
    swapper = Swapper(model, MarkDetector(), SwapOptions(resolution=resolution))
    result = swapper.swap_batch(frames, identity, "all")
    placed = places_of_swap(frames, result.reports, model.template, model.size)
    assert [(face.frame, face.size) for face in placed.faces] == [
        (0, resolution * model.size),
        (2, resolution * model.size),
    ]
    assert len(result.crops) == 2
    images, _ = paste_faces(frames, result.crops, placed)
    changed = (result.images - frames).abs().amax(-1) > 0.1
    assert changed.any()
    assert (images - result.images).abs().amax(-1)[changed].mean() < 0.1
    assert torch.equal(images[1], frames[1])
    paste_faces(result.images, result.crops, placed)
