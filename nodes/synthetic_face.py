"""Synthetic Face."""

import json
from dataclasses import asdict

import torch
from comfy_api.latest import io

from ..styleswap_core.devices import one_thread
from ..styleswap_core.io.images import bchw_to_bhwc
from ..styleswap_core.synthetic.scene import MAX_PHOTOS, PEOPLE, SETTINGS, SyntheticScene
from .host import check_interrupted, frame_progress, result_device
from .sockets import make_schema


class SyntheticFace(io.ComfyNode):
    """Pictures of people who do not exist, with the exact swap."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_SyntheticFace",
            display_name="Synthetic Face",
            category="StyleSwap/image",
            description="Renders a source person and a target, which may move and have somebody beside it, together with the face"
            " mask and the exact swap: a test picture without a file. The same numbers give the same pictures.",
            search_aliases=["test image", "example face", "render face"],
            inputs=[
                _number("source_person", 0, PEOPLE, "Who the source is"),
                _number("target_person", 1, PEOPLE, "Who the target is"),
                _number(
                    "source_setting", 0, SETTINGS, "Pose, expression, light, hair, clothes and background of the source"
                ),
                _number("target_setting", 1, SETTINGS, "The same of the target"),
                _number(
                    "motion_setting",
                    2,
                    SETTINGS,
                    "With several frames: pose, expression and gaze that the target moves to, and back",
                ),
                io.Int.Input(
                    "size",
                    default=384,
                    min=128,
                    max=1024,
                    step=64,
                    tooltip="Height in pixels; rendering takes about a second for each picture of 256 px on a CPU",
                ),
                io.Int.Input("frames", default=1, min=1, max=1000, tooltip="Pictures of the target"),
                io.Int.Input("people", default=1, min=1, max=2, tooltip="2: somebody else stands right of the target"),
                io.Int.Input(
                    "photos",
                    default=1,
                    min=1,
                    max=MAX_PHOTOS,
                    tooltip="Pictures of the source, under different settings",
                ),
                io.Boolean.Input(
                    "exact",
                    default=True,
                    tooltip="Also render the exact swap; off saves half of the time, and exact_swap is black",
                ),
            ],
            outputs=[
                io.Image.Output("source", display_name="source", tooltip="The source person"),
                io.Image.Output("target", display_name="target", tooltip="The target's frames"),
                io.Mask.Output(
                    "face_mask", display_name="face_mask", tooltip="Visible skin and features of the target's faces"
                ),
                io.Image.Output(
                    "exact_swap", display_name="exact_swap", tooltip="What a perfect swap of the target gives"
                ),
                io.Image.Output(
                    "source_2",
                    display_name="source_2",
                    tooltip="With 2 people: the source for the right face; else the same as source",
                ),
                io.String.Output(
                    "parameters", display_name="parameters", tooltip="The numbers, as JSON: for a bug report"
                ),
            ],
        )

    @classmethod
    def execute(cls, exact: bool, **numbers: int) -> io.NodeOutput:
        """Photos of the first person (P, S, S, 3), target frames (F, S, W, 3), face masks (F, S, W), the exact swap in the shape of
        the frames (black unless `exact`), photos of the last person, and the scene as JSON.

        `numbers`: the fields of `SyntheticScene`.
        """
        scene = SyntheticScene(**numbers)
        photos = scene.photos * scene.people
        on_step = frame_progress(photos + scene.frames)
        device = result_device()
        sources = torch.empty(scene.people, scene.photos, scene.size, scene.size, 3, device=device)
        target = torch.empty(scene.frames, scene.size, scene.width, 3, device=device)
        exact_swap = torch.zeros_like(target)
        masks = torch.empty(target.shape[:3], device=device)
        with one_thread():
            for person in range(scene.people):
                for photo, picture in enumerate(scene.source_photos(bool(person), check_interrupted)):
                    on_step(person * scene.photos + photo)
                    sources[person, photo] = bchw_to_bhwc(picture[None])[0].to(device)
            for frame in range(scene.frames):
                on_step(photos + frame)
                picture, mask = scene.target_frame(frame, check_interrupted)
                target[frame], masks[frame] = bchw_to_bhwc(picture[None])[0].to(device), mask[0].to(device)
                if exact:
                    exact_swap[frame] = bchw_to_bhwc(scene.exact_frame(frame, check_interrupted)[None])[0].to(device)
        return io.NodeOutput(sources[0], target, masks, exact_swap, sources[-1], json.dumps(asdict(scene)))


def _number(name: str, default: int, count: int, tooltip: str) -> io.Input:
    return io.Int.Input(name, default=default, min=0, max=count - 1, tooltip=tooltip)
