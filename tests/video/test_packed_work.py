"""What is sent to workers: networks are opened again from their files, and give the same results."""

import guest_forms
import numpy as np
import pytest
import torch
from clips import write_clip
from mask_forms import write_occlusion, write_parsing
from toy_swapper import IDENTITY

from styleswap_core.checkpoints import DEMO_MODEL
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.analysis import adopt_face_analysis, load_face_analysis
from styleswap_core.faces.packs import build_analysis, find_pack
from styleswap_core.masking.face_masks import load_face_masks
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.video.clip_plan import plan_clip
from styleswap_core.video.clip_request import ClipRequest
from styleswap_core.video.segment_swapper import SegmentSwapper
from styleswap_core.video.segment_workers import packed, unpacked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def analysis():
    return load_face_analysis(det_size=320, det_thresh=0.4)


def sent(model, analysis, folder, masks=None):
    plan = plan_clip(write_clip(folder / "clip.mp4", 2), folder / "out.mp4")
    swapper = SegmentSwapper(plan, ClipRequest(Swapper(model, analysis, masks=masks), IDENTITY), None, folder)
    return unpacked(packed(swapper)).request.swapper


def models(folder):
    guest = folder / "inswapper_128.onnx"
    guest_forms.write_inswapper(guest)
    return {"styleswap": DEMO_MODEL, "guest": guest}


@pytest.mark.parametrize("name", ["styleswap", "guest"])
def test_swapping_networks(folder, analysis, name):
    model = load_model(models(folder)[name], "cpu")
    again = sent(model, analysis, folder).model
    assert (again.name, again.sha256, again.size) == (model.name, model.sha256, model.size)
    crops = torch.rand(2, 3, model.size, model.size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    identities = [IDENTITY] * 2
    one, two = model.swap_crops(crops, identities), again.swap_crops(crops, identities)
    assert (one.rgb == two.rgb).all() and (one.mask == two.mask).all()


def test_face_analysis_and_masks(folder, analysis):
    parsing = write_parsing(folder / "parsing.onnx", {0: (40, 90, 60), 1: (210, 160, 130)}, side=64)
    masks = load_face_masks(parsing, "skin", write_occlusion(folder / "occlusion.onnx"), "upper")
    model = load_model(DEMO_MODEL, "cpu")
    again = sent(model, analysis, folder, masks)
    assert again.analysis.settings == analysis.settings and again.analysis.recognizer == analysis.recognizer
    assert again.masks.fingerprint == masks.fingerprint
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for one, two in ((masks.parsing, again.masks.parsing), (masks.occlusion, again.masks.occlusion)):
        assert (one.mask(crop) == two.mask(crop)).all()
    # The same analysis serves detection and landmarks.
    assert again.masks.landmark_model.args[0] is again.analysis


def test_an_analysis_of_another_program_cannot_be_sent(folder):
    adopted = adopt_face_analysis(build_analysis(find_pack(None)))
    with pytest.raises(StyleSwapError, match="comes from another program .*; load it by its pack, or use one worker"):
        sent(load_model(DEMO_MODEL, "cpu"), adopted, folder)
