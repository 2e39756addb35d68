"""Nodes that return what other packs may return: unusual images, masks and identities, and insightface objects."""

import hashlib
import io
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import folder_paths
import numpy as np
import torch
from comfy_api.latest import InputImpl

DEMO_PACK = Path(folder_paths.get_folder_paths("custom_nodes")[0]) / "StyleSwap/styleswap_core/assets/demo_pack"

PICTURES = {
    "empty": lambda image: image[:0],
    "one channel": lambda image: image[..., :1],
    "transparent": lambda image: torch.cat([image, torch.full_like(image[..., :1], 0.5)], dim=3),
    "half precision": lambda image: image.half(),
    "not a number": lambda image: _with_corner(image, float("nan")),
    "out of range": lambda image: _with_corner(image * 1.0, 7.5),
    "twice": lambda image: torch.cat([image, image]),
    "scaled": lambda image: image[:, ::2, ::2],
}
MASKS = {
    "all": lambda image: torch.ones(image.shape[:3]),
    "empty": lambda image: torch.ones(0, *image.shape[1:3]),
    "one frame more": lambda image: torch.ones(len(image) + 1, *image.shape[1:3]),
    "of another size": lambda image: torch.ones(len(image), 37, 53),
    "not a number": lambda image: torch.full(image.shape[:3], float("nan")),
    "of Load Image": lambda image: torch.zeros(1, 64, 64),
}
IDENTITIES = {
    "as it is": lambda identity: identity,
    "of another recognizer": lambda identity: replace(
        identity, recognizer=replace(identity.recognizer, name="another", sha256="0" * 64)
    ),
    "inverted for another model": lambda identity: replace(
        identity, w_plus=torch.zeros(8, 512), generator_sha256="0" * 64
    ),
    "empty list": lambda identity: [],
    "nothing": lambda identity: None,
}
# As Impact Pack declares it.
Seg = namedtuple(
    "SEG",
    ["cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label", "control_net_wrapper"],
    defaults=[None],
)
SEGS = {
    "nothing": lambda image: [],
    "right half": lambda image: (image.shape[1:3], [_segment(*image.shape[1:3], image.shape[2] // 2)]),
    "whole": lambda image: (image.shape[1:3], [_segment(*image.shape[1:3], 0)]),
}
DIGESTS = {"sha256": lambda values: hashlib.sha256(values.cpu().contiguous().numpy().tobytes()).hexdigest()}


class _TrimmedVideo(InputImpl.VideoFromFile):
    """What `as_trimmed` of newer versions of ComfyUI returns: half a second, from half a second on."""

    def get_active_trim_window(self):
        return 0.5, 0.5


class _EditedVideo(InputImpl.VideoFromFile):
    """A video of newer versions of ComfyUI with an edit that its file lacks: it is mirrored."""

    def has_pending_frame_edits(self):
        return True

    def get_components(self):
        components = super().get_components()
        components.images = components.images.flip(2)
        return components


class _StreamedVideo(InputImpl.VideoFromFile):
    """A video whose frames must not be loaded."""

    def get_components(self):
        raise AssertionError("all frames of the video are loaded")


VIDEOS = {
    "streamed": lambda video: _StreamedVideo(video.get_stream_source()),
    "in memory": lambda video: _StreamedVideo(io.BytesIO(Path(video.get_stream_source()).read_bytes())),
    "trimmed": lambda video: _TrimmedVideo(video.get_stream_source()),
    "edited": lambda video: _EditedVideo(video.get_stream_source()),
    "frames": lambda video: InputImpl.VideoFromComponents(video.get_components()),
    "missing": lambda video: InputImpl.VideoFromFile(video.get_stream_source() + ".missing.mp4"),
}


def _segment(height, width, left):
    box = (left, 0, width, height)
    return Seg(None, np.ones((height, width - left), np.float32), 0.9, list(box), box, "face")


def _with_corner(image, value):
    image = image.clone()
    image[:, :4, :4] = value
    return image


def _node(kinds, given, returned):
    """Node class that turns a value of type `given` into one of `kinds`, of type `returned`."""

    class Probe:
        CATEGORY, FUNCTION, RETURN_TYPES = "tests", "make", (returned,)

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"value": (given,), "kind": (list(kinds),)}}

        def make(self, value, kind):
            return (kinds[kind](value),)

    return Probe


class InsightFace:
    """What the insightface loaders of other packs return, and ReActor's face model of an image."""

    CATEGORY, FUNCTION = "tests", "make"
    RETURN_TYPES = ("INSIGHTFACE", "FACEANALYSIS", "FACE_MODEL")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def make(self, image):
        from insightface.app import FaceAnalysis

        analysis = FaceAnalysis(name=str(DEMO_PACK), providers=["CPUExecutionProvider"])
        analysis.prepare(ctx_id=0, det_size=(256, 256))
        picture = (image[0].numpy() * 255).round().astype("uint8")[..., ::-1]
        return analysis, analysis, analysis.get(picture)[0]


NODE_CLASS_MAPPINGS = {
    "Probe_Picture": _node(PICTURES, "IMAGE", "IMAGE"),
    "Probe_Mask": _node(MASKS, "IMAGE", "MASK"),
    "Probe_Segs": _node(SEGS, "IMAGE", "SEGS"),
    "Probe_Identity": _node(IDENTITIES, "STYLESWAP_IDENTITY", "STYLESWAP_IDENTITY"),
    "Probe_Video": _node(VIDEOS, "VIDEO", "VIDEO"),
    "Probe_InsightFace": InsightFace,
    "Probe_PictureDigest": _node(DIGESTS, "IMAGE", "STRING"),
    "Probe_MaskDigest": _node(DIGESTS, "MASK", "STRING"),
}
