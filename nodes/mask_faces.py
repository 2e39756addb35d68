"""Face Mask."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.masking.region_masks import FACE_AREA
from ..styleswap_core.masking.regions import AREAS, REGIONS, SHAPED, parse_regions
from ..styleswap_core.pipeline.swap_options import MAX_SHARE
from .face_choice import FaceOrigin, found_inputs, origin_inputs
from .face_masks import LoadedMasks
from .host import frame_progress, result_device, show_text
from .segs import segs_of
from .sockets import Segs, advanced, make_schema, unknown_choice
from .swap_reports import describe_masked
from .swap_values import index_problem

if TYPE_CHECKING:
    from ..styleswap_core.compositing.placed_faces import PlacedFaces
    from ..styleswap_core.pipeline.masked_faces import MaskedFaces

FRAME, FACE = "frame", "face"
"""Choices of *one_mask_per*."""


class FaceMask(io.ComfyNode):
    """Masks faces, or regions of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_FaceMask",
            display_name="Face Mask",
            category="StyleSwap/faces",
            description="Masks faces, or regions of them such as eyes, mouth or hair, for inpainting, blending and"
            " detailers. The segments (SEGS) are those of Impact Pack.",
            search_aliases=["face mask", "face parsing", "segment face", "mask", "SEGS", "detailer", "mask helper"],
            inputs=[
                io.Image.Input("image", tooltip="One image, or the frames of a video."),
                *_shape_inputs(),
                *found_inputs("mask", "the masks"),
                advanced(
                    io.Float.Input(
                        "crop_factor",
                        default=3.0,
                        min=1.0,
                        max=10.0,
                        step=0.1,
                        tooltip="For segs: size of the region around a face that a detailer sees, as a multiple of "
                        "the size of its mask.",
                    )
                ),
                *origin_inputs(
                    "Swap Face or Align Faces, which are masked where they are.",
                    "a face parsing network for regions, and an occlusion network, which leaves out what covers the"
                    " face. The regions are those of this node.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask", tooltip="The masks; black where there is no face."),
                Segs.Output(
                    "segs",
                    display_name="segs",
                    is_output_list=True,
                    tooltip="A list with the segments (SEGS) of each image, for Impact Pack's detailers.",
                ),
                io.String.Output("report", display_name="report", tooltip="Which faces were masked in which frame."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        regions: str | None = None,
        one_mask_per: str | None = None,
        faces: str | None = None,
        index: str | None = None,
        order: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice, region or invalid index."""
        if problem := unknown_choice(cls, one_mask_per=one_mask_per, faces=faces, order=order):
            return problem
        try:
            if regions is not None:
                parse_regions(regions, AREAS)
        except StyleSwapError as error:
            return str(error)
        return index_problem(faces, index) or True

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        regions: str,
        grow: float,
        feather: float,
        one_mask_per: str,
        crop_factor: float,
        face_analysis: object = None,
        known_faces: PlacedFaces | None = None,
        reference: object = None,
        masks: LoadedMasks | None = None,
        **choice: Any,
    ) -> io.NodeOutput:
        """Mask faces in a batch of images (B, H, W, 3 or 4); `choice` are the widgets of `found_inputs`.

        Returns:
            Masks (B, H, W), or one for each face (N, H, W; a single black one if there are none), the segments of each
            image, and a report.

        Raises:
            StyleSwapError: Neither a face analysis nor known faces, known faces of other images, or a region that needs
                a parsing network.
        """
        from ..styleswap_core.pipeline.masked_faces import MaskOptions, mask_faces, mask_placed

        origin, options = (
            FaceOrigin(known_faces, face_analysis, reference, **choice),
            MaskOptions(regions, grow, feather),
        )
        with masks.open() if masks else nullcontext() as opened:
            how: Any = {"masks": opened, "on_frame": frame_progress(len(image))}
            found = origin.take(
                "mask",
                lambda known: mask_placed(image, known, options, **how),
                lambda analyzer, chosen: mask_faces(image, analyzer, chosen, options, **how),
            )
        report = describe_masked(found)
        show_text(report.splitlines()[0])
        segs = [segs_of(picture, found.of_frame(number), crop_factor) for number, picture in enumerate(image)]
        return io.NodeOutput(_masks(found, one_mask_per), segs, report)


def _shape_inputs() -> list[io.Input]:
    """What the masks show, their edges, and how many there are."""
    return [
        io.String.Input(
            "regions",
            default=FACE_AREA,
            tooltip=f"What the mask shows, separated by commas, such as eyes,mouth: {', '.join(SHAPED)}; with a"
            f" face parsing network also {', '.join(name for name in REGIONS if name not in SHAPED)}, or"
            " numbers of its classes.",
        ),
        io.Float.Input(
            "grow",
            default=0.0,
            min=-MAX_SHARE,
            max=MAX_SHARE,
            step=0.01,
            tooltip="Grows the mask by this fraction of the face's aligned crop, which is about one and a "
            "half times as tall as the face; negative values shrink it.",
        ),
        io.Float.Input(
            "feather",
            default=0.0,
            min=0.0,
            max=MAX_SHARE,
            step=0.01,
            tooltip="Width over which the edge of the mask fades, as a fraction of the same crop.",
        ),
        io.Combo.Input(
            "one_mask_per",
            options=[FRAME, FACE],
            default=FRAME,
            tooltip="frame: as many masks as images, each with all faces of its image. face: one mask for each"
            " face, frame after frame.",
        ),
    ]


def _masks(found: MaskedFaces, one_mask_per: str) -> torch.Tensor:
    """Masks for each frame or face; nodes such as Mask Preview fail on an empty batch."""
    if one_mask_per == FRAME:
        return found.together(result_device())
    return found.apart(result_device()) if found.faces else torch.zeros(1, *found.frame_size, device=result_device())
