"""Swap Face."""

from contextlib import nullcontext
from dataclasses import replace

import torch
from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.choice import GENDER_CHOICES, RULES, FaceChoice
from ..styleswap_core.faces.detected import FaceAnalyzer
from ..styleswap_core.identities.provenance import swap_mark
from ..styleswap_core.pipeline.face_jobs import MAX_SHARE, SwapOptions
from ..styleswap_core.pipeline.swapper import Swapper, references_for
from ..styleswap_core.swappers.network import MAX_STRENGTH
from ..styleswap_core.swappers.phases import AUTOMATIC, MAX_FACTOR
from .analysis import open_analysis
from .face_masks import LoadedMasks
from .host import frame_progress, result_device, show_text
from .loaded_guest import LoadedGuest, LoadedModel
from .sockets import Masks, Model, face_analysis_input, identity_input, make_schema, order_input, unknown_choice
from .swap_reports import describe_swap, summarize_swap
from .values import as_identities

_PASS, _ERROR = "pass through", "error"
_SKIP, _SWAP = "skip", "swap"
MAX_AGE = 120
_RESOLUTIONS = {"automatic": AUTOMATIC, **{f"{factor}x": factor for factor in range(1, MAX_FACTOR + 1)}}


class SwapFace(io.ComfyNode):
    """Gives faces in images or frames another identity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_SwapFace",
            display_name="Swap Face",
            category="StyleSwap/faces",
            description="Gives faces in images or video frames the identity of the source and keeps pose, expression,"
            " lighting and background. Returns as many frames as it receives; the report lists what could not be"
            " swapped.",
            search_aliases=["face swap", "swap", "deepfake", "reactor"],
            inputs=[
                Model.Input("model", tooltip="From Load StyleSwap Model."),
                face_analysis_input(),
                identity_input(
                    "identity", "The source: one identity for all chosen faces, or a list with one identity per face."
                ),
                io.Image.Input("image", tooltip="The target: one image, or the frames of a video."),
                io.Combo.Input(
                    "faces",
                    options=list(RULES),
                    default="largest",
                    tooltip="Which faces to swap: all, the largest, by index (see index), or by likeness to the"
                    " reference, which follows a person through a video.",
                ),
                io.String.Input(
                    "index",
                    default="0",
                    tooltip="For by index: face numbers such as 0 or 0,2, as shown by Detect Faces.",
                ),
                order_input(
                    "How the faces in each frame are numbered, and so which face gets which identity of a list."
                    " largest: face 0 is the largest."
                ),
                io.Float.Input(
                    "likeness",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="For by likeness: minimum cosine similarity between a face and the reference. Detect Faces"
                    " reports it for each face.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=MAX_STRENGTH,
                    step=0.05,
                    tooltip="1: the identity of the source. 0: the target's own, as rendered by the model. Values"
                    " between interpolate; values above 1 exaggerate what sets the source apart from the target.",
                ),
                io.Int.Input(
                    "mask_grow",
                    default=0,
                    min=-64,
                    max=64,
                    tooltip="Grows the swapped region by this many pixels of the aligned crop; negative shrinks it.",
                ),
                io.Float.Input(
                    "mask_feather",
                    default=0.0,
                    min=0.0,
                    max=64.0,
                    step=0.5,
                    tooltip="Width over which the edge of the swapped region fades, in pixels of the aligned crop.",
                ),
                io.Combo.Input(
                    "on_missing",
                    options=[_PASS, _ERROR],
                    default=_PASS,
                    tooltip="If a chosen face is missing from a frame: pass through continues and reports it, error"
                    " stops the run.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="Number of faces per forward pass; halved automatically if memory runs out.",
                ),
                identity_input(
                    "reference",
                    "For by likeness: the person to replace, or a list that matches the list of identities.",
                    optional=True,
                ),
                # Optional, so that prompts saved without it still run.
                io.Combo.Input(
                    "resolution",
                    options=list(_RESOLUTIONS),
                    default="automatic",
                    optional=True,
                    tooltip="Size at which a face is swapped, in multiples of the model's size, for more detail than"
                    " the model has: 2x takes four times as long as 1x, 4x sixteen times. automatic: as fine as the"
                    " image; always 1x for StyleSwap models.",
                ),
                *_mask_inputs(),
                *_person_inputs(),
                io.Combo.Input(
                    "doubtful",
                    options=[_SKIP, _SWAP],
                    default=_SKIP,
                    optional=True,
                    tooltip="Detections that can hardly be a face, such as points in the wrong order: skip leaves them"
                    " as they are and reports why, swap treats them as any other.",
                ),
            ],
            outputs=[
                io.Image.Output("swapped_image", display_name="image", tooltip="The swapped frames."),
                io.Mask.Output("mask", display_name="mask", tooltip="The share of each pixel that was replaced."),
                io.Image.Output(
                    "crops", display_name="crops", tooltip="The swapped aligned crops as rendered by the model."
                ),
                io.String.Output("report", display_name="report", tooltip="What was swapped in each frame."),
                io.String.Output(
                    "swap_info",
                    display_name="swap_info",
                    tooltip="For Save Swapped Image: states that a face was swapped, and by which model.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        faces: str,
        index: str | None,
        order: str,
        on_missing: str,
        resolution: str | None = None,
        gender: str | None = None,
        doubtful: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice or an invalid index."""
        if problem := unknown_choice(
            cls,
            faces=faces,
            order=order,
            on_missing=on_missing,
            resolution=resolution,
            gender=gender,
            doubtful=doubtful,
        ):
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
        model: LoadedModel,
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
        resolution: str = "automatic",
        masks: LoadedMasks | None = None,
        keep: torch.Tensor | None = None,
        mask_padding: float = 0.0,
        mask_edge: float = 0.0,
        gender: str = "any",
        min_age: int = 0,
        max_age: int = MAX_AGE,
        doubtful: str = _SKIP,
    ) -> io.NodeOutput:
        """Swap faces in a batch of images (B, H, W, 3 or 4).

        Returns:
            The swapped images in the shape of `image`, masks (B, H, W), the swapped aligned crops (N, S, S, 3; a single
            black one if there are none), a report, and the text that marks a file as swapped.

        Raises:
            StyleSwapError: Identities of another recognizer or model, or a missing face if `on_missing` is "error".
        """
        identities = as_identities(identity)
        with open_analysis(face_analysis) as analyzer, masks.open() if masks else nullcontext() as opened:
            choice = _choice(analyzer, faces, index, order, likeness, reference)
            choice = replace(choice, gender=gender, ages=_ages(min_age, max_age))
            # Frames are on the CPU, where crops are cut and pasted; only crops travel to the model's device and back.
            options = SwapOptions(
                strength, mask_grow, mask_feather, batch_size, _RESOLUTIONS[resolution], mask_padding, mask_edge
            )
            options = replace(options, swap_doubtful=doubtful == _SWAP)
            result = Swapper(model, analyzer, options, masks=opened, crop_device="cpu").swap_batch(
                image,
                identities,
                choice,
                strict=on_missing == _ERROR,
                on_frame=frame_progress(len(image)),
                result_device=result_device(),
                keep=keep,
            )
        notices = [notice for notice in (model.notice(),) if notice]
        show_text("\n".join([summarize_swap(result), *notices]))
        crops = result.crops if len(result.crops) else _no_crop(model.size, result.crops.device)
        foreign = model.name if isinstance(model, LoadedGuest) else ""
        mark = swap_mark(model.sha256, identities, strength, foreign)
        return io.NodeOutput(result.images, result.masks, crops, describe_swap(result, notices), mark)


def _no_crop(size: int, device: torch.device) -> torch.Tensor:
    """One black crop (1, size, size, 3), since Preview Image fails on an empty batch."""
    return torch.zeros(1, size, size, 3, device=device)


def _mask_inputs() -> list[io.Input]:
    """Inputs for masks; optional, so that prompts saved without them still run."""
    return [
        Masks.Input(
            "masks",
            optional=True,
            tooltip="From Load Face Masks: which part of a face is swapped, and what stays in front of it.",
        ),
        io.Mask.Input(
            "keep",
            optional=True,
            tooltip="White where the image stays as it is, such as hands or hair; one mask, or one per frame.",
        ),
        io.Float.Input(
            "mask_padding",
            default=0.0,
            min=0.0,
            max=MAX_SHARE,
            step=0.01,
            optional=True,
            tooltip="Keeps the swapped region away from the border of the aligned crop, by this share of its side.",
        ),
        io.Float.Input(
            "mask_edge",
            default=0.0,
            min=0.0,
            max=MAX_SHARE,
            step=0.01,
            optional=True,
            tooltip="Width over which the swapped region fades out within its edge, as a share of the aligned"
            " crop's side: the same in the image for models of all sizes.",
        ),
    ]


def _person_inputs() -> list[io.Input]:
    """Inputs that restrict the choice of faces; optional, so that prompts saved without them still run."""
    return [
        io.Combo.Input(
            "gender",
            options=list(GENDER_CHOICES),
            default="any",
            optional=True,
            tooltip="Considers only faces of this gender, as estimated by the face analysis; needs a pack with"
            " genderage.onnx, such as buffalo_l.",
        ),
        io.Int.Input(
            "min_age",
            default=0,
            min=0,
            max=MAX_AGE,
            optional=True,
            tooltip="Considers only faces of at least this age in years, as estimated by the face analysis.",
        ),
        io.Int.Input(
            "max_age",
            default=MAX_AGE,
            min=0,
            max=MAX_AGE,
            optional=True,
            tooltip="Considers only faces of at most this age in years, as estimated by the face analysis.",
        ),
    ]


def _ages(min_age: int, max_age: int) -> tuple[int, int] | None:
    """The range of ages; None if it is the widest."""
    return None if (min_age, max_age) == (0, MAX_AGE) else (min_age, max_age)


def _choice(
    analyzer: FaceAnalyzer, faces: str, index: str, order: str, likeness: float, reference: object
) -> FaceChoice:
    """The faces that the inputs choose."""
    if faces == "by index":
        return FaceChoice.by_index(index, order)
    people = as_identities(reference) if faces == "by likeness" and reference is not None else []
    return FaceChoice(faces, order, references=references_for(people, analyzer), likeness=likeness)
