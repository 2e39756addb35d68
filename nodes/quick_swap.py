"""Quick Face Swap."""

import hashlib
from typing import Any

import torch
from comfy_api.latest import io

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.faces.choice import FaceChoice
from ..styleswap_core.faces.detected import FaceAnalyzer
from ..styleswap_core.identities.identity import Identity
from ..styleswap_core.pipeline.swap_options import SwapOptions
from .analysis import LoadedAnalysis, open_analysis
from .comparison import compare_inputs, compared
from .folders import generator_path, pack_folder
from .identities import extract
from .kept_values import KeptValues
from .loaded_guest import LoadedModel
from .loader_inputs import detection_inputs, download_input, model_name_input, pack_input
from .loading import model_state, open_model, open_pack, pack_state
from .segs import chosen_mask
from .sockets import Identity as IdentitySocket
from .sockets import advanced, identity_input, index_input, make_schema, order_input, unknown_choice
from .swap_face import swap_images
from .swap_inputs import on_missing_input, only_in_mask, resolution_input, strength_inputs
from .swap_outputs import image_outputs, text_outputs
from .swap_values import SwapValues, index_problem
from .values import as_identities

_FACES = ("largest", "all", "by index")

# Held like the results of the loaders; ComfyUI's memory manager moves their weights.
_models: KeptValues[LoadedModel] = KeptValues(1)
_analyses: KeptValues[LoadedAnalysis] = KeptValues(1)
_sources: KeptValues[list[Identity]] = KeptValues(8)


class QuickSwap(io.ComfyNode):
    """Swaps faces with a single node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        strength, *edges = strength_inputs()
        return make_schema(
            node_id="StyleSwap_QuickSwap",
            display_name="Quick Face Swap",
            category="StyleSwap/faces",
            description="Gives faces in the target the identity of the source, in one node: it loads a model and a face"
            " analysis, extracts the identity and swaps, exactly as the four nodes for these steps do.",
            essentials_category="Image Tools",
            # The slider shows its images if the result comes from the cache, too.
            has_intermediate_output=True,
            search_aliases=["face swap", "swap", "deepfake", "reactor", "roop", "one click", "simple"],
            inputs=[
                io.Image.Input("target", tooltip="The image whose faces are swapped, or the frames of a video."),
                *_source_inputs(),
                model_name_input(),
                pack_input(),
                io.Combo.Input(
                    "faces",
                    options=list(_FACES),
                    default=_FACES[0],
                    tooltip="Which faces of the target to swap: the largest, all, or by index (see index).",
                ),
                index_input(),
                strength,
                download_input(),
                advanced(
                    io.Int.Input(
                        "source_face",
                        default=0,
                        min=0,
                        max=99,
                        tooltip="Which face of the source to use: 0 for the largest, 1 for the next.",
                    )
                ),
                advanced(order_input("How the faces of the target are numbered. largest: face 0 is the largest.")),
                advanced(resolution_input()),
                *map(advanced, edges),
                *map(advanced, detection_inputs()),
                advanced(on_missing_input()),
                advanced(only_in_mask("one mask, or one per frame")),
                *compare_inputs(),
            ],
            outputs=[
                *image_outputs(),
                IdentitySocket.Output(
                    "used_identity",
                    display_name="identity",
                    tooltip="The identity of the source, for Save Identity and other nodes.",
                ),
                *text_outputs(),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        model_name: str | None = None,
        pack: str | None = None,
        faces: str | None = None,
        index: str | None = None,
        download: bool | None = None,
        order: str | None = None,
        resolution: str | None = None,
        detection_size: str | None = None,
        run_on: str | None = None,
        on_missing: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice, invalid index or missing file."""
        if problem := unknown_choice(
            cls,
            faces=faces,
            order=order,
            resolution=resolution,
            detection_size=detection_size,
            run_on=run_on,
            on_missing=on_missing,
        ):
            return problem
        if problem := index_problem(faces, index):
            return problem
        try:
            if model_name is not None:
                generator_path(model_name)
            # A pack that may be downloaded is looked up when the node runs.
            if pack is not None and download is False:
                pack_folder(pack, False)
        except StyleSwapError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model_name: str | None, pack: str | None, **_others: object) -> str:
        """State of the files, so that the node runs again if one changes."""
        return f"{model_state(model_name)} {pack_state(pack)}"

    @classmethod
    def execute(
        cls,
        target: torch.Tensor,
        model_name: str,
        pack: str,
        download: bool,
        source_face: int,
        detection_size: str,
        detection_threshold: float,
        run_on: str,
        on_missing: str,
        source: torch.Tensor | None = None,
        identity: object = None,
        only_in: torch.Tensor | None = None,
        compare: object = None,
        **widgets: Any,
    ) -> io.NodeOutput:
        """Swap faces in a batch of images (B, H, W, 3 or 4); `widgets` are fields of `SwapValues`.

        Returns:
            The swapped images in the shape of `target`, masks (B, H, W), the identity, a report, and the text that
            marks a file as swapped.

        Raises:
            StyleSwapError: Neither a source nor an identity, no face in the source, or as for the four nodes.
        """
        values = SwapValues(likeness=FaceChoice.likeness, batch_size=SwapOptions.batch_size, **widgets)
        analysis_choices = (pack, detection_size, detection_threshold, run_on)
        state = (*analysis_choices, pack_state(pack))
        model = _models.get((model_name, model_state(model_name)), lambda: open_model(model_name))
        analysis = _analyses.get(state, lambda: open_pack(*analysis_choices, download))
        with open_analysis(analysis) as analyzer:
            if identity is not None:
                identities = as_identities(identity)
            elif source is not None:
                key = (state, source_face, _content(source))
                identities = _sources.get(key, lambda: _extract(analyzer, source, source_face))
            else:
                raise StyleSwapError("nobody to swap in: connect an image of a person to source, or an identity")
            chosen = chosen_mask(only_in, None, (target.shape[1], target.shape[2]))
            swap = swap_images(model, analyzer, identities, target, values, on_missing, only_in=chosen)
        used = identities[0] if len(identities) == 1 else identities
        shown = compared(cls, target, swap.images)
        return io.NodeOutput(swap.images, swap.masks, used, swap.report, swap.mark, ui=shown)


def _source_inputs() -> list[io.Input]:
    """The person that faces become: pictures, or an identity."""
    return [
        io.Image.Input(
            "source",
            optional=True,
            tooltip="Image of the person whose face is used; several images of one person are averaged.",
        ),
        identity_input(
            "identity",
            "Used instead of source: an identity from Load Identity or another node.",
            optional=True,
        ),
    ]


def _extract(analyzer: FaceAnalyzer, source: torch.Tensor, face: int) -> list[Identity]:
    """The identity of one face of each source image, the mean of several."""
    choice = FaceChoice("by index", indices=(face,)) if face else FaceChoice("largest")
    return extract(analyzer, [source], choice).identities


def _content(images: torch.Tensor) -> str:
    """Hash of images, by which they are recognized when ComfyUI has loaded them again."""
    values = images.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(str(tuple(values.shape)).encode() + values.numpy().tobytes()).hexdigest()
