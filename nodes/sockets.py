"""Socket types of the pack, inputs that several nodes share, and schemas for every supported version of ComfyUI."""

from dataclasses import fields

from comfy_api.latest import io

from ..styleswap_core.faces.choice import RULES, FaceChoice
from .received_values import choice_problem

Model = io.Custom("STYLESWAP_MODEL")
"""A `loaded_generator.LoadedGenerator` or a `loaded_guest.LoadedGuest`."""

FaceAnalysis = io.Custom("STYLESWAP_FACE_ANALYSIS")
"""An `analysis.LoadedAnalysis`."""

Identity = io.Custom("STYLESWAP_IDENTITY")
"""A `styleswap_core.identities.identity.Identity`, or a list of them."""

Faces = io.Custom("STYLESWAP_FACES")
"""A `styleswap_core.compositing.placed_faces.PlacedFaces`."""

Masks = io.Custom("STYLESWAP_MASKS")
"""A `face_masks.LoadedMasks`."""

Segs = io.Custom("SEGS")
"""A `segs.Segs`, the segments of Impact Pack."""

_FOREIGN_ANALYSES = [io.Custom("INSIGHTFACE"), io.Custom("FACEANALYSIS")]
_FOREIGN_IDENTITIES = [io.Custom("FACE_MODEL")]
# In the order of the menu; the core's FACE_ORDERS has the same ones.
_FACE_ORDERS = ["left-right", "right-left", "top-bottom", "bottom-top", "largest", "confidence", "smallest"]


def make_schema(**options: object) -> io.Schema:
    """An `io.Schema` from the options that this version of ComfyUI knows; the others are dropped."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in options.items() if name in known})


def unknown_choice(node: type[io.ComfyNode], **chosen: str | None) -> str | None:
    """Message about the first value that its combo does not offer, or None.

    ComfyUI 0.3.64 does not check combo values itself. A value of None comes from another node and is not known yet.
    """
    options = {combo.id: combo.options for combo in node.define_schema().inputs if isinstance(combo, io.Combo.Input)}
    for name, value in chosen.items():
        if value is not None and value not in options[name]:
            return choice_problem(name, options[name], value)
    return None


def face_analysis_input(optional: bool = False) -> io.Input:
    """Input for this pack's face analysis and the insightface objects of other packs."""
    return io.MultiType.Input(
        "face_analysis",
        [FaceAnalysis, *_FOREIGN_ANALYSES],
        tooltip="From Load Face Analysis, or from another pack's insightface loader.",
        optional=optional,
    )


def identity_input(name: str, tooltip: str, optional: bool = False) -> io.Input:
    """Input for this pack's identities and ReActor's face models."""
    return io.MultiType.Input(name, [Identity, *_FOREIGN_IDENTITIES], tooltip=tooltip, optional=optional)


def faces_input(default: str, tooltip: str) -> io.Input:
    """Input for the rule by which faces are chosen."""
    return io.Combo.Input("faces", options=list(RULES), default=default, tooltip=tooltip)


def index_input() -> io.Input:
    """Input for the numbers of the faces that are chosen by index."""
    return io.String.Input(
        "index",
        default="0",
        tooltip="For by index: face numbers such as 0 or 0,2, as shown by Detect Faces.",
    )


def order_input(tooltip: str) -> io.Input:
    """Input for the order in which the faces of an image are numbered."""
    return io.Combo.Input("order", options=_FACE_ORDERS, default="largest", tooltip=tooltip)


def likeness_input(tooltip: str) -> io.Input:
    """Input for the minimum cosine similarity between a face and the reference."""
    return io.Float.Input("likeness", default=FaceChoice.likeness, min=0.0, max=1.0, step=0.01, tooltip=tooltip)


def advanced(widget: io.Input) -> io.Input:
    """The same widget, which pages of ComfyUI show only on request."""
    # Older versions have no argument for it, but pages know the option since long before.
    widget.extra_dict = {**(widget.extra_dict or {}), "advanced": True}
    return widget
