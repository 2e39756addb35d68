"""Align Faces."""

from contextlib import nullcontext
from typing import Any

import torch
from comfy_api.latest import io

from ..styleswap_core.compositing.placed_faces import FFHQ, MAX_SIZE, MIN_SIZE, PlacedFaces
from ..styleswap_core.faces.alignment import TEMPLATES
from .face_choice import FaceOrigin, found_inputs, origin_inputs
from .face_masks import LoadedMasks
from .host import frame_progress, result_device, show_text
from .sockets import Faces, make_schema, unknown_choice
from .swap_reports import describe_aligned
from .swap_values import index_problem


class AlignFaces(io.ComfyNode):
    """Cuts faces out of images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_AlignFaces",
            display_name="Align Faces",
            category="StyleSwap/faces",
            description="Cuts faces out of images, upright and at one size, so that any node can work on them: face"
            " restoration, upscaling, inpainting or a hand-painted mask. Paste Faces puts them back.",
            search_aliases=["crop face", "face crop", "extract face", "align", "face restore", "detailer"],
            inputs=[
                io.Image.Input("image", tooltip="One image, or the frames of a video."),
                io.Int.Input(
                    "size",
                    default=512,
                    min=MIN_SIZE,
                    max=MAX_SIZE,
                    step=8,
                    tooltip="Side of the crops in pixels. Most face restorers take 512.",
                ),
                io.Combo.Input(
                    "template",
                    options=list(TEMPLATES),
                    default=FFHQ,
                    tooltip="Where eyes, nose and mouth lie in the crop. ffhq: with hair and chin, for face restorers"
                    " such as GFPGAN and CodeFormer. The arcface templates are closer.",
                ),
                *found_inputs("cut out", "their crops"),
                *origin_inputs(
                    "Swap Face or another Align Faces, which are cut out of this image as they are.",
                    "what the output mask shows. By default the outline of the face.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "crops",
                    display_name="crops",
                    tooltip="The crops, frame after frame; a black one if there are none.",
                ),
                Faces.Output("aligned_faces", display_name="faces", tooltip="Where the crops belong: for Paste Faces."),
                io.Mask.Output("mask", display_name="mask", tooltip="The face in each crop, for Paste Faces."),
                io.String.Output("report", display_name="report", tooltip="Which faces were cut out of which frame."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, template: str | None = None, faces: str | None = None, index: str | None = None, order: str | None = None
    ) -> bool | str:
        """True, or a message about the first unknown choice or an invalid index."""
        problem = unknown_choice(cls, template=template, faces=faces, order=order)
        return problem or index_problem(faces, index) or True

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        size: int,
        template: str,
        face_analysis: object = None,
        known_faces: PlacedFaces | None = None,
        reference: object = None,
        masks: LoadedMasks | None = None,
        **choice: Any,
    ) -> io.NodeOutput:
        """Cut faces out of a batch of images (B, H, W, 3 or 4); `choice` are the widgets of `found_inputs`.

        Returns:
            The crops (N, S, S, 3; a single black one if there are none), where they belong, masks of the faces in them
            (N, S, S), and a report.

        Raises:
            StyleSwapError: Neither a face analysis nor known faces, or known faces of other images.
        """
        from ..styleswap_core.pipeline.face_aligner import align_faces, align_placed

        origin, device = FaceOrigin(known_faces, face_analysis, reference, **choice), result_device()
        with masks.open() if masks else nullcontext() as opened:
            how: Any = {"size": size, "template": template, "masks": opened, "device": device}
            how["on_frame"] = frame_progress(len(image))
            aligned = origin.take(
                "cut out",
                lambda known: align_placed(image, known, **how),
                lambda analyzer, chosen: align_faces(image, analyzer, chosen, **how),
            )
        report = describe_aligned(aligned)
        show_text(report.splitlines()[0])
        crops, shown = aligned.crops, aligned.masks
        if not len(crops):
            # Nodes such as Preview Image fail on an empty batch.
            crops, shown = torch.zeros(1, size, size, 3, device=device), torch.zeros(1, size, size, device=device)
        return io.NodeOutput(crops, aligned.placed, shown, report)
