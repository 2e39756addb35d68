"""Align Faces."""

from contextlib import nullcontext

import torch
from comfy_api.latest import io

from ..styleswap_core.compositing.placed_faces import PlacedFaces
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.alignment import TEMPLATES
from ..styleswap_core.pipeline.face_aligner import FFHQ, MAX_SIZE, MIN_SIZE, align_faces, align_placed
from .analysis import open_analysis
from .face_choice import found_choice, found_inputs
from .face_masks import LoadedMasks
from .host import frame_progress, result_device, show_text
from .sockets import Faces, Masks, face_analysis_input, identity_input, make_schema, unknown_choice
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
                face_analysis_input(optional=True),
                Faces.Input(
                    "known_faces",
                    optional=True,
                    tooltip="Instead of a face analysis: the faces of Swap Face or another Align Faces, which are cut"
                    " out of this image as they are. The choice of faces has no effect then.",
                ),
                identity_input("reference", "For by likeness and everyone but: the person.", optional=True),
                Masks.Input(
                    "masks",
                    optional=True,
                    tooltip="From Load Face Masks: what the output mask shows. By default the outline of the face.",
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
        cls, template: str | None, faces: str | None, index: str | None, order: str | None
    ) -> bool | str:
        """True, or a message about the first unknown choice or an invalid index."""
        if problem := unknown_choice(cls, template=template, faces=faces, order=order):
            return problem
        return (faces is not None and index_problem(faces, index)) or True

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        size: int,
        template: str,
        faces: str,
        index: str,
        order: str,
        likeness: float,
        face_analysis: object = None,
        known_faces: PlacedFaces | None = None,
        reference: object = None,
        masks: LoadedMasks | None = None,
    ) -> io.NodeOutput:
        """Cut faces out of a batch of images (B, H, W, 3 or 4).

        Returns:
            The crops (N, S, S, 3; a single black one if there are none), where they belong, masks of the faces in them
            (N, S, S), and a report.

        Raises:
            StyleSwapError: Neither a face analysis nor known faces, or known faces of other images.
        """
        on_frame, device = frame_progress(len(image)), result_device()
        with masks.open() if masks else nullcontext() as opened:
            if known_faces is not None:
                aligned = align_placed(
                    image, known_faces, size=size, template=template, masks=opened, on_frame=on_frame, device=device
                )
            elif face_analysis is not None:
                with open_analysis(face_analysis) as analyzer:
                    aligned = align_faces(
                        image,
                        analyzer,
                        found_choice(analyzer, faces, index, order, likeness, reference),
                        size=size,
                        template=template,
                        masks=opened,
                        on_frame=on_frame,
                        device=device,
                    )
            else:
                raise StyleSwapError(
                    "no faces to cut out: connect Load Face Analysis to face_analysis, or faces of another node to"
                    " known_faces"
                )
        report = describe_aligned(aligned)
        show_text(report.splitlines()[0])
        crops, shown = aligned.crops, aligned.masks
        if not len(crops):
            # Nodes such as Preview Image fail on an empty batch.
            crops, shown = torch.zeros(1, size, size, 3, device=device), torch.zeros(1, size, size, device=device)
        return io.NodeOutput(crops, aligned.placed, shown, report)
