"""Swap Face."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from ..styleswap_core.swappers.swap_marks import mark_of
from .analysis import open_analysis
from .face_masks import LoadedMasks
from .host import frame_progress, result_device, show_text
from .loaded_guest import LoadedModel, core_network
from .segs import chosen_mask
from .sockets import Faces, advanced, make_schema, unknown_choice
from .swap_inputs import (
    batch_input,
    choice_inputs,
    in_turn_input,
    later_inputs,
    on_missing_input,
    only_in_inputs,
    only_in_mask,
    source_inputs,
    strength_inputs,
    tracking_inputs,
)
from .swap_outputs import image_outputs, text_outputs
from .swap_reports import describe_swap, summarize_swap
from .swap_values import ERROR, SwapValues, index_problem
from .values import as_identities

if TYPE_CHECKING:
    from ..styleswap_core.compositing.placed_faces import PlacedFaces
    from ..styleswap_core.faces.detected import FaceAnalyzer
    from ..styleswap_core.identities.identity import Identity
    from ..styleswap_core.masking.face_masks import FaceMasks

_TRACKED = "the number of a face is that of its track through the frames"


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
                *source_inputs(),
                io.Image.Input("image", tooltip="The target: one image, or the frames of a video."),
                *choice_inputs(),
                *strength_inputs(),
                advanced(on_missing_input()),
                batch_input(),
                *later_inputs(
                    io.Mask.Input(
                        "keep",
                        optional=True,
                        tooltip="White where the image must stay as it is, such as hands or hair; one mask, or one "
                        "per frame.",
                    )
                ),
                *tracking_inputs(
                    False,
                    "For the frames of a video: follows faces from frame to frame, so that the result is steady and"
                    " each person keeps one identity. Off: every frame is swapped independently.",
                ),
                *only_in_inputs(only_in_mask("one mask, or one per frame")),
                in_turn_input(),
            ],
            outputs=[
                *image_outputs(),
                io.Image.Output(
                    "crops", display_name="crops", tooltip="The swapped aligned crops, as rendered by the model."
                ),
                *text_outputs(),
                Faces.Output(
                    "swapped_faces",
                    display_name="faces",
                    tooltip="Where the crops belong: for Paste Faces, after other nodes have changed them.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        faces: str | None = None,
        index: str | None = None,
        order: str | None = None,
        on_missing: str | None = None,
        resolution: str | None = None,
        gender: str | None = None,
        doubtful: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice or an invalid index."""
        chosen = {"faces": faces, "order": order, "on_missing": on_missing, "resolution": resolution}
        chosen |= {"gender": gender, "doubtful": doubtful}
        return unknown_choice(cls, **chosen) or index_problem(faces, index) or True

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        face_analysis: object,
        identity: object,
        image: torch.Tensor,
        on_missing: str,
        reference: object = None,
        masks: LoadedMasks | None = None,
        keep: torch.Tensor | None = None,
        only_in: torch.Tensor | None = None,
        segs: object = None,
        **widgets: Any,
    ) -> io.NodeOutput:
        """Swap faces in a batch of images (B, H, W, 3 or 4); `widgets` are the fields of `SwapValues`.

        Returns:
            The swapped images in the shape of `image`, masks (B, H, W), the swapped aligned crops (N, S, S, 3; a single
            black one if there are none), a report, the text that marks a file as swapped, and where the crops belong.

        Raises:
            StyleSwapError: Identities of another recognizer or model, or a missing face if `on_missing` is "error".
        """
        values, identities = SwapValues(**widgets), as_identities(identity)
        with open_analysis(face_analysis) as analyzer, masks.open() if masks else nullcontext() as opened:
            swap = swap_images(
                model,
                analyzer,
                identities,
                image,
                values,
                on_missing,
                reference=reference,
                masks=opened,
                keep=keep,
                only_in=chosen_mask(only_in, segs, (image.shape[1], image.shape[2])),
            )
        return io.NodeOutput(swap.images, swap.masks, swap.crops, swap.report, swap.mark, swap.faces)


@dataclass(frozen=True, eq=False)
class SwappedImages:
    """What a swap gives a node.

    Attributes:
        images: The swapped images in the shape of the targets.
        masks: (B, H, W): the share of each pixel that was replaced.
        crops: (N, S, S, 3): the swapped aligned crops; a single black one if there are none.
        report: What was swapped in each frame.
        mark: Text that marks a file as swapped.
        faces: Where the crops belong.
    """

    images: torch.Tensor
    masks: torch.Tensor
    crops: torch.Tensor
    report: str
    mark: str
    faces: PlacedFaces


def swap_images(
    model: LoadedModel,
    analyzer: FaceAnalyzer,
    identities: Sequence[Identity],
    image: torch.Tensor,
    values: SwapValues,
    on_missing: str,
    *,
    reference: object = None,
    masks: FaceMasks | None = None,
    keep: torch.Tensor | None = None,
    only_in: torch.Tensor | None = None,
) -> SwappedImages:
    """Swap faces in a batch of images (B, H, W, 3 or 4), with progress, and a summary in the running node.

    Args:
        model: The network.
        analyzer: The face analysis.
        identities: One for all faces, or one for each.
        image: The targets.
        values: The widgets.
        on_missing: PASS or ERROR.
        reference: Socket value with the reference identities.
        masks: What is swapped of a face.
        keep: (1 or B, h, w), 0..1: where the images stay as they are.
        only_in: (h, w) or (1 or B, h, w), 0..1: where the faces that are swapped lie.

    Raises:
        StyleSwapError: Identities of another recognizer or model, or a missing face if `on_missing` is ERROR.
    """
    from ..styleswap_core.pipeline.face_aligner import places_of_swap
    from ..styleswap_core.pipeline.swapper import Swapper

    result = Swapper(model, analyzer, values.options, masks=masks).swap_batch(
        image,
        identities,
        values.choice(analyzer, reference),
        strict=on_missing == ERROR,
        on_frame=frame_progress(len(image), 2 if values.tracking else 1),
        result_device=result_device(),
        keep=keep,
        only_in=only_in,
        tracking=values.tracking_options,
    )
    notices = [notice for notice in (model.notice(), _TRACKED if values.tracking else "") if notice]
    show_text("\n".join([summarize_swap(result), *notices]))
    crops = result.crops if len(result.crops) else _no_crop(model.size, result.crops.device)
    mark = mark_of(core_network(model), identities, values.strength)
    faces = places_of_swap(image, result.reports, model.template, model.size)
    return SwappedImages(result.images, result.masks, crops, describe_swap(result, notices), mark, faces)


def _no_crop(size: int, device: torch.device) -> torch.Tensor:
    """One black crop (1, size, size, 3), since Preview Image fails on an empty batch."""
    return torch.zeros(1, size, size, 3, device=device)
