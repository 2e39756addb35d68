"""Inputs that nodes with faces to choose share, in the order in which saved workflows hold their values."""

from comfy_api.latest import io

from ..styleswap_core.faces.choice import GENDER_CHOICES
from ..styleswap_core.pipeline.swap_options import MAX_SHARE, SwapOptions
from ..styleswap_core.swappers.swap_ranges import MAX_STRENGTH
from ..styleswap_core.tracking.tracking_options import MAX_INTERVAL, MAX_SMOOTHING, TrackingOptions
from .sockets import (
    Masks,
    Model,
    Segs,
    advanced,
    face_analysis_input,
    faces_input,
    identity_input,
    index_input,
    likeness_input,
    order_input,
)
from .swap_values import ERROR, MAX_AGE, PASS, RESOLUTIONS, SKIP, SWAP

# Maximum of the widget only.
_MAX_BRIDGE = 240


def source_inputs() -> list[io.Input]:
    """The network, the face analysis, and who the faces become."""
    return [
        Model.Input("model", tooltip="From Load StyleSwap Model."),
        face_analysis_input(),
        identity_input(
            "identity", "The source: one identity for all chosen faces, or a list with one identity per face."
        ),
    ]


def choice_inputs() -> list[io.Input]:
    """Which faces are swapped."""
    return [
        faces_input(
            "largest",
            "Which faces to swap: all, the largest, by index (see index), by likeness to the reference, which follows"
            " a person through a video, or everyone but the reference.",
        ),
        index_input(),
        order_input(
            "How the faces in each frame are numbered, which also decides which face gets which identity of a list. "
            "largest: face 0 is the largest."
        ),
        likeness_input(
            "For by likeness and everyone but: minimum cosine similarity between a face and the reference. Detect"
            " Faces reports it for each face."
        ),
    ]


def strength_inputs() -> list[io.Input]:
    """How strongly faces are swapped, and the edge of the region."""
    return [
        io.Float.Input(
            "strength",
            default=SwapOptions.strength,
            min=0.0,
            max=MAX_STRENGTH,
            step=0.05,
            tooltip="1: the identity of the source. 0: the target's own, as rendered by the model. Values in between "
            "interpolate; values above 1 exaggerate what sets the source apart from the target.",
        ),
        io.Int.Input(
            "mask_grow",
            default=SwapOptions.mask_grow,
            min=-64,
            max=64,
            tooltip="Grows the swapped region by this many pixels of the aligned crop; negative values shrink it.",
        ),
        io.Float.Input(
            "mask_feather",
            default=SwapOptions.mask_feather,
            min=0.0,
            max=64.0,
            step=0.5,
            tooltip="Width over which the edge of the swapped region fades out, in pixels of the aligned crop.",
        ),
    ]


def batch_input() -> io.Input:
    """How many faces run through the network together."""
    return advanced(
        io.Int.Input(
            "batch_size",
            default=SwapOptions.batch_size,
            min=1,
            max=64,
            tooltip="Number of faces per forward pass; halved automatically if memory runs out.",
        )
    )


def on_missing_input() -> io.Input:
    """What happens if a chosen face is missing."""
    return io.Combo.Input(
        "on_missing",
        options=[PASS, ERROR],
        default=PASS,
        tooltip="What to do if a chosen face is missing from a frame: pass through continues and reports it, error "
        "stops the run.",
    )


def resolution_input(optional: bool = False) -> io.Input:
    """Size at which faces are swapped."""
    return io.Combo.Input(
        "resolution",
        options=list(RESOLUTIONS),
        default="automatic",
        optional=optional,
        tooltip="Size at which a face is swapped, in multiples of the model's size, for more detail than"
        " the model has: 2x takes four times as long as 1x, 4x sixteen times. automatic: as fine as the"
        " image; always 1x for StyleSwap models.",
    )


def later_inputs(keep: io.Input) -> list[io.Input]:
    """Reference, resolution, masks, persons and doubtful detections; optional, so that prompts without them run.

    Args:
        keep: Input for what stays as it is.
    """
    return [
        identity_input(
            "reference",
            "For by likeness: the person to replace, or a list that matches the list of identities. For everyone but:"
            " the person who stays, or a list of such people.",
            optional=True,
        ),
        resolution_input(optional=True),
        *_mask_inputs(keep),
        *map(advanced, [*person_inputs(), _doubtful_input()]),
    ]


def _doubtful_input() -> io.Input:
    return io.Combo.Input(
        "doubtful",
        options=[SKIP, SWAP],
        default=SKIP,
        optional=True,
        tooltip="Detections that can hardly be a face, for example with points in the wrong order: skip leaves them "
        "as they are and reports why, swap treats them like any other face.",
    )


def tracking_inputs(default: bool, tooltip: str) -> list[io.Input]:
    """How faces are followed from frame to frame; optional, so that prompts saved without them still run.

    Args:
        default: Whether they are followed by default.
        tooltip: What following them means in this node.
    """
    return [
        io.Boolean.Input("tracking", default=default, optional=True, tooltip=tooltip),
        *map(advanced, _following_inputs()),
    ]


def _following_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "detection_interval",
            default=TrackingOptions.detection_interval,
            min=1,
            max=MAX_INTERVAL,
            optional=True,
            tooltip="For tracking: detects faces in every nth frame and follows them in between; more often where "
            "they move fast.",
        ),
        io.Float.Input(
            "smoothing",
            default=TrackingOptions.smoothing,
            min=0.0,
            max=MAX_SMOOTHING,
            step=0.5,
            optional=True,
            tooltip="For tracking: averages the points and colors of a face over about this many frames before and "
            "after, along its motion, so that the result does not jitter; 0 turns this off.",
        ),
        io.Int.Input(
            "bridge",
            default=TrackingOptions.bridge,
            min=0,
            max=_MAX_BRIDGE,
            optional=True,
            tooltip="For tracking: follows a face that is not detected for up to this many frames, until it is found "
            "again.",
        ),
    ]


def only_in_inputs(only_in: io.Input) -> list[io.Input]:
    """Where the faces that are swapped lie; optional, and after all others.

    Args:
        only_in: Input for a mask of them.
    """
    return [
        only_in,
        Segs.Input(
            "segs",
            optional=True,
            tooltip="Like only_in, with segments (SEGS) instead of a mask, for example from Impact Pack's detectors; "
            "they apply to all frames. If both are connected, a face has to be inside both.",
        ),
    ]


def only_in_mask(frames: str) -> io.Input:
    """Mask of the faces that are swapped.

    Args:
        frames: How many masks may be connected, such as "one mask, or one per frame".
    """
    return io.Mask.Input("only_in", optional=True, tooltip=only_in_tooltip(frames))


def only_in_tooltip(frames: str) -> str:
    """Tooltip of a mask of the faces that are swapped; `frames` as for `only_in_mask`."""
    return (
        "Swaps only faces inside the white part of this mask, with the center or at least half of their box:"
        f" {frames}. The choice of faces applies to these."
    )


def in_turn_input() -> io.Input:
    """How the identities of a list are dealt out; optional, and after all others."""
    return advanced(
        io.Boolean.Input(
            "in_turn",
            default=False,
            optional=True,
            tooltip="For a list of identities. On: the identities go in turn to the chosen faces that are present, "
            "starting over after the last one. Off: the first identity belongs to the first chosen face, even "
            "if that face is missing. With by likeness, each identity belongs to its reference either way.",
        )
    )


def _mask_inputs(keep: io.Input) -> list[io.Input]:
    return [
        Masks.Input(
            "masks",
            optional=True,
            tooltip="From Load Face Masks: which part of a face is swapped, and what stays in front of it.",
        ),
        keep,
        *map(advanced, _edge_inputs()),
    ]


def _edge_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "mask_padding",
            default=SwapOptions.mask_padding,
            min=0.0,
            max=MAX_SHARE,
            step=0.01,
            optional=True,
            tooltip="Keeps the swapped region away from the border of the aligned crop, by this fraction of its side.",
        ),
        io.Float.Input(
            "mask_edge",
            default=SwapOptions.mask_edge,
            min=0.0,
            max=MAX_SHARE,
            step=0.01,
            optional=True,
            tooltip="Width over which the swapped region fades out inside its edge, as a fraction of the aligned "
            "crop's side, so that it looks the same with models of all sizes.",
        ),
    ]


def person_inputs() -> list[io.Input]:
    """Gender and age of the faces that count; optional, so that prompts saved without them still run."""
    return [
        gender_input(),
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


def gender_input() -> io.Input:
    """Gender of the faces that count; optional, so that prompts saved without it still run."""
    return io.Combo.Input(
        "gender",
        options=list(GENDER_CHOICES),
        default="any",
        optional=True,
        tooltip="Considers only faces of this gender, as estimated by the face analysis; needs a pack with"
        " genderage.onnx, such as buffalo_l.",
    )
