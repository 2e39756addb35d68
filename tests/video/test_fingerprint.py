"""Interrupted work is resumed with the same settings only: everything that changes pixels is compared."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from clips import write_clip
from toy_swapper import IDENTITY, Painter, toy_swapper, vector

from styleswap_core.compositing.composite import BlendOptions
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.masking.face_masks import FaceMasks
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.tracking.tracking_options import TrackingOptions
from styleswap_core.video.clip_masks import ClipMasks
from styleswap_core.video.clip_plan import ClipOptions, plan_clip
from styleswap_core.video.clip_request import ClipRequest
from styleswap_core.video.work_folder import fingerprint


class Network:
    def __init__(self, fingerprint):
        self.fingerprint = fingerprint


OTHER = Identity(torch.from_numpy(vector(5)), RecognizerId("toy"))
# A value other than the default for each field. A new field has to be entered here; its test fails until the
# fingerprint knows it.
CHANGED = {
    ClipRequest: {
        "swapper": Swapper(Painter(), toy_swapper().analysis, masks=FaceMasks(outline="whole")),
        "identity": OTHER,
        "faces": "all",
        "options": SwapOptions(strength=0.5),
        "keep": ClipMasks(np.ones((4, 4), np.float32)),
        "only_in": ClipMasks(np.ones((4, 4), np.float32)),
    },
    ClipOptions: {
        "encoding": EncodingOptions("hevc"),
        "start": 0.04,
        "duration": 0.16,
        "tracking": None,
        "blending": BlendOptions(),
        "mask_out": "masks.mkv",
        "segment_frames": 7,
    },
    EncodingOptions: {"codec": "hevc", "quality": 30.0, "lossless": True},
    TrackingOptions: {"detection_interval": 9, "smoothing": 1.5, "bridge": 3},
    SwapOptions: {
        "strength": 0.5,
        "mask_grow": 1,
        "mask_feather": 2.0,
        "batch_size": 3,
        "resolution": 2,
        "mask_padding": 0.1,
        "mask_edge": 0.1,
        "swap_doubtful": True,
    },
    BlendOptions: {
        "grow": 1,
        "feather": 1.0,
        "color_match": "linear",
        "color_strength": 0.5,
        "method": "seamless",
    },
    FaceChoice: {
        "rule": "all",
        "order": "left-right",
        "indices": (1,),
        "references": (vector(3),),
        "likeness": 0.7,
        "in_turn": True,
        "gender": "female",
        "ages": (20, 40),
    },
    FaceMasks: {"parsing": Network("a"), "occlusion": Network("b"), "outline": "whole"},
}
BASE = {FaceChoice: {"rule": "largest"}}
# These do not change pixels: how the work is done, and a part of the face analysis, which is compared as a whole.
EXEMPT = {(FaceMasks, "landmark_model"), (ClipOptions, "workers"), (ClipOptions, "ray")}


def cases():
    return [(kind, field.name) for kind in CHANGED for field in fields(kind) if (kind, field.name) not in EXEMPT]


def request_and_options(kind, values):
    """Request and options that hold an object of one kind, made with some values."""
    request, options = ClipRequest(toy_swapper(), IDENTITY), ClipOptions(blending=BlendOptions())
    if kind is ClipRequest:
        request = replace(request, **values)
    elif kind is ClipOptions:
        options = replace(ClipOptions(), **values)
    elif kind is SwapOptions:
        request = replace(request, options=SwapOptions(**values))
    elif kind is FaceChoice:
        request = replace(request, faces=FaceChoice(**values))
    elif kind is FaceMasks:
        request = replace(request, swapper=Swapper(Painter(), toy_swapper().analysis, masks=FaceMasks(**values)))
    else:
        name = {EncodingOptions: "encoding", TrackingOptions: "tracking", BlendOptions: "blending"}[kind]
        options = replace(options, **{name: kind(**values)})
    return request, options


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "source.mkv", 8)


@pytest.mark.parametrize(("kind", "name"), cases(), ids=lambda value: getattr(value, "__name__", value))
def test_every_field_counts(source, kind, name):
    def made(values):
        request, options = request_and_options(kind, {**BASE.get(kind, {}), **values})
        if options.mask_out is not None:
            options = replace(options, mask_out=source.parent / options.mask_out)
        return fingerprint(plan_clip(source, source.parent / "out.mkv", options), request)

    assert made({}) == made({})
    assert made({name: CHANGED[kind][name]}) != made({})


def test_model_target_and_analysis_count(source, tmp_path):
    class Other(Painter):
        sha256 = "other"

    def made(swapper=None, path=source):
        return fingerprint(plan_clip(path, tmp_path / "out.mkv"), ClipRequest(swapper or toy_swapper(), IDENTITY))

    finder = toy_swapper().analysis
    finder.settings = "threshold 0.7"
    others = [
        made(Swapper(Other(), toy_swapper().analysis)),
        made(Swapper(Painter(), finder)),
        made(path=write_clip(tmp_path / "source.mkv", 9)),
    ]
    assert all(other != made() for other in others)
