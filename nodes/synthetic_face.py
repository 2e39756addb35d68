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
    """Renders people who do not exist, and the ground-truth swap."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_SyntheticFace",
            display_name="Synthetic Face",
            category="StyleSwap/image",
            description="Renders a source person and a target, optionally moving or with a second person, with the"
            " face mask and the ground-truth swap: test images without any file. The same numbers always give the same"
            " images.",
            search_aliases=["test image", "example face", "render face"],
            inputs=[
                *_seed_inputs(),
                io.Int.Input(
                    "size",
                    default=384,
                    min=128,
                    max=1024,
                    step=64,
                    tooltip="Image height in pixels. On a CPU, an image of 256 px takes about one second to render.",
                ),
                io.Int.Input("frames", default=1, min=1, max=1000, tooltip="Number of target frames."),
                io.Int.Input(
                    "people", default=1, min=1, max=2, tooltip="2 adds a second person to the right of the target."
                ),
                io.Int.Input(
                    "photos",
                    default=1,
                    min=1,
                    max=MAX_PHOTOS,
                    tooltip="Number of images of each source person, all with different settings.",
                ),
                io.Boolean.Input(
                    "exact",
                    default=True,
                    tooltip="Also renders the ground-truth swap. Off halves the rendering time and leaves exact_swap"
                    " black.",
                ),
            ],
            outputs=[
                io.Image.Output("source", display_name="source", tooltip="The source person."),
                io.Image.Output("target", display_name="target", tooltip="The target frames."),
                io.Mask.Output(
                    "face_mask", display_name="face_mask", tooltip="Visible skin and facial features of the target."
                ),
                io.Image.Output(
                    "exact_swap", display_name="exact_swap", tooltip="The result of a perfect swap: the ground truth."
                ),
                io.Image.Output(
                    "source_2",
                    display_name="source_2",
                    tooltip="With two people: the source for the face on the right; otherwise the same as source.",
                ),
                io.String.Output(
                    "parameters", display_name="parameters", tooltip="All numbers as JSON, for bug reports."
                ),
            ],
        )

    @classmethod
    def execute(cls, exact: bool, **numbers: int) -> io.NodeOutput:
        """Render a `SyntheticScene`, whose fields are `numbers`.

        Returns:
            Photos of the first source person (P, S, S, 3), target frames (F, S, W, 3), face masks (F, S, W), the
            ground-truth swap in the shape of the frames (black unless `exact`), photos of the last source person, and
            the scene as JSON.
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


def _seed_inputs() -> list[io.Input]:
    """Who is rendered, and how."""
    return [
        _number("source_person", 0, PEOPLE, "Number of the source person."),
        _number("target_person", 1, PEOPLE, "Number of the target person."),
        _number(
            "source_setting",
            0,
            SETTINGS,
            "Pose, expression, lighting, hair, clothes and background of the source.",
        ),
        _number("target_setting", 1, SETTINGS, "The same for the target."),
        _number(
            "motion_setting",
            2,
            SETTINGS,
            "With several frames: pose, expression and gaze that the target moves to and returns from.",
        ),
    ]


def _number(name: str, default: int, count: int, tooltip: str) -> io.Input:
    return io.Int.Input(name, default=default, min=0, max=count - 1, tooltip=tooltip)
