"""Swap Face."""

import torch
from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.choice import RULES, FaceChoice
from ..styleswap_core.identities.provenance import swap_mark
from ..styleswap_core.pipeline.face_jobs import SwapOptions
from ..styleswap_core.pipeline.swapper import Swapper, references_for
from .analysis import open_analysis
from .host import frame_progress, result_device, show_text
from .loaded_generator import LoadedGenerator
from .sockets import Model, face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_reports import describe_swap, summarize_swap
from .values import as_identities

_PASS, _ERROR = "pass through", "error"


class SwapFace(io.ComfyNode):
    """Gives faces of pictures or frames another identity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Name, inputs and outputs, as ComfyUI shows them."""
        return make_schema(
            node_id="StyleSwap_SwapFace",
            display_name="Swap Face",
            category="StyleSwap/faces",
            description="Gives faces in pictures or video frames the identity of the source, and keeps pose, expression, light"
            " and everything around. As many frames come out as went in; what could not be swapped stands in the report.",
            search_aliases=["face swap", "swap", "deepfake", "reactor"],
            inputs=[
                Model.Input("model", tooltip="From Load StyleSwap Model"),
                face_analysis_input(),
                identity_input(
                    "identity", "Whose face to give: one for all chosen faces, or a list, one for each face"
                ),
                io.Image.Input("image", tooltip="The target: one picture or the frames of a video"),
                io.Combo.Input(
                    "faces",
                    options=list(RULES),
                    default="largest",
                    tooltip="Which faces: all, the largest, by index (below), or by likeness to the reference, which"
                    " follows a person through a video",
                ),
                io.String.Input(
                    "index", default="0", tooltip="For by index: numbers such as 0 or 0,2; see Detect Faces"
                ),
                order_input("How the faces of each frame are numbered, and which identity of a list each gets"),
                io.Float.Input(
                    "likeness",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="For by likeness: least cosine between a face and the reference; Detect Faces shows them",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="1: the source's identity. 0: the target's own, as the model draws it. Between: a mix",
                ),
                io.Int.Input(
                    "mask_grow",
                    default=0,
                    min=-64,
                    max=64,
                    tooltip="Grow (or shrink) the swapped region, in pixels of the aligned crop",
                ),
                io.Float.Input(
                    "mask_feather",
                    default=0.0,
                    min=0.0,
                    max=64.0,
                    step=0.5,
                    tooltip="Soften its outline, in pixels of the aligned crop",
                ),
                io.Combo.Input(
                    "on_missing",
                    options=[_PASS, _ERROR],
                    default=_PASS,
                    tooltip="A frame in which a wanted face is not found comes back as it was, or stops the run",
                ),
                io.Int.Input(
                    "batch_size",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="Faces at once; halved by itself where memory does not suffice",
                ),
                identity_input(
                    "reference",
                    "For by likeness: who is to be replaced. A list goes with a list of identities",
                    optional=True,
                ),
            ],
            outputs=[
                io.Image.Output("swapped_image", display_name="image", tooltip="The frames, swapped"),
                io.Mask.Output("mask", display_name="mask", tooltip="How much of each pixel is new"),
                io.Image.Output(
                    "crops", display_name="crops", tooltip="The swapped faces as the model drew them, one after another"
                ),
                io.String.Output("report", display_name="report", tooltip="What happened in each frame"),
                io.String.Output(
                    "swap_info",
                    display_name="swap_info",
                    tooltip="For Save Swapped Image: says that a face was swapped, by which model",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, faces: str, index: str, order: str, on_missing: str) -> bool | str:
        """True, or a sentence about a choice that is not offered or an index that is no list of numbers."""
        if problem := unknown_choice(cls, faces=faces, order=order, on_missing=on_missing):
            return problem
        try:
            if faces == "by index" and index is not None:
                FaceChoice.by_index(index)
        except StyleSwapError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        model: LoadedGenerator,
        face_analysis: object,
        identity: object,
        image: torch.Tensor,
        faces: str,
        index: str,
        order: str,
        likeness: float,
        strength: float,
        mask_grow: int,
        mask_feather: float,
        on_missing: str,
        batch_size: int,
        reference: object = None,
    ) -> io.NodeOutput:
        """Image (B, H, W, 3 or 4) -> the swapped pictures in its shape, masks (B, H, W), the swapped aligned crops (N, S, S, 3; one
        black where there are none), a report, and the text entry that marks a file as swapped.

        Raises:
            StyleSwapError: identities of another recognizer or model, or a picture without the face and `on_missing` says to
                stop.
        """
        identities = as_identities(identity)
        with open_analysis(face_analysis) as analyzer:
            if faces == "by index":
                choice = FaceChoice.by_index(index, order)
            else:
                people = as_identities(reference) if faces == "by likeness" and reference is not None else []
                choice = FaceChoice(faces, order, references=references_for(people, analyzer), likeness=likeness)
            # Crops are cut and pasted where the frames are; only they travel to the model's device and back.
            options = SwapOptions(strength, mask_grow, mask_feather, batch_size)
            result = Swapper(model, analyzer, options, crop_device="cpu").swap_batch(
                image,
                identities,
                choice,
                strict=on_missing == _ERROR,
                on_frame=frame_progress(len(image)),
                result_device=result_device(),
            )
        notice = model.notice()
        notices = [notice] if notice else []
        show_text("\n".join([summarize_swap(result), *notices]))
        crops = result.crops
        if not len(crops):
            # Nodes that show pictures cannot show none.
            crops = torch.zeros(1, model.config.size, model.config.size, 3, device=crops.device)
        mark = swap_mark(model.sha256, identities, strength)
        return io.NodeOutput(result.images, result.masks, crops, describe_swap(result, notices), mark)
