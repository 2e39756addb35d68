"""Swap Face in Video."""

from contextlib import nullcontext
from typing import Any

import torch
from comfy_api.latest import Input, InputImpl, io

from ..styleswap_core.media.codecs import CODECS
from ..styleswap_core.swappers.swap_marks import mark_of
from .analysis import open_analysis
from .clip_texts import describe_clip, summarize_clip
from .face_masks import LoadedMasks
from .host import show_text
from .loaded_guest import LoadedModel, core_network
from .sockets import advanced, make_schema, unknown_choice
from .swap_inputs import (
    batch_input,
    choice_inputs,
    in_turn_input,
    later_inputs,
    only_in_inputs,
    only_in_tooltip,
    source_inputs,
    strength_inputs,
    tracking_inputs,
)
from .swap_values import ERROR, PASS, SwapValues, index_problem
from .values import as_identities

_AUTOMATIC = "automatic"
_CONTAINERS = ("mp4", "mov", "mkv", "webm")
# Encoders of graphics processors; those that this build of PyAV or this machine lacks are refused when they are used.
_HARDWARE = [
    *(f"{codec}_{maker}" for maker in ("nvenc", "qsv", "amf") for codec in ("h264", "hevc", "av1")),
    *(f"{codec}_videotoolbox" for codec in ("h264", "hevc")),
]
_MAX_SECONDS = 1_000_000.0


class SwapVideo(io.ComfyNode):
    """Gives faces in a video another identity, frame by frame from file to file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Schema of the node."""
        return make_schema(
            node_id="StyleSwap_SwapVideo",
            display_name="Swap Face in Video",
            category="StyleSwap/faces",
            description="Gives faces in a video the identity of the source, as a stream: memory does not depend on the"
            " length. Faces are followed through the video; sound, times of frames and all other pixels are kept.",
            essentials_category="Video Tools",
            search_aliases=["video face swap", "face swap", "swap video", "deepfake", "reactor"],
            inputs=[
                *source_inputs(),
                io.Video.Input("video", tooltip="The target, for example from Load Video; it is read frame by frame."),
                *choice_inputs(),
                *strength_inputs(),
                advanced(
                    io.Combo.Input(
                        "on_missing",
                        options=[ERROR, PASS],
                        default=ERROR,
                        tooltip="What to do if no chosen face is found in the whole video: error stops the run, pass "
                        "through returns the video without a swap. Single frames without a face always pass "
                        "through.",
                    )
                ),
                batch_input(),
                *later_inputs(
                    _mask_or_video(
                        "keep",
                        "White where the frames must stay as they are, such as hands or hair: one mask, one "
                        "per frame, or a gray video with one per frame, which is read as a stream.",
                    )
                ),
                *tracking_inputs(
                    True,
                    "Follows faces through the video before any is swapped, so that the result is steady and each"
                    " person keeps one identity. Off: every frame is swapped independently.",
                ),
                *_part_inputs(),
                *map(advanced, _encoder_inputs()),
                *only_in_inputs(
                    _mask_or_video(
                        "only_in",
                        only_in_tooltip("one mask, one per frame, or a gray video with one per frame"),
                    )
                ),
                in_turn_input(),
            ],
            outputs=_outputs(),
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
        container: str | None = None,
        codec: str | None = None,
    ) -> bool | str:
        """True, or a message about the first unknown choice or an invalid index."""
        chosen = {"faces": faces, "order": order, "on_missing": on_missing, "resolution": resolution}
        chosen |= {"gender": gender, "doubtful": doubtful, "container": container, "codec": codec}
        return unknown_choice(cls, **chosen) or index_problem(faces, index) or True

    @classmethod
    def execute(
        cls,
        model: LoadedModel,
        face_analysis: object,
        identity: object,
        video: Input.Video,
        on_missing: str,
        reference: object = None,
        masks: LoadedMasks | None = None,
        keep: torch.Tensor | Input.Video | None = None,
        only_in: torch.Tensor | Input.Video | None = None,
        segs: object = None,
        container: str = _AUTOMATIC,
        codec: str = _AUTOMATIC,
        quality: float = 0.0,
        lossless: bool = False,
        start: float = 0.0,
        duration: float = 0.0,
        **widgets: Any,
    ) -> io.NodeOutput:
        """Swap faces in a video; `widgets` are the fields of `SwapValues`.

        Returns:
            The video, a report, a contact sheet (1, H, W, 3) of doubtful frames (black if there are none), and the text
            that marks a file as swapped.

        Raises:
            StyleSwapError: Identities of another recognizer or model, a video that cannot be read, a result that cannot
                be written, or no face that was swapped if `on_missing` is "error".
        """
        # Imported here, so that the pack loads without waiting for the modules that read and write video.
        from ..styleswap_core.pipeline.swapper import Swapper
        from .clip_run import ClipEncoding, ClipInputs, swap_clip

        values, identities = SwapValues(**widgets), as_identities(identity)
        container, codec = ("" if name == _AUTOMATIC else name for name in (container, codec))
        encoding = ClipEncoding(container, codec, quality, lossless, start, duration)
        mark = mark_of(core_network(model), identities, values.strength)
        with open_analysis(face_analysis) as analyzer, masks.open() if masks else nullcontext() as opened:
            swapped = swap_clip(
                Swapper(model, analyzer, values.options, masks=opened),
                identities,
                values.choice(analyzer, reference),
                ClipInputs(video, keep, only_in, segs),
                encoding,
                tracking=values.tracking_options,
                require_faces=on_missing == ERROR,
                mark=mark,
            )
        notices = [notice for notice in (model.notice(),) if notice]
        show_text("\n".join([summarize_clip(swapped.report), *notices]))
        text = describe_clip(swapped.report, len(identities), notices)
        return io.NodeOutput(InputImpl.VideoFromFile(str(swapped.file)), text, swapped.sheet, mark)


def _mask_or_video(name: str, tooltip: str) -> io.Input:
    return io.MultiType.Input(name, [io.Mask, io.Video], optional=True, tooltip=tooltip)


def _outputs() -> list[io.Output]:
    return [
        io.Video.Output(
            "swapped_video", display_name="video", tooltip="The swapped video, a file in ComfyUI's temp folder."
        ),
        io.String.Output(
            "report", display_name="report", tooltip="What was swapped, with each track and doubtful frame."
        ),
        io.Image.Output(
            "doubtful_frames",
            display_name="doubtful_frames",
            tooltip="Contact sheet of up to 24 frames in which the swap is least certain, before and after;"
            " black if there are none.",
        ),
        io.String.Output(
            "swap_info",
            display_name="swap_info",
            tooltip="For Save Swapped Image: states that a face was swapped, and by which model. The video's "
            "metadata state it too.",
        ),
    ]


def _part_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "start",
            default=0.0,
            min=0.0,
            max=_MAX_SECONDS,
            step=0.1,
            optional=True,
            tooltip="Skips everything before this time, in seconds.",
        ),
        io.Float.Input(
            "duration",
            default=0.0,
            min=0.0,
            max=_MAX_SECONDS,
            step=0.1,
            optional=True,
            tooltip="Length of the part that is swapped, in seconds; 0 for everything that follows.",
        ),
    ]


def _encoder_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "container",
            options=[_AUTOMATIC, *_CONTAINERS],
            default=_AUTOMATIC,
            optional=True,
            tooltip="File format of the result. automatic: mp4, or mkv if mp4 cannot hold the sound or the codec. "
            "Save Video writes mp4, without encoding again.",
        ),
        io.Combo.Input(
            "codec",
            options=[_AUTOMATIC, *CODECS, *_HARDWARE],
            default=_AUTOMATIC,
            optional=True,
            tooltip="automatic: the codec of the target if the container usually holds it, otherwise its usual one, "
            "such as h264. Names with nvenc, qsv, amf or videotoolbox are hardware encoders.",
        ),
        io.Float.Input(
            "quality",
            default=0.0,
            min=0.0,
            max=100.0,
            step=0.5,
            optional=True,
            tooltip="Constant quality on the encoder's own scale (CRF, CQ): lower is better, and 18 to 28 is usual. "
            "0: visually close to the target.",
        ),
        io.Boolean.Input(
            "lossless",
            default=False,
            optional=True,
            tooltip="Encodes without any loss, in large files.",
        ),
    ]
